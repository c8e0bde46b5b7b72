"""What an app asks a user for: whether it may ask so, and the code that it gets when he agrees.

A code works once, within ten minutes, for the app, the redirect URI and the user it was made for, and ends with the
login that agreed.

Source: RFC 6749 4.1, RFC 7636, RFC 9700; Mattermost API v4, `/oauth/authorize`, `/oauth/deauthorize`.
"""

import re
from urllib.parse import urlencode

from tidewire.actions import mfa, permissions
from tidewire.actions.oauth_apps import PREFERENCE, check_on, do_revoke, missing
from tidewire.actions.preferences import announce_changed
from tidewire.actions.services import Services
from tidewire.actions.sessions import BY_ACCESS_TOKEN
from tidewire.store import oauth_apps, oauth_grants, preferences, sessions, users
from tidewire.store.oauth_grants import Code
from tidewire.store.sessions import token_hash
from tidewire.wire.errors import AppError, body_param, logged_out
from tidewire.wire.ids import is_id, new_token, now_ms
from tidewire.wire.models import Preference, Session
from tidewire.wire.oauth import SCOPE, AuthorizeRequest, OAuthApp, OAuthFault

CODE_MS = 10 * 60_000
CODES_KEPT = 10  # of a user for an app, not redeemed
REMEMBERED_MS = 24 * 3_600_000  # for so long after its end a code is known to have been redeemed
STATE_MAX, SCOPE_MAX = 1024, 128  # characters; Mattermost API v4
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")  # SHA-256 in base64url, RFC 7636 4.2


async def access_app(services: Services, request: AuthorizeRequest) -> OAuthApp:
    """Return the app that asks. What this raises is shown to the user: nobody is to be sent to such an address.

    Raises: 400, 404, 501.
    """
    check_on(services)
    if not is_id(request.client_id):
        raise AppError("model.authorize.is_valid.client_id.app_error", 400, "Invalid client id.")
    app = await oauth_apps.get(services.db, request.client_id)
    if app is None:
        raise missing()
    if request.redirect_uri not in app.callback_urls:
        error_id = "api.oauth.allow_oauth.redirect_callback.app_error"
        raise AppError(error_id, 400, "The redirect URI is not one of the app's callback URLs.")
    if len(request.state) > STATE_MAX:
        raise AppError("model.authorize.is_valid.state.app_error", 400, "Invalid state.")
    return app


def check_request(app: OAuthApp, request: AuthorizeRequest) -> None:
    """Raise OAuthFault, of which the app is to be told, unless it asks as it may."""
    if request.response_type != "code":
        error_id = "model.authorize.is_valid.response_type.app_error"
        raise OAuthFault(error_id, 400, "unsupported_response_type", "Only response_type=code is offered.")
    if len(request.scope) > SCOPE_MAX:
        raise _invalid("scope", "invalid_scope")
    if not request.code_challenge:
        if request.code_challenge_method:
            raise _invalid("code_challenge")
        if not app.client_secret:
            error_id = "api.oauth.allow_oauth.pkce_required_public.app_error"
            raise OAuthFault(error_id, 400, "invalid_request", "A public app must use PKCE.")
    elif request.code_challenge_method != "S256":
        raise _invalid("code_challenge_method")
    elif not _CHALLENGE.match(request.code_challenge):
        raise _invalid("code_challenge")


def _invalid(name: str, code: str = "invalid_request") -> OAuthFault:
    return OAuthFault(f"model.authorize.is_valid.{name}.app_error", 400, code, f"Invalid {name}.")


async def check_may_agree(services: Services, session: Session) -> None:
    """Raise 403 for a caller who cannot agree: an app, or one who must set up a second factor first."""
    permissions.check_not_oauth(session)
    await mfa.check_enforced(services, session)


async def do_allow(services: Services, session: Session, request: AuthorizeRequest) -> str:
    """Return where the user is to be sent: to the app, with a code. What he is asked was checked before.

    Raises: 401 where the login ended meanwhile; 404, 400 where the app is another now.
    """
    code, now = new_token() + new_token(), now_ms()
    row = Code(
        request.client_id, session.user_id, request.redirect_uri, request.code_challenge, now + CODE_MS
    )
    by_access_token = session.props.get("type") == BY_ACCESS_TOKEN
    granted = [Preference(session.user_id, PREFERENCE, request.client_id, SCOPE)]
    async with services.db.transaction() as tx:
        app = await oauth_apps.hold(tx, request.client_id)
        if app is None:
            raise missing()
        check_request(app, request)
        user = await users.lock(tx, session.user_id)
        login = None if by_access_token else await sessions.by_id(tx, session.id)
        if user is None or user.delete_at or (login is None and not by_access_token):
            raise logged_out()
        await oauth_grants.insert_code(
            tx, token_hash(code), row, login_id=None if login is None else login.id, keep=CODES_KEPT,
            forget_before=now - REMEMBERED_MS,
        )  # fmt: skip
        await oauth_grants.put_authorized(tx, app.id, user.id)
        await preferences.put(tx, user.id, granted)
        announce_changed(tx, user.id, granted)
    return send_back(request, code=code)


def send_back(request: AuthorizeRequest, **answer: str) -> str:
    """Return the redirect URI with an answer in its query, and the app's state as it came (RFC 6749 4.1.2)."""
    if request.state:
        answer["state"] = request.state
    uri = request.redirect_uri
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(answer)}"


async def do_deauthorize(services: Services, session: Session, app_id: str) -> None:
    """End what the caller has granted an app: its sessions of his, and codes. Raises: 400, 403, 501."""
    permissions.check_not_oauth(session)
    check_on(services)
    if not is_id(app_id):
        raise body_param("client_id")
    async with services.db.transaction() as tx:
        await users.lock_all(tx, [session.user_id])
        await do_revoke(tx, app_id, [session.user_id])
