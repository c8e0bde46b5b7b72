"""What browsers are told by headers and cookies: which other origins may call, that TLS is wanted, where cookies go.

Source: Mattermost API v4, AllowCorsFrom, TLSStrictTransport, cookies; Fetch, the `Origin` header.
"""

from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import falcon.asgi

from api.webapp import sub_path
from tidewire.actions.config import Config

METHODS = "POST, GET, OPTIONS, PUT, PATCH, DELETE"
PREFLIGHT_S = 86_400  # a browser asks again after a day
ASKED_MAX = 1000  # characters of the headers that a preflight asks for


class CookieScope(NamedTuple):
    """Where the cookies of a login go. domain: None is this host only."""

    path: str
    domain: str | None
    same_site: Literal["None"] | None


def cookie_scope(config: Config, req: falcon.asgi.Request, *, https: bool) -> CookieScope:
    """Return the scope for this site and browser: below the site's path, in foreign pages only if these embed it."""
    embedded = https and req.get_cookie_values("MMEMBED") == ["1"]
    return CookieScope(*_place(config), "None" if embedded else None)


def _place(config: Config) -> tuple[str, str | None]:
    url = config.text("ServiceSettings.SiteURL")
    wide = config.flag("ServiceSettings.AllowCookiesForSubdomains")
    return sub_path(url) or "/", urlsplit(url).hostname if wide else None


def clear_cookie(config: Config, resp: falcon.asgi.Response, name: str) -> None:
    """Make the browser forget a cookie of a login."""
    path, domain = _place(config)
    resp.set_cookie(name, "", max_age=-1, path=path, domain=domain, http_only=True)


def may_call(config: Config, origin: str) -> bool:
    """Tell whether pages of an origin besides the site's own may call. `*` among AllowCorsFrom: any."""
    allowed = config.text("ServiceSettings.AllowCorsFrom").lower().split()
    return "*" in allowed or origin.lower() in allowed


def is_foreign(config: Config, req: falcon.asgi.Request) -> bool:
    """Tell whether the browser says that a form was sent by a page of another site.

    Over plain HTTP none sends Sec-Fetch-Site, and old ones send no Origin with forms: silence says nothing.
    """
    if req.get_header("Sec-Fetch-Site") not in (None, "same-origin"):
        return True
    origin = req.get_header("Origin")
    # A page without a referrer, ours behind some proxies, hides its origin too.
    if origin is None or origin == "null":
        return False
    site = urlsplit(config.text("ServiceSettings.SiteURL")).netloc
    return origin.partition("://")[2].lower() not in {(req.get_header("Host") or "").lower(), site.lower()} - {""}


def tell(config: Config, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
    """Set the headers of any answer: Strict-Transport-Security, and for a page of another origin that may read it."""
    if config.flag("ServiceSettings.TLSStrictTransport"):
        seconds = config.number("ServiceSettings.TLSStrictTransportMaxAge")
        resp.set_header("Strict-Transport-Security", f"max-age={seconds}")
    allowed = config.text("ServiceSettings.AllowCorsFrom")
    if not allowed:
        return
    resp.append_header("Vary", "Origin")
    origin = req.get_header("Origin")
    if not origin or not may_call(config, origin):
        return
    # Never the caller's own origin for `*`: browsers then refuse to send cookies along, and rightly.
    resp.set_header("Access-Control-Allow-Origin", "*" if "*" in allowed.split() else origin)
    if config.flag("ServiceSettings.CorsAllowCredentials"):
        resp.set_header("Access-Control-Allow-Credentials", "true")
    if exposed := config.text("ServiceSettings.CorsExposedHeaders").split():
        resp.set_header("Access-Control-Expose-Headers", ", ".join(exposed))


def answer_preflight(config: Config, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> bool:
    """Answer a browser that asks before it calls from another origin; False if it may not, or asks nothing."""
    origin = req.get_header("Origin")
    if not origin or not req.get_header("Access-Control-Request-Method") or not may_call(config, origin):
        return False
    resp.status = falcon.HTTP_204
    resp.set_header("Access-Control-Allow-Methods", METHODS)
    resp.set_header("Access-Control-Max-Age", str(PREFLIGHT_S))
    if asked := req.get_header("Access-Control-Request-Headers"):
        resp.set_header("Access-Control-Allow-Headers", asked[:ASKED_MAX])
    return True
