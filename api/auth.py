"""Who is calling: the token of a request, its session, and the CSRF test. Sessions: tidewire.actions.sessions."""

import hmac

import falcon.asgi

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.sessions import session_of_token
from tidewire.wire.errors import AppError, logged_out
from tidewire.wire.models import Session

TOKEN_MAX = 50
COOKIE_TOKEN, COOKIE_USER, COOKIE_CSRF = "MMAUTHTOKEN", "MMUSERID", "MMCSRF"


def find_token(req: falcon.asgi.Request) -> tuple[str, bool]:
    """Return (token, whether it came by cookie); "" if there is none.

    Source: Mattermost API v4, request authentication: cookie, bearer, token; the cookie beats the header.
    Raises: 401 for a token in the query, which only OAuth sessions may use, and we have none.
    """
    values = req.get_cookie_values(COOKIE_TOKEN)
    if values and values[0]:
        return values[0][:TOKEN_MAX], True
    scheme, _, token = (req.get_header("Authorization") or "").partition(" ")
    if scheme.lower() in ("bearer", "token") and token:
        return token.strip()[:TOKEN_MAX], False
    if "access_token" in req.params:
        raise AppError("api.context.token_provided.app_error", 401)
    return "", False


async def authenticate(
    services: Services, req: falcon.asgi.Request, *, required: bool, csrf: bool
) -> tuple[Session | None, str, bool]:
    """Return (session or None, its token, whether a dead cookie must be cleared).

    required: an unknown or expired token raises 401, else the call goes on without a session.
    csrf: test the token of a writing call whose session came by cookie.
    """
    token, by_cookie = find_token(req)
    session = await session_of_token(services, token) if token else None
    if session is None:
        if required:
            raise logged_out()
        return None, "", by_cookie
    if csrf and by_cookie and req.method not in ("GET", "HEAD"):
        given = req.get_header("X-CSRF-Token") or ""
        expected = session.props.get("csrf", "")
        same = bool(expected) and hmac.compare_digest(given.encode(), expected.encode())
        strict = services.config.flag("ServiceSettings.ExperimentalStrictCSRFEnforcement")
        if not same and (strict or (req.get_header("X-Requested-With") or "") != "XMLHttpRequest"):
            if required:
                raise logged_out()
            return None, "", False
    permissions.grant(services, session)
    return session, token, False
