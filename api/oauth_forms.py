"""What the OAuth provider's pages and endpoints have in common: forms in, pages and redirects out."""

from typing import Any
from urllib.parse import parse_qsl

from api import oauth_page
from api.call import Call
from api.routing import Raw
from api.webapp import sub_path
from tidewire.wire.oauth import OAuthFault

FIELDS_MAX = 30
FORM = "application/x-www-form-urlencoded"
AUTHORIZE, TOKENS = "/oauth/authorize", "/oauth/access_token"


def read_form(data: bytes) -> dict[str, str]:
    """Return a form's fields. Raises: OAuthFault for what is none, or names one twice (RFC 6749 3.1 and 3.2)."""
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise unreadable() from None
    form = dict(pairs)
    if len(form) != len(pairs) or any("\0" in value for value in form.values()):
        raise unreadable()
    return form


def unreadable() -> OAuthFault:
    """Return the 400 for a request that is no form, or contradicts itself."""
    error_id = "api.oauth.invalid_request.app_error"
    return OAuthFault(
        error_id, 400, "invalid_request", "The request cannot be read, or says something twice."
    )


def chosen(shape: Any, form: dict[str, str]) -> Any:
    """Return a struct of strings out of a form; what it has no member for is ignored (RFC 6749 3.1)."""
    return shape(**{name: form[name] for name in shape.__struct_fields__ if name in form})


def sub(call: Call) -> str:
    """Return the path of the site's address, "" for none."""
    return sub_path(call.services.config.text("ServiceSettings.SiteURL"))


def site(call: Call) -> str:
    """Return the site's name."""
    return call.services.config.text("TeamSettings.SiteName")


def page(call: Call, data: bytes, status: int = 200) -> Raw:
    """Return a page as an answer, which nobody keeps or frames."""
    for name, value in oauth_page.HEADERS.items():
        call.set_header(name, value)
    return Raw(data, oauth_page.KIND, status)


def go(call: Call, where: str) -> Raw:
    """Send the browser on, by GET whatever it asked by (RFC 9110 15.4.4)."""
    call.set_header("Location", where)
    call.set_header("Cache-Control", "no-store")
    return Raw(b"", "text/plain", 303 if call.req.method == "POST" else 302)
