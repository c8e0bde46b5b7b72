"""A request as handlers see it: validated parameters, typed bodies, the session. Hides Falcon from the handlers."""

from collections.abc import Iterable
from functools import cache
from typing import Any, TypedDict

import msgspec

from api import browsers
from api.asgi import Request, Response
from api.auth import COOKIE_CSRF, COOKIE_TOKEN, COOKIE_USER
from api.proxies import Proxies
from tidewire.actions import sessions
from tidewire.actions.services import Services
from tidewire.wire.errors import AppError, Unavailable, body_param, logged_out, url_param
from tidewire.wire.ids import is_id, now_ms
from tidewire.wire.models import Session
from tidewire.wire.nul import has_nul

PER_PAGE_DEFAULT, PER_PAGE_MAX = 60, 200
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})  # Go's ParseBool, which the contract names
_ids = msgspec.json.Decoder(list[str])


def _too_large() -> AppError:
    return AppError("api.context.request_body_too_large.app_error", 413)


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def _without_nulls(data: bytes, shape: Any, name: str, error: msgspec.ValidationError) -> Any:
    """Decode again without members that are null: to the reference, and so to its clients, null means "not given"."""
    try:
        raw = msgspec.json.decode(data)
        if not isinstance(raw, dict) or None not in raw.values():
            raise body_param(name) from error
        return msgspec.convert({key: value for key, value in raw.items() if value is not None}, shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise body_param(name) from wrong


class Window(TypedDict):
    """Which rows of a list a page is."""

    limit: int
    offset: int


class Call:
    """One request. `session` is None only on open routes; `user_id` raises 401 then."""

    __slots__ = ("audit_user_id", "params", "proxies", "req", "resp", "services", "session", "token")

    def __init__(
        self,
        services: Services,
        proxies: Proxies,
        req: Request,
        resp: Response,
        params: dict[str, str],
        session: Session | None,
        token: str,
    ) -> None:
        self.services = services
        self.proxies = proxies
        self.req = req
        self.resp = resp
        self.params = params
        self.session = session
        self.token = token
        self.audit_user_id = ""  # whose audit log the call belongs to, where no session says it

    @property
    def login(self) -> Session:
        """The session; raises 401 without one."""
        if self.session is None:
            raise logged_out()
        return self.session

    @property
    def user_id(self) -> str:
        """Whose session it is."""
        return self.login.user_id

    def param(self, name: str) -> str:
        """Return a path parameter as it is, without NUL and not over 1,000 characters."""
        value = self.params[name]
        if "\0" in value or len(value) > 1000:
            raise url_param(name)
        return value

    def path_id(self, name: str) -> str:
        """Return an id of the path; "me" is the caller where the name is user_id. Raises: 400 invalid_url_param."""
        value = self.params[name]
        if name == "user_id" and value == "me":
            return self.user_id
        if not is_id(value):
            raise url_param(name)
        return value

    async def body(self, shape: Any, name: str = "body") -> Any:
        """Return the JSON body as `shape` (a msgspec Struct or type). Raises: 400 invalid_body_param, 413."""
        data = await self.read()
        try:
            return _decoder(shape).decode(data)
        except msgspec.ValidationError as error:
            return _without_nulls(data, shape, name, error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise body_param(name) from error

    async def id_list(self, limit: int = 1000) -> list[str]:
        """Return a bare JSON array of strings, without repeats, in order. Raises: 400 if empty or over the limit."""
        try:
            values = list(dict.fromkeys(_ids.decode(await self.read())))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise body_param("body") from error
        if not values or len(values) > limit:
            raise body_param("body")
        return values

    async def read(self) -> bytes:
        """Return the body. Raises: 413 over the limit, counted while it comes; 400 for a NUL in a string."""
        limit = self.services.config.number("ServiceSettings.MaximumPayloadSizeBytes")
        length = self.req.content_length
        if (length or 0) > limit:
            raise _too_large()
        if length is not None:
            data = await self.req.whole(length)
        else:
            chunks = bytearray()
            async for chunk in self.req.stream:
                chunks += chunk
                if len(chunks) > limit:
                    raise _too_large()
            data = bytes(chunks)
        if has_nul(data):
            raise body_param("body")
        return data

    def query(self, name: str, default: str = "") -> str:
        """Return a query parameter, the first where it repeats."""
        value = self.req.params.get(name, default)
        value = value if isinstance(value, str) else value[0]
        if "\0" in value:
            raise url_param(name)
        return value

    def flag(self, name: str) -> bool:
        """Tell whether a boolean query parameter is set."""
        return self.query(name) in _TRUE

    def number(self, name: str, default: int, *, low: int = 0, high: int = 2**53) -> int:
        """Return a whole number of the query between low and high, or the default where it is none."""
        text = self.query(name)
        # isdigit and a length bound: int() would accept a million digits.
        if len(text) > 16 or not (text.isascii() and text.isdigit()):
            return default
        return max(low, min(int(text), high))

    def paging(self) -> tuple[int, int]:
        """Return (page, per_page). Source: Mattermost API v4, page from 0, per_page 60, silently at most 200."""
        per_page = self.number("per_page", PER_PAGE_DEFAULT, high=PER_PAGE_MAX)
        return self.number("page", 0, high=10**6), per_page

    def window(self) -> Window:
        """Return the page that is asked for as rows; see paging."""
        page, per_page = self.paging()
        return {"limit": per_page, "offset": page * per_page}

    def header(self, name: str) -> str:
        """Return a request header or ""."""
        return self.req.get_header(name) or ""

    def set_header(self, name: str, value: str) -> None:
        """Add a response header."""
        self.resp.set_header(name, value)

    def set_cookies(self, cookies: Iterable[tuple[str, str, bool]], max_age_s: int) -> None:
        """Set (name, value, http_only) cookies for this site; Secure when the client came by https."""
        path, domain, same_site = browsers.cookie_scope(self.services.config, self.req, https=self.https)
        for name, value, http_only in cookies:
            self.resp.set_cookie(
                name,
                value,
                max_age=max_age_s,
                path=path,
                domain=domain,
                secure=self.https,
                http_only=http_only,
                same_site=same_site,
            )

    def set_session_cookies(self, session: Session, token: str) -> None:
        """Set the three cookies that a browser is logged in by. Source: Mattermost API v4, cookies."""
        cookies = [
            (COOKIE_TOKEN, token, True),
            (COOKIE_USER, session.user_id, False),
            (COOKIE_CSRF, session.props.get("csrf", ""), False),
        ]
        self.set_cookies(cookies, max(0, session.expires_at - now_ms()) // 1000)

    def renew_cookies(self) -> None:
        """Set them again after the session's end has moved, for a caller who has them."""
        if self.req.get_cookie_values(COOKIE_TOKEN):
            self.set_session_cookies(self.login, self.token)

    async def extend_session(self) -> None:
        """Let the session live on, because it is used; what it was used for has happened, and is answered for."""
        try:
            extended = await sessions.do_extend(self.services.db, self.services.config, self.login)
        except Unavailable:
            return  # the next use will do it
        if extended:
            self.renew_cookies()

    def clear_cookie(self, name: str) -> None:
        """Make the client forget a cookie."""
        browsers.clear_cookie(self.services.config, self.resp, name)

    @property
    def https(self) -> bool:
        """Whether the client came by https, as the trusted proxy in front says."""
        return self.proxies.https(self.req)

    @property
    def address(self) -> str:
        """The client's address, as the trusted proxies in front say."""
        return self.proxies.address(self.req)

    def not_modified(self, etag: str) -> bool:
        """Set the ETag; tell whether the client has this version. Compared as a string, without quotes.

        A balancer that compressed the answer took the ETag for a quoted one and wrote `<etag>-gzip"`.
        """
        self.resp.set_header("ETag", etag)
        return self.header("If-None-Match").removesuffix('"').removesuffix("-gzip") == etag
