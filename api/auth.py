"""Who is calling: the token of a request, its session, and the CSRF test. Sessions: tidewire.actions.sessions."""

import hmac
from enum import Enum

import falcon.asgi

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.sessions import session_of_token
from tidewire.wire.errors import AppError, logged_out
from tidewire.wire.models import Session

TOKEN_MAX = 50
COOKIE_TOKEN, COOKIE_USER, COOKIE_CSRF = "MMAUTHTOKEN", "MMUSERID", "MMCSRF"


class Place(Enum):
    """Where a token stood."""

    NOWHERE = 0
    COOKIE = 1
    HEADER = 2
    QUERY = 3


def find_token(req: falcon.asgi.Request) -> tuple[str, Place]:
    """Return a request's token and its place; "" if there is none.

    Source: Mattermost API v4, request authentication: cookie, bearer, token, query; the cookie beats the header.
    """
    values = req.get_cookie_values(COOKIE_TOKEN)
    if values and values[0]:
        return values[0][:TOKEN_MAX], Place.COOKIE
    scheme, _, token = (req.get_header("Authorization") or "").partition(" ")
    if scheme.lower() in ("bearer", "token") and token:
        return token.strip()[:TOKEN_MAX], Place.HEADER
    if "access_token" in req.params:
        given = req.params["access_token"]
        return (given if isinstance(given, str) else given[0])[:TOKEN_MAX], Place.QUERY
    return "", Place.NOWHERE


def passes_csrf(services: Services, req: falcon.asgi.Request, session: Session) -> bool:
    """Tell whether a writing request whose session came by cookie was meant by the page that sent it."""
    given = req.get_header("X-CSRF-Token") or ""
    expected = session.props.get("csrf", "")
    if expected and hmac.compare_digest(given.encode(), expected.encode()):
        return True
    strict = services.config.flag("ServiceSettings.ExperimentalStrictCSRFEnforcement")
    return not strict and (req.get_header("X-Requested-With") or "") == "XMLHttpRequest"


async def authenticate(
    services: Services, req: falcon.asgi.Request, *, required: bool, csrf: bool
) -> tuple[Session | None, str, bool]:
    """Return (session or None, its token, whether a dead cookie must be cleared).

    required: an unknown or expired token raises 401, else the call goes on without a session.
    csrf: test the token of a writing call whose session came by cookie.
    Raises: 401 for a token in the query that is not an OAuth session's: what stands in a URL gets into logs.
    """
    token, place = find_token(req)
    session = await session_of_token(services, token) if token else None
    if place is Place.QUERY and (session is None or not session.is_oauth):
        raise AppError("api.context.token_provided.app_error", 401)
    if session is None:
        if required:
            raise logged_out()
        return None, "", place is Place.COOKIE
    tested = csrf and place is Place.COOKIE and req.method not in ("GET", "HEAD")
    if tested and not passes_csrf(services, req, session):
        if required:
            raise logged_out()
        return None, "", False
    permissions.grant(services, session)
    return session, token, False
