"""A client of bytes: what it sends is sent as it is, what comes back is shown as it came. No protocol of its own."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.door import Door
from gateway.handshake import Upgrade
from gateway.room import Room
from gateway.tls import server_context
from tests.fixtures.transport import Transport

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3
WAIT_S = 30.0


def request(
    path: str = "/api/v4/websocket", *, method: str = "GET", version: str = "HTTP/1.1", **headers: str
) -> bytes:
    """Return an upgrade request; headers override the usual ones (`_` for `-`), an empty one leaves it out."""
    usual = {"Host": "chat.example", "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}
    usual |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in usual.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """Return one masked frame, as a client sends it."""
    size = len(payload)
    head = bytes([opcode | (0x80 if fin else 0)])
    head += bytes([0x80 | size]) if size <= 125 else (
        b"\xfe" + struct.pack(">H", size) if size <= 65535 else b"\xff" + struct.pack(">Q", size))
    return head + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))


class Raw:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Return the status and the headers (names in lower case) of an answer."""
        async with asyncio.timeout(WAIT_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in headers.items()}

    async def frame(self) -> tuple[int, bytes]:
        """Return the next frame, (opcode, payload)."""
        async with asyncio.timeout(WAIT_S):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 15, await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Return all that comes until the end."""
        async with asyncio.timeout(WAIT_S):
            try:
                return await self.reader.read(-1)
            except ConnectionResetError:
                return b""

    def reset(self) -> None:
        """End with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(WAIT_S):
                await self.writer.wait_closed()


class Server:
    """The real door and room in this process, with a handler that echoes and keeps a log."""

    def __init__(self, room_options: dict[str, Any], door_options: dict[str, Any]) -> None:
        self.room = Room(**({"capacity": 1000} | room_options))
        self.door = Door(self.room, self, **door_options)
        self.port = 0
        self.adopted: list[tuple[int, Upgrade]] = []
        self.messages: list[bytes] = []
        self.closed: list[tuple[int, int, str]] = []
        self.admit_with: tuple[int, str] | None = None
        self.on_adopted_do: Callable[[int], None] = lambda slot: None
        self.raws: list[Raw] = []
        self._changed = asyncio.Condition()

    def admit(self, upgrade: Upgrade) -> tuple[int, str] | None:
        return self.admit_with

    def on_adopted(self, slot: int, upgrade: Upgrade) -> None:
        self.adopted.append((slot, upgrade))
        self.on_adopted_do(slot)
        self._note()

    def on_message(self, slot: int, data: bytes, text: bool) -> None:
        self.messages.append(data)
        self.room.reply(slot, data)
        self._note()

    def on_closed(self, slot: int, code: int, why: str) -> None:
        self.closed.append((slot, code, why))
        if why != "local":
            self.room.release(slot)
        self._note()

    def _note(self) -> None:
        async def tell() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._telling = asyncio.get_running_loop().create_task(tell())

    async def until(self, condition: Callable[[], bool], wait_s: float = WAIT_S) -> None:
        """Wait until something that the handler was told makes the condition true."""
        async with asyncio.timeout(wait_s), self._changed:
            await self._changed.wait_for(condition)

    async def connect(self, data: bytes = b"", **how: Any) -> Raw:
        """Return a connection that has sent these bytes."""
        raw = Raw(*await asyncio.open_connection("127.0.0.1", self.port, ssl=Transport.trust, **how))
        self.raws.append(raw)
        raw.send(data)
        return raw

    async def upgraded(self, **headers: str) -> Raw:
        """Return a connection that has its 101."""
        raw = await self.connect(request(**headers))
        assert (await raw.head())[0] == 101
        return raw


@asynccontextmanager
async def serving(*, room: dict[str, Any] | None = None, **door: Any) -> AsyncIterator[Server]:
    """Run a server; at the end nothing of it may be left."""
    if Transport.tls:
        door["tls"] = server_context(str(Transport.tls.cert), str(Transport.tls.key))
    server = Server(room or {}, door)
    server.port = await server.door.start("127.0.0.1")
    try:
        yield server
    finally:
        for raw in server.raws:
            await raw.close()
        await server.door.stop()
        await server.room.stop()
    assert server.room.gate.stats()["sockets"] == 0
