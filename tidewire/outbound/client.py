"""The one client for requests to addresses that users name. Knows no rules of chat.

A URL is read by the parser of the library that sends the request, a name is looked up once, every address behind it is
checked, and the request goes to the address that was checked. A redirect is a new request with the same checks.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import NamedTuple

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url

from tidewire.outbound.addresses import AllowList

AT_ONCE, AT_ONCE_PER_HOST = 64, 8
ORIGINS = 64  # clients kept: making one takes 10 ms, most of it certificates
URL_MAX = 2048
CONNECT_S = 5.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEPT_ON_REDIRECT = frozenset({"accept", "user-agent"})


class FetchError(Exception):
    """Why there is no answer, in words that may be shown. `refused`: the address itself is not allowed."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


class Answer(NamedTuple):
    """What came back. body: decoded, at most what was asked for. url: where it came from, after redirects."""

    status: int
    content_type: str
    body: bytes
    url: str


class _Origin:
    """A client with the place for its requests."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.users = 0
        self._room = asyncio.Semaphore(AT_ONCE_PER_HOST)

    async def __aenter__(self) -> Client:
        self.users += 1
        try:
            await self._room.acquire()
        except BaseException:
            self.users -= 1
            raise
        return self.client

    async def __aexit__(self, *_: object) -> None:
        self._room.release()
        self.users -= 1


class _Target(NamedTuple):
    host: str
    address: str
    port: int
    insecure: bool


class Outbound:
    """Sends requests. allowed: hosts besides the public ones, as in AllowList; insecure: take any certificate."""

    def __init__(self, allowed: Callable[[], str], insecure: Callable[[], bool]) -> None:
        self._allowed = allowed
        self._insecure = insecure
        self._list = ("", AllowList(""))
        self._room = asyncio.Semaphore(AT_ONCE)
        self._origins: OrderedDict[_Target, _Origin] = OrderedDict()

    async def close(self) -> None:
        """Close the connections that wait for more."""
        while self._origins:
            _, origin = self._origins.popitem()
            await origin.client.close()

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        timeout_s: float,
        limit: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        hops: int = 0,
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        timeout_s: for all of it, waiting for a place included. limit: bytes of the answer, decompressed. hops: how many
        redirects are followed; the one after them is the answer. Raises: FetchError.
        """
        try:
            async with asyncio.timeout(timeout_s), self._room:
                return await self._fetch(method, url, dict(headers or {}), body, limit, hops)
        except TimeoutError:
            raise FetchError(f"no answer within {timeout_s:g} s") from None

    async def _fetch(
        self, method: str, text: str, headers: dict[str, str], body: bytes, limit: int, hops: int
    ) -> Answer:
        url = parse(text)
        while True:
            origin = await self._origin(await self._target(url))
            async with origin as client:
                status, kind, location, data = await _send(client, method, url, headers, body, limit)
            if status not in _REDIRECTS or not hops or not location:
                return Answer(status, kind, data, str(url))
            hops -= 1
            before, url = url, parse(str(url.join(location)))
            if before.scheme == "https" and url.scheme == "http":
                raise FetchError("a redirect leaves https", refused=True)
            headers = {name: value for name, value in headers.items() if name.lower() in _KEPT_ON_REDIRECT}
            if status < 307:
                method, body = "GET" if method != "HEAD" else "HEAD", b""

    async def _target(self, url: Url) -> _Target:
        """Return where to send it. Raises: FetchError where that is not allowed, or there is no such name."""
        host, port = (url.host_str or "").strip("[]").lower(), url.port_or_known_default or 0
        try:
            addresses = [str(ip_address(host))]
        except ValueError:
            addresses = await look_up(host, port)
        text = self._allowed()
        if text != self._list[0]:
            self._list = (text, AllowList(text))
        if not self._list[1].permits(host, addresses):
            raise FetchError("this address is not allowed", refused=True)
        return _Target(host, addresses[0], port, self._insecure())

    async def _origin(self, target: _Target) -> _Origin:
        found = self._origins.get(target)
        if found is None:
            made = _Origin(await asyncio.to_thread(_make_client, target))
            found = self._origins.setdefault(target, made)  # another request may have been quicker
        self._origins.move_to_end(target)
        # One in use stays until it is not: closing it would cut requests that are under way.
        idle = [key for key, one in self._origins.items() if one is not found and not one.users]
        for key in idle[: max(0, len(self._origins) - ORIGINS)]:
            await self._origins.pop(key).client.close()
        return found


def parse(text: str) -> Url:
    """Return a URL that may be asked. Raises: FetchError for what is none, or no http(s), or names a user."""
    if len(text) > URL_MAX:
        raise FetchError("the URL is too long", refused=True)
    try:
        url = Url(text)
    except ValueError:
        raise FetchError("this is no URL", refused=True) from None
    if url.scheme not in ("http", "https") or not url.host_str:
        raise FetchError("only http and https addresses are asked", refused=True)
    if url.username or url.password:
        raise FetchError("an address with a user's name is not asked", refused=True)
    return url


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses behind a name, each one to be checked. Raises: FetchError if there are none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError("there is no such host") from None
    return [str(entry[4][0]).partition("%")[0] for entry in found]


def _make_client(target: _Target) -> Client:
    builder = (
        ClientBuilder()
        .no_proxy()
        .follow_redirects(False)
        .referer(False)
        .user_agent("Tidewire")
        .connect_timeout(timedelta(seconds=CONNECT_S))
        .pool_idle_timeout(timedelta(seconds=20))
        .danger_accept_invalid_certs(target.insecure)
    )
    # The name is looked up no second time: another answer might lead inside.
    return builder.resolve(target.host, target.address, target.port).build()


async def _send(
    client: Client, method: str, url: Url, headers: Mapping[str, str], body: bytes, limit: int
) -> tuple[int, str, str, bytes]:
    """Return (status, content type, location, body). Raises: FetchError."""
    request = client.request(method, url).headers(headers)
    if body:
        request = request.body_bytes(body)
    data = bytearray()
    try:
        async with request.build_streamed() as response:
            kind, location = response.get_header("content-type"), response.get_header("location")
            reader = response.body_reader
            while method != "HEAD" and (chunk := await reader.read_chunk()) is not None:
                data += memoryview(chunk)
                if len(data) > limit:
                    raise FetchError(f"the answer is longer than {limit} bytes")
            return response.status, kind or "", location or "", bytes(data)
    except PyreqwestError as error:
        raise FetchError(f"the request failed ({type(error).__name__})") from None
