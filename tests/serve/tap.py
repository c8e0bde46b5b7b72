"""What a balancer says to a server: a relay in between keeps every byte, and a strict reader cuts it into requests."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Self

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass
class Request:
    """A request as every server must read it. behind: what followed an upgrade, which is no HTTP."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    behind: bytes = b""


class Tap:
    """A relay to a port of this machine. `requests()` tells what went through since `forget()`."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._said: list[bytearray] = []  # by connection
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    def forget(self) -> None:
        """Begin anew. Between two requests of a connection only."""
        for said in self._said:
            said.clear()

    def requests(self, host: str) -> list[Request]:
        """Return the requests with this Host; a balancer's own questions have others. Raises: AssertionError if two
        servers could differ in any of what was said."""
        found = [one for said in self._said for one in cut(bytes(said))]
        return [one for one in found if one.headers["host"] == host]

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = bytearray()
        self._said.append(said)
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, ours, said), _copy(theirs, writer, bytearray()))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    with contextlib.suppress(OSError):  # either side may go at any time; the other one is told by the close
        while data := await reader.read(65536):
            kept += data
            writer.write(data)
            await writer.drain()
    writer.close()


def cut(data: bytes) -> list[Request]:
    """Return the requests in what was said on one connection, by the strictest reading of RFC 9112."""
    found = []
    while data:
        head, blank, data = data.partition(b"\r\n\r\n")
        assert blank, f"not ended: {head!r}"
        line, *fields = head.split(b"\r\n")
        assert not set(b"\r\n\0") & set(b"".join([line, *fields])), head
        method, path, version = line.decode().split(" ")
        assert version in ("HTTP/1.0", "HTTP/1.1"), line
        headers: dict[str, str] = {}
        for field in fields:
            name, colon, value = field.partition(b":")
            assert colon and name and set(name) <= TOKEN, field
            key = name.decode().lower()
            assert key not in headers or key not in ("content-length", "transfer-encoding", "host"), head
            headers[key] = value.strip(b" \t").decode("latin-1")
        if headers.get("connection", "").lower() == "upgrade":
            found.append(Request(method, path, headers, b"", data))
            break
        body, data = _body(headers, data)
        found.append(Request(method, path, headers, body))
    return found


def _body(headers: dict[str, str], data: bytes) -> tuple[bytes, bytes]:
    """Return a request's body, and what is behind it."""
    if "transfer-encoding" not in headers:
        length = headers.get("content-length", "0")
        assert length.isascii() and length.isdigit() and len(data) >= int(length), (headers, data)
        return data[: int(length)], data[int(length) :]
    assert "content-length" not in headers and headers["transfer-encoding"] == "chunked", headers
    body = b""
    while True:
        size, line_end, data = data.partition(b"\r\n")
        assert line_end and size and set(size) <= set(b"0123456789abcdefABCDEF"), size
        chunk, data = data[: int(size, 16)], data[int(size, 16) :]
        assert len(chunk) == int(size, 16) and data.startswith(b"\r\n"), (headers, data)
        body, data = body + chunk, data[2:]
        if not chunk:
            return body, data
