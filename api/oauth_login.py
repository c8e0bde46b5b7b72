"""A log-in page for browsers where no web client is served. It leads to an app's question, and nowhere else."""

from html import escape
from urllib.parse import quote

from msgspec import Struct

from api import oauth_page
from api.call import Call
from api.oauth_forms import AUTHORIZE, chosen, go, page, read_form, site, sub
from api.routing import Raw, outside
from api.webapp import serves_pages
from tidewire.actions import logins
from tidewire.actions.oauth_apps import check_on
from tidewire.wire.errors import AppError

LOGIN = "/oauth/login"
_FORM = """{told}<form method="post" action="{action}"><input type="hidden" name="redirect_to" value="{back}">
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
        if call.header("Sec-Fetch-Site") not in ("", "same-origin"):
            raise AppError(
                "api.context.permissions.app_error", 403, "Begin again in the app."
            )  # a foreign page's form
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


def _shown(call: Call, back: str, error: AppError | None = None) -> Raw:
    told = "" if error is None else f"<p><b>{escape(error.message)}</b></p>"
    body = _FORM.format(told=told, action=escape(sub(call) + LOGIN), back=escape(back))
    return page(call, oauth_page.whole("Log in", body, site(call)), 200 if error is None else error.status)
