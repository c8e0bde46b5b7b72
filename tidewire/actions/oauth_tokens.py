"""What an app gets for a code or a refresh token: a session of the user's, marked as OAuth.

A code that comes twice ends what it was redeemed for, and so does a refresh token that was replaced: one of the two who
hold it has no right to it. Source: RFC 6749 4.1.3, 5 and 6, RFC 7636 4.6, RFC 9700 4.14; Mattermost API v4,
`/oauth/access_token`.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from msgspec import Struct

from tidewire.actions.oauth_apps import check_on, secret_of
from tidewire.actions.services import Services
from tidewire.actions.sessions import HOUR_MS, announce_change, announce_end
from tidewire.store import oauth_apps, oauth_grants, sessions, users
from tidewire.store.db import Transaction
from tidewire.store.oauth_grants import Code, Grant
from tidewire.store.sessions import token_hash
from tidewire.wire.defaults import session_props
from tidewire.wire.errors import AppError
from tidewire.wire.ids import is_id, new_id, new_token, now_ms
from tidewire.wire.models import Session, User
from tidewire.wire.oauth import SCOPE, AccessToken, OAuthApp, OAuthFault, new_access_token
from tidewire.wire.roles import is_guest

REQUESTS_PER_MINUTE = 1200  # from one address: an app's server asks for all of its users
SESSIONS_KEPT = 20  # of a user for an app: one for each of his devices
REFRESH_MS = 60 * 24 * HOUR_MS  # for so long after an access token's end a refresh token works
OLD_KEPT = 20  # replaced refresh tokens that are still known
ID_LENGTH, REFRESH_LENGTH = 26, 50
_SHORT, _LONG = 43, 128  # characters of a code verifier, RFC 7636 4.1


class TokenRequest(Struct):
    """What an app sends. Members as in RFC 6749 2.3.1, 4.1.3 and 6, RFC 7636 4.5."""

    grant_type: str = ""
    client_id: str = ""
    client_secret: str = ""
    code: str = ""
    redirect_uri: str = ""
    code_verifier: str = ""
    refresh_token: str = ""
    scope: str = ""


async def do_grant(services: Services, request: TokenRequest, address: str) -> tuple[str, AccessToken]:
    """Return a user's id and an access token for what the app shows.

    Raises: OAuthFault; 429 after too many requests or failures from an address; 501.
    """
    check_on(services)
    limits, failures = services.settings.limits, "oauth:" + address
    if not await services.throttle.take(failures, 60, REQUESTS_PER_MINUTE):
        raise AppError("api.context.rate_limit.app_error", 429, "limit exceeded")
    await services.throttle.check(limits, failures)
    try:
        return await _grant(services, request)
    except OAuthFault:
        await services.throttle.note_failure(limits, failures)
        raise


async def _grant(services: Services, request: TokenRequest) -> tuple[str, AccessToken]:
    if request.grant_type == "authorization_code":
        if not request.code:
            raise _fault("missing_code", "invalid_request", "A code is needed.")
        return await _redeem(services, await _check_client(services, request), request)
    if request.grant_type == "refresh_token":
        if not request.refresh_token:
            raise _fault("missing_refresh_token", "invalid_request", "A refresh token is needed.")
        return await _renew(services, await _check_client(services, request), request)
    raise _fault("bad_grant", "unsupported_grant_type", "Only codes and refresh tokens are taken.")


def _fault(name: str, code: str, text: str, status: int = 400) -> OAuthFault:
    return OAuthFault(f"api.oauth.get_access_token.{name}.app_error", status, code, text)


def _bad_code(name: str = "expired_code") -> OAuthFault:
    return _fault(
        name, "invalid_grant", "The code is unknown, used or too old, or was made for something else."
    )


def _bad_refresh() -> OAuthFault:
    return _fault("refresh_token", "invalid_grant", "The refresh token is unknown, replaced or too old.")


async def _check_client(services: Services, request: TokenRequest) -> OAuthApp:
    """Return the app, which has shown its secret if it has one. Unknown looks like wrong."""
    if not is_id(request.client_id):
        raise _fault("bad_client_id", "invalid_request", "Invalid client id.")
    app = await oauth_apps.get(services.db, request.client_id)
    secret = "" if app is None else secret_of(services, app)
    if app is not None and not secret:
        if request.client_secret:
            error_id = "model.oauth.validate_grant.public_client_secret.app_error"
            raise OAuthFault(error_id, 400, "invalid_client", "A public app has no secret.")
        return app
    right = hmac.compare_digest(request.client_secret.encode(), secret.encode())
    if app is None or not right:
        raise _fault("credentials", "invalid_client", "Invalid client credentials.", 401)
    return app


async def _redeem(services: Services, app: OAuthApp, request: TokenRequest) -> tuple[str, AccessToken]:
    hashed, now = token_hash(request.code), now_ms()
    known = await oauth_grants.code_of(services.db, hashed)
    if known is None or known.app_id != app.id:
        raise _bad_code()
    made = None
    async with services.db.transaction() as tx:
        held, user = await _hold(tx, app.id, known.user_id)
        code = await oauth_grants.code_of(tx, hashed)
        if code is None:
            raise _bad_code()
        if code.session_id:
            announce_end(tx, user.id, await sessions.delete(tx, user.id, code.session_id))
        else:
            _check_code(held, code, request, now)
            session_id, made = await _make_session(services, tx, held, user, now)
            await oauth_grants.use_code(tx, hashed, session_id)
    if made is None:
        raise _bad_code()
    return known.user_id, made


async def _hold(tx: Transaction, app_id: str, user_id: str) -> tuple[OAuthApp, User]:
    """Return app and user, who stay as they are until the transaction ends. Raises: OAuthFault where one is gone."""
    held = await oauth_apps.hold(tx, app_id)
    user = await users.lock(tx, user_id)
    if held is None or user is None or user.delete_at:
        raise _bad_code("internal_user")
    return held, user


def _check_code(app: OAuthApp, code: Code, request: TokenRequest, now: int) -> None:
    """Raise OAuthFault unless a code may be redeemed by this request."""
    if code.expires_at <= now:
        raise _bad_code()
    if code.redirect_uri != request.redirect_uri or code.redirect_uri not in app.callback_urls:
        raise _bad_code("redirect_uri")
    verifier, name = request.code_verifier, ""
    if not code.challenge:
        name = "not_used_in_auth" if verifier else "" if app.client_secret else "public_client_required"
    elif not verifier:
        name = "verifier_required"
    elif not hmac.compare_digest(_challenge_of(verifier), code.challenge.encode()):
        name = "verification_failed"
    if name:
        error_id = f"model.authorize.validate_pkce.{name}.app_error"
        raise OAuthFault(error_id, 400, "invalid_grant", "The code verifier does not belong to the code.")


def _challenge_of(verifier: str) -> bytes:
    """Return what a verifier was announced by (RFC 7636 4.2, S256); b"" for what is none."""
    if not (_SHORT <= len(verifier) <= _LONG and verifier.isascii()):
        return b""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")


def _length_ms(services: Services) -> int:
    return services.config.number("ServiceSettings.SessionLengthSSOInHours") * HOUR_MS


def _new_refresh_token(session_id: str) -> str:
    return session_id + new_token()[: REFRESH_LENGTH - ID_LENGTH]


async def _make_session(
    services: Services, tx: Transaction, app: OAuthApp, user: User, now: int
) -> tuple[str, AccessToken]:
    """Store a session of an app; return its id and what opens it. The user's oldest ones for the app end."""
    length = _length_ms(services)
    props = session_props(
        new_token(), platform=app.name, os="OAuth2", browser="OAuth2", guest=is_guest(user.roles)
    )
    session = Session(
        new_id(now), user.id, now, now + length, last_activity_at=now, roles=user.roles, is_oauth=True,
        props={**props, "oauth_app_id": app.id},
    )  # fmt: skip
    made = AccessToken(new_access_token(), length // 1000)
    grant = Grant(app.id, user.id, b"", [], session.expires_at)
    if app.client_secret:  # a public app asks again: nothing tells it from whoever has its refresh token
        made.refresh_token = _new_refresh_token(session.id)
        grant = grant._replace(
            refresh_hash=token_hash(made.refresh_token), refresh_until=session.expires_at + REFRESH_MS
        )
    await sessions.insert(tx, session, hashed=token_hash(made.access_token))
    await oauth_grants.insert_grant(tx, session.id, grant)
    announce_end(tx, user.id, await oauth_grants.end_oldest(tx, app.id, user.id, keep=SESSIONS_KEPT))
    return session.id, made


async def _renew(services: Services, app: OAuthApp, request: TokenRequest) -> tuple[str, AccessToken]:
    if not app.client_secret:
        error_id = "model.oauth.validate_grant.public_client_refresh_token.app_error"
        raise OAuthFault(error_id, 400, "unauthorized_client", "A public app gets no refresh tokens.")
    if set(request.scope.split()) - {SCOPE}:
        raise _fault("scope", "invalid_scope", "The user has not agreed to that.")
    session_id, hashed, now = request.refresh_token[:ID_LENGTH], token_hash(request.refresh_token), now_ms()
    known = await oauth_grants.grant_of(services.db, session_id) if is_id(session_id) else None
    if known is None or known.app_id != app.id:
        raise _bad_refresh()
    made = None
    async with services.db.transaction() as tx:
        await _hold(tx, app.id, known.user_id)
        grant = await oauth_grants.grant_of(tx, session_id)
        if grant is None or (hashed != grant.refresh_hash and hashed not in grant.old_hashes):
            raise _bad_refresh()
        if hashed != grant.refresh_hash or grant.refresh_until <= now:
            announce_end(tx, known.user_id, await sessions.delete(tx, known.user_id, session_id))
        else:
            length = _length_ms(services)
            made = AccessToken(new_access_token(), length // 1000, _new_refresh_token(session_id))
            former = await oauth_grants.renew(
                tx, session_id, token_hash=token_hash(made.access_token),
                refresh_hash=token_hash(str(made.refresh_token)), expires_at=now + length,
                refresh_until=now + length + REFRESH_MS, now=now, keep=OLD_KEPT,
            )  # fmt: skip
            announce_change(tx, known.user_id, former)
    if made is None:
        raise _bad_refresh()
    return known.user_id, made
