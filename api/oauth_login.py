"""A log-in page for browsers where no web client is served. It leads to an app's question, and nowhere else.

A foreign page must not log a browser in as somebody else. Besides what the browser says of where a form is from, which
over plain HTTP may be nothing, the form holds what only a page can that was shown with the browser's cookie.
"""

import hmac
from hashlib import sha256
from html import escape
from urllib.parse import quote

from msgspec import Struct

from api import browsers, oauth_page
from api.call import Call
from api.oauth_forms import AUTHORIZE, chosen, go, page, read_form, site, sub
from api.routing import Raw, outside
from api.webapp import serves_pages
from tidewire.actions import logins
from tidewire.actions.oauth_apps import check_on
from tidewire.wire.errors import AppError
from tidewire.wire.ids import is_id, new_token

LOGIN = "/oauth/login"
COOKIE = "TWLOGIN"  # a random secret, for this page only
_FORM = """{told}<form method="post" action="{action}"><input type="hidden" name="redirect_to" value="{back}">
<input type="hidden" name="proof" value="{proof}">
<p><label>E-mail or username<br><input name="login_id" autocomplete="username" required></label></p>
<p><label>Password<br><input name="password" type="password" autocomplete="current-password" required></label></p>
<p><label>Code, if you use a second factor<br>
<input name="token" inputmode="numeric" autocomplete="one-time-code"></label></p>
<button class="yes">Log in</button></form>"""


class Form(Struct):
    """What the page sends."""

    login_id: str = ""
    password: str = ""
    token: str = ""
    redirect_to: str = ""
    proof: str = ""


def way_to(call: Call, back: str) -> str:
    """Return where a browser logs in that is to come back: a path. The web client's page where there is one."""
    client = call.services.settings.web.directory and serves_pages(call.services.config)
    return f"{sub(call)}{'/login' if client else LOGIN}?redirect_to={quote(back, safe='')}"


@outside("GET", LOGIN)
async def login_page(call: Call) -> Raw:
    """Show the page."""
    try:
        return _shown(call, _checked(call, call.query("redirect_to")))
    except AppError as error:
        return page(call, oauth_page.refusal(error.message, site(call)), error.status)


@outside("POST", LOGIN, audit=True)
async def login_by_form(call: Call) -> Raw:
    """Log a browser in and send it to the question that it came for."""
    client = logins.Client(call.address, call.header("User-Agent"))
    call.session = None  # whoever was logged in before
    try:
        form: Form = chosen(Form, read_form(await call.read()))
        back = _checked(call, form.redirect_to)
        _check_shown(call, back, form.proof)
    except AppError as error:
        return page(call, oauth_page.refusal(error.message, site(call)), error.status)
    try:
        _, session = await logins.do_login(
            call.services,
            logins.Login(login_id=form.login_id, password=form.password, token=form.token),
            client,
        )
    except AppError as error:
        if error.status == 429:
            raise
        return _shown(call, back, error)
    finally:
        call.audit_user_id = client.user_id
    call.set_session_cookies(session, session.token)
    return go(call, back)


def _checked(call: Call, back: str) -> str:
    """Return where to come back to. Raises: 400 for anything but an app's question; 501."""
    check_on(call.services)
    if not back.startswith(f"{sub(call)}{AUTHORIZE}?") or not back.isascii() or not back.isprintable():
        raise AppError("api.context.invalid_url_param.app_error", 400, name="redirect_to")
    return back


def _secret(call: Call) -> str:
    """Return the secret of the browser's cookie, "" for none."""
    secret = (call.req.get_cookie_values(COOKIE) or [""])[0]
    return secret if is_id(secret) else ""


def _proof(secret: str, back: str) -> str:
    return hmac.new(secret.encode(), back.encode(), sha256).hexdigest()


def _check_shown(call: Call, back: str, proof: str) -> None:
    """Raise 403 for a form that this browser was not shown."""
    secret = _secret(call)
    shown = secret != "" and hmac.compare_digest(proof.encode(), _proof(secret, back).encode())
    if not shown or browsers.is_foreign(call.services.config, call.req):
        raise AppError("api.context.permissions.app_error", 403, "Begin again in the app.")


def _shown(call: Call, back: str, error: AppError | None = None) -> Raw:
    """Return the page. The cookie stays where there is one: forms in other tabs go on."""
    secret = _secret(call)
    if not secret:
        secret = new_token()
        call.resp.set_cookie(
            COOKIE, secret, path=sub(call) + LOGIN, secure=call.https, http_only=True, same_site="Lax"
        )
    told = "" if error is None else f"<p><b>{escape(error.message)}</b></p>"
    body = _FORM.format(
        told=told, action=escape(sub(call) + LOGIN), back=escape(back), proof=_proof(secret, back)
    )
    return page(call, oauth_page.whole("Log in", body, site(call)), 200 if error is None else error.status)
