"""The opening handshake as a pure function: the head of a request in, an upgrade or an HTTP answer out.

Knows HTTP and the contract's rules for the upgrade; knows no sockets and no sessions. picows parses and validates:
the two functions used here are not public, hence the exact pin of picows in pyproject.toml. Answers never repeat
what the client sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import msgspec
from picows.picows import _parse_http_request, _validate_upgrade_request  # type: ignore[attr-defined]  # not in its stubs

from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id

HEAD_LIMIT_BYTES = 16 * 1024  # what picows accepts, and far above what browsers and balancers send
WEBSOCKET_PATHS = frozenset({"/api/v4/websocket", "/api/v4/websocket/"})
HEALTH_PATHS = frozenset({"/health", "/api/v4/system/ping"})
DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
WINDOW_BITS = frozenset(str(bits) for bits in range(8, 16))
DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request for a WebSocket. headers: names in any case; query: the first value of each name; deflate: messages
    may be compressed."""

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    remote: str
    deflate: bool = False


class Refusal(Exception):
    """The request gets an HTTP answer and no WebSocket. answer: the whole of it."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer.split(b"\r\n", 1)[0].decode())
        self.answer = answer


def encode_answer(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return an HTTP answer with a JSON body, after which the connection closes."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def origin_allowed(origin: str | None, host: str, site_url: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether a browser on this origin may connect.

    Source: Mattermost API v4, WebSocket handshake: no Origin header passes; without a list it must be the site's, or
    name the request's Host while no site URL is set; with a list it must be in it (the site is), "*" is any.
    """
    if origin is None:
        return True
    if origin == "null":
        return False
    if "*" in allowed:
        return True
    if allowed or site_url:
        return origin in {_origin_of(url) for url in (*allowed, site_url) if url}
    scheme, _, rest = origin.partition("://")
    return bool(rest) and rest == host.lower().removesuffix(":" + DEFAULT_PORTS.get(scheme, ""))


def _origin_of(url: str) -> str:
    """Return an address as a browser would name its origin: no path, no default port, lower case; "null" for none."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an administrator's slip in AllowCorsFrom
        return "null"
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme.lower()}://{host.removesuffix(':' + DEFAULT_PORTS.get(parts.scheme.lower(), ''))}"


def accept_deflate(offers: str) -> str:
    """Return the answer to the first offer of permessage-deflate that we can keep, empty if there is none.

    offers: what the client's Sec-WebSocket-Extensions lines say, joined by commas. Never with context: an event is
    compressed once for all. A smaller server window is declined: the same bytes go to everyone.
    Source: RFC 7692 7.1; RFC 6455 9.1.
    """
    for offer in offers.split(","):
        name, *words = (word.strip() for word in offer.split(";"))
        parameters: dict[str, str | None] = {}
        for word in words:
            key, equals, value = (part.strip() for part in word.partition("="))
            if key in parameters or not _deflate_allows(key, value.strip('"') if equals else None):
                break
            parameters[key] = value
        else:
            if name == "permessage-deflate":
                return DEFLATE + (
                    "; server_max_window_bits=15" if "server_max_window_bits" in parameters else ""
                )
    return ""


def _deflate_allows(key: str, value: str | None) -> bool:
    """Tell whether an offer with this parameter can be accepted."""
    match key:
        case "server_no_context_takeover" | "client_no_context_takeover":
            return value is None
        case "client_max_window_bits":  # it says what the client could do; we do not ask it to
            return value is None or value in WINDOW_BITS
        case "server_max_window_bits":
            return value == "15"
    return False


class Handshake:
    """The rules of one server. version_id: as in X-Version-ID; compression: permessage-deflate is accepted; draining:
    health answers 404 meanwhile."""

    def __init__(
        self,
        *,
        site_url: str = "",
        allowed_origins: tuple[str, ...] = (),
        version_id: str = "",
        compression: bool = False,
        paths: frozenset[str] = WEBSOCKET_PATHS,
    ) -> None:
        self.site_url = site_url
        self.other_origins: tuple[str, ...] = ()  # besides allowed_origins: AllowCorsFrom
        self._allowed_origins = allowed_origins
        self.version_id = version_id
        self._compression = compression
        self._paths = paths
        self.draining = False

    def _headers(self, request_id: str) -> dict[str, str]:
        headers = {"X-Request-ID": request_id}
        if self.version_id:
            headers["X-Version-ID"] = self.version_id
        return headers

    def refusal(self, status: int, error_id: str, **headers: str) -> Refusal:
        """Return a refusal with the contract's error body; headers: more of them, `_` for `-`."""
        request_id = new_id()
        error = AppError(error_id, status)
        body = msgspec.json.encode(
            {
                "id": error.id,
                "message": error.message,
                "detailed_error": "",
                "request_id": request_id,
                "status_code": status,
            }
        )
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return Refusal(encode_answer(status, body, self._headers(request_id) | more))

    def read(self, head: bytes, remote: str) -> tuple[Upgrade, bytes]:
        """Return the upgrade that a request's head (without its empty line) asks for, and the 101 to answer with.

        Raises: Refusal, with every other answer.
        """
        try:
            request = _parse_http_request(head)
            target = request.path.decode("ascii")
        except (RuntimeError, UnicodeDecodeError) as error:
            raise self.refusal(400, "api.web_socket.connect.upgrade.app_error") from error
        path, _, query = target.partition("?")
        # The site's address may have a path, below which its clients call.
        path = path.removeprefix(urlsplit(self.site_url).path.rstrip("/")) if self.site_url else path
        if path in HEALTH_PATHS and not self.draining:
            raise Refusal(encode_answer(200, b'{"status":"OK"}', self._headers(new_id())))
        if path not in self._paths:
            raise self.refusal(404, "api.context.404.app_error")
        headers = request.headers
        if "upgrade" in {part.strip().lower() for part in headers.get("Connection", "").split(",")}:
            headers["Connection"] = (
                "upgrade"  # Firefox sends "keep-alive, Upgrade"; picows wants the one word
            )
        version = headers.get("Sec-WebSocket-Version", "13")
        if version != "13":
            raise self.refusal(426, "api.web_socket.connect.upgrade.app_error", Sec_WebSocket_Version="13")
        try:
            accept = _validate_upgrade_request(request).decode()
        except RuntimeError as error:
            raise self.refusal(400, "api.web_socket.connect.upgrade.app_error") from error
        origins = self._allowed_origins + self.other_origins
        if not origin_allowed(headers.get("Origin"), headers.get("Host", ""), self.site_url, origins):
            raise self.refusal(403, "api.web_socket.connect.upgrade.app_error")
        answer = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
        agreed = ""
        if self._compression:
            agreed = accept_deflate(",".join(headers.getall("Sec-WebSocket-Extensions", ())))
        if agreed:
            answer["Sec-WebSocket-Extensions"] = agreed
        lines = [f"{name}: {value}" for name, value in (answer | self._headers(new_id())).items()]
        upgrade = Upgrade(path, _first_of_each(query), headers, remote, deflate=bool(agreed))
        return upgrade, "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()


def _first_of_each(query: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, value)
    return values
