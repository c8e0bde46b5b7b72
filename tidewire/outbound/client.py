"""The one client for requests to addresses that users name. Knows no rules of chat.

A URL is read by the parser of the library that sends the request, a name is looked up once, every address behind it is
checked, and the request goes to the address that was checked. A redirect is a new request with the same checks.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from ipaddress import ip_address
from typing import NamedTuple

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url
from pyreqwest.response import Response

from tidewire.outbound.addresses import AllowList
from tidewire.outbound.names import addresses_of
from tidewire.outbound.shares import Shares

AT_ONCE, AT_ONCE_PER_HOST, AT_ONCE_PER_USER = 64, 8, 8
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


class Incoming:
    """An answer whose body is still to be read, in pieces and decompressed: by iteration or `read`. Close it.

    url: where it comes from, after redirects.
    """

    def __init__(self, stack: AsyncExitStack, response: Response, url: str, ends_at: float) -> None:
        self.status = response.status
        self.content_type = response.get_header("content-type") or ""
        self.url = url
        self._stack = stack
        self._reader = response.body_reader
        self._ends_at = ends_at

    async def read(self) -> bytes | None:
        """Return the next piece, or None at the end. Raises: FetchError, also when the request's time is over."""
        try:
            async with asyncio.timeout_at(self._ends_at):
                piece = await self._reader.read_chunk()
        except TimeoutError:
            raise FetchError("the answer does not end within its time") from None
        except PyreqwestError as error:
            raise _failed(error) from None
        return None if piece is None else bytes(piece)

    def __aiter__(self) -> "Incoming":
        return self

    async def __anext__(self) -> bytes:
        piece = await self.read()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def close(self) -> None:
        """Give the request's places back; what was not read never comes."""
        await self._stack.aclose()


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
        self.shares = Shares(AT_ONCE_PER_USER)  # for callers: of requests that a user makes us send
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
        incoming = await self.open(method, url, timeout_s=timeout_s, headers=headers, body=body, hops=hops)
        data = bytearray()
        try:
            while method != "HEAD" and (piece := await incoming.read()) is not None:
                data += piece
                if len(data) > limit:
                    raise FetchError(f"the answer is longer than {limit} bytes")
        finally:
            await incoming.close()
        return Answer(incoming.status, incoming.content_type, bytes(data), incoming.url)

    async def open(
        self,
        method: str,
        url: str,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        hops: int = 0,
        permits: Callable[[str], bool] = lambda url: True,
    ) -> Incoming:
        """Send a request and return the answer when its head is there; the rest is the caller's to read, or not to.

        timeout_s: for all of it, reading included. permits: asked of every URL on the way. Raises: FetchError.
        """
        ends_at = asyncio.get_running_loop().time() + timeout_s
        stack = AsyncExitStack()
        try:
            async with asyncio.timeout_at(ends_at):
                await stack.enter_async_context(self._room)
                response, last = await self._follow(
                    stack, method, parse(url), dict(headers or {}), body, hops, permits
                )
        except TimeoutError:
            await stack.aclose()
            raise FetchError(f"no answer within {timeout_s:g} s") from None
        except BaseException:
            await stack.aclose()
            raise
        return Incoming(stack, response, str(last), ends_at)

    async def _follow(
        self,
        stack: AsyncExitStack,
        method: str,
        url: Url,
        headers: dict[str, str],
        body: bytes,
        hops: int,
        permits: Callable[[str], bool],
    ) -> tuple[Response, Url]:
        """Return the answer at the end of all redirects, and where it came from; the stack closes it."""
        while True:
            if not permits(str(url)):
                raise FetchError("this address is not asked", refused=True)
            origin = await self._origin(await self._target(url))
            async with AsyncExitStack() as hop:
                client = await hop.enter_async_context(origin)
                request = client.request(method, url).headers(headers)
                if body:
                    request = request.body_bytes(body)
                try:
                    response = await hop.enter_async_context(request.build_streamed())
                except PyreqwestError as error:
                    raise _failed(error) from None
                location = response.get_header("location")
                if response.status not in _REDIRECTS or not hops or not location:
                    stack.push_async_exit(hop.pop_all())
                    return response, url
            hops -= 1
            before, url = url, parse(str(url.join(location)))
            if before.scheme == "https" and url.scheme == "http":
                raise FetchError("a redirect leaves https", refused=True)
            headers = {name: value for name, value in headers.items() if name.lower() in _KEPT_ON_REDIRECT}
            if response.status < 307:
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
        found = await addresses_of(host, port)
    except (OSError, UnicodeError):
        raise FetchError("there is no such host") from None
    return [address.partition("%")[0] for address in found]


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


def _failed(error: PyreqwestError) -> FetchError:
    return FetchError(f"the request failed ({type(error).__name__})")
