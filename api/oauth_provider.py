"""Where apps send users to, and ask for tokens themselves: outside /api/v4, as OAuth 2.0 clients expect it.

Source: Mattermost API v4, `/oauth/authorize`, `/oauth/access_token`, `/oauth/deauthorize`; RFC 6749.
"""

import binascii
import hmac
from base64 import b64decode
from typing import Any
from urllib.parse import unquote_plus, urlencode

import msgspec
from msgspec import Struct

from api import oauth_page
from api.auth import Place, find_token, passes_csrf
from api.call import Call
from api.oauth_forms import AUTHORIZE, FORM, TOKENS, chosen, go, page, read_form, site, sub, unreadable
from api.oauth_login import way_to
from api.routing import OK, PREFIX, Raw, outside
from tidewire.actions import oauth_requests, oauth_tokens
from tidewire.actions.oauth_tokens import TokenRequest
from tidewire.actions.sessions import OAUTH
from tidewire.actions.users import get_user
from tidewire.wire.errors import AppError, logged_out
from tidewire.wire.oauth import SCOPE, AccessToken, AuthorizeRequest, OAuthFault


class AppId(Struct):
    """Which app."""

    client_id: str = ""


def _to_login(call: Call, request: AuthorizeRequest) -> Raw:
    """Send the browser to the log-in page, which sends it back here. Paths only: nobody decides where that is."""
    given = {name: value for name, value in msgspec.structs.asdict(request).items() if value}
    return go(call, way_to(call, f"{sub(call)}{AUTHORIZE}?{urlencode(given)}"))


@outside("GET", AUTHORIZE)
async def authorize_page(call: Call) -> Raw:
    """Ask the user whether an app may act for him; a trusted app gets its code at once."""
    return await _for_browser(call, call.req.query_string.encode(), answered=False)


@outside("POST", AUTHORIZE, audit=True)
async def authorize(call: Call) -> Raw | dict[str, str]:
    """Take the user's answer: the form of our page, or the web client's JSON, which agrees."""
    if call.header("Content-Type").partition(";")[0].strip().lower() == FORM:
        return await _for_browser(call, await call.read(), answered=True)
    session = call.login
    if find_token(call.req)[1] is Place.COOKIE and not passes_csrf(call.services, call.req, session):
        raise logged_out()
    request: AuthorizeRequest = await call.body(AuthorizeRequest, "authorize_request")
    app = await oauth_requests.access_app(call.services, request)
    oauth_requests.check_request(app, request)
    await oauth_requests.check_may_agree(call.services, session)
    return {"redirect": await oauth_requests.do_allow(call.services, session, request)}


async def _for_browser(call: Call, data: bytes, *, answered: bool) -> Raw:
    """Answer with a page or a redirect, errors too. answered: the data are our page's form, not an app's question."""
    try:
        form = read_form(data)
        request: AuthorizeRequest = chosen(AuthorizeRequest, form)
        app = await oauth_requests.access_app(call.services, request)
        session = call.session
        if session is None:
            return _to_login(call, request)
        await oauth_requests.check_may_agree(call.services, session)
        csrf = session.props.get("csrf", "")
        if answered:
            _check_asked(csrf, request, form.get("proof", ""))
        try:
            oauth_requests.check_request(app, request)
            if answered and form.get("answer") != "allow":
                return go(call, oauth_requests.send_back(request, error="access_denied"))
        except OAuthFault as fault:
            if app.is_dynamically_registered is True:
                raise  # nobody has looked at the address: nobody is sent there unasked (RFC 9700 4.11.2)
            told = {"error": fault.code, "error_description": fault.message}
            return go(call, oauth_requests.send_back(request, **told))
        if answered or app.is_trusted:
            return go(call, await oauth_requests.do_allow(call.services, session, request))
        user = await get_user(call.services, session.user_id)
        question = oauth_page.question(
            app, request, username=user.username, csrf=csrf, action=sub(call) + AUTHORIZE, site=site(call)
        )
        return page(call, question)
    except AppError as error:
        return page(call, oauth_page.refusal(error.message, site(call)), error.status)


def _check_asked(csrf: str, request: AuthorizeRequest, proof: str) -> None:
    """Raise 403 for an answer to what this session was not asked: a foreign page's, or a changed one."""
    if not csrf or not hmac.compare_digest(proof.encode(), oauth_page.proof_of(csrf, request).encode()):
        error_id = "api.oauth.allow_oauth.not_asked.app_error"
        raise AppError(
            error_id, 403, "You were asked something else, or as somebody else. Begin again in the app."
        )


@outside("POST", TOKENS, audit=True)
async def access_token(call: Call) -> AccessToken:
    """Redeem a code or a refresh token. The app names itself in the form, or by HTTP's Basic scheme."""
    call.set_header("Cache-Control", "no-store")
    call.set_header("Pragma", "no-cache")
    form = read_form(await call.read())
    request: TokenRequest = chosen(TokenRequest, form)
    scheme, _, given = call.header("Authorization").partition(" ")
    if scheme.lower() == "basic":
        if request.client_secret:
            raise unreadable()  # RFC 6749 2.3: not both ways
        request.client_id, request.client_secret = _basic(given, request.client_id)
    try:
        call.audit_user_id, token = await oauth_tokens.do_grant(call.services, request, call.address)
    except OAuthFault as fault:
        if fault.status == 401:
            call.set_header("WWW-Authenticate", 'Basic realm="oauth"')  # RFC 6749 5.2
        raise
    return token


def _basic(given: str, client_id: str) -> tuple[str, str]:
    """Return id and secret out of an Authorization header (RFC 6749 2.3.1). client_id: of the form, if it has one."""
    try:
        name, _, secret = b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise unreadable() from None
    name, secret = unquote_plus(name), unquote_plus(secret)
    if client_id not in ("", name):
        raise unreadable()
    return name, secret


@outside("POST", "/oauth/deauthorize", audit=True, csrf=True)
async def deauthorize(call: Call) -> bytes:
    """End what the caller has granted an app."""
    body: AppId = await call.body(AppId, "client_id")
    await oauth_requests.do_deauthorize(call.services, call.login, body.client_id)
    return OK


@outside("GET", "/.well-known/oauth-authorization-server")
async def describe_provider(call: Call) -> dict[str, Any]:
    """Tell clients where to go and what is offered (RFC 8414). 501 without a SiteURL: there is no address to name."""
    config = call.services.config
    url = config.text("ServiceSettings.SiteURL").rstrip("/")
    if not (url and config.flag(OAUTH)):
        raise AppError(
            "api.oauth.authorization_server_metadata.disabled.app_error", 501, "Not offered by this server."
        )
    described = {
        "issuer": url,
        "authorization_endpoint": url + AUTHORIZE,
        "token_endpoint": url + TOKENS,
        "response_types_supported": ["code"],
        "scopes_supported": [SCOPE],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "none"],
        "code_challenge_methods_supported": ["S256"],
    }
    if config.flag("ServiceSettings.EnableDynamicClientRegistration"):
        described["registration_endpoint"] = f"{url}{PREFIX}/oauth/apps/register"
    return described
