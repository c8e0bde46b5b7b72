"""A WebSocket client small enough for hundreds in one process. Knows frames; knows no events.

Only what a server of ours sends: unfragmented text, ping and close frames, no extensions.
"""

import asyncio
import base64
import os
import struct
from collections.abc import Callable

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Socket(asyncio.Protocol):
    """One connection. `on_text` gets each message; `closed` is done when the TCP connection is gone."""

    def __init__(self, on_text: Callable[[bytes], None]) -> None:
        self._on_text = on_text
        self._buffer = b""
        self._open = False
        self._transport: asyncio.WriteTransport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.close_code = 0

    @classmethod
    async def connect(
        cls, host: str, port: int, target: str, headers: dict[str, str], on_text: Callable[[bytes], None]
    ) -> "Socket":
        """Return an open connection. Raises: OSError if there is none, or the server refuses."""
        loop = asyncio.get_running_loop()
        transport, socket = await loop.create_connection(lambda: cls(on_text), host, port)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
        ]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            async with asyncio.timeout(10):
                await socket.opened
        except (TimeoutError, asyncio.CancelledError) as error:
            transport.abort()
            if isinstance(error, TimeoutError):
                raise OSError("no answer to the upgrade") from error
            raise
        return socket

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport, whatever its class

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(OSError("refused"))
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._buffer += data
        if not self._open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.abort()
                return
            self._open, self._buffer = True, rest
            if not self.opened.done():
                self.opened.set_result(None)
        start = 0
        while (end_at := self._frame(start)) is not None:
            start = end_at
        self._buffer = self._buffer[start:]

    def _frame(self, start: int) -> int | None:
        """Handle the frame at `start`; return where it ends, or None if it is not complete."""
        buffer = self._buffer
        if len(buffer) < start + 2:
            return None
        opcode, size, body = buffer[start] & 15, buffer[start + 1] & 127, start + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(buffer) < body + width:
                return None
            size = int.from_bytes(buffer[body : body + width], "big")
            body += width
        end = body + size
        if len(buffer) < end:
            return None
        payload = buffer[body:end]
        if opcode == TEXT:
            self._on_text(payload)
        elif opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            self.close_code = struct.unpack(">H", payload[:2])[0] if size >= 2 else 1005
            self.abort()
        return end

    def _send(self, opcode: int, payload: bytes) -> None:
        if self._transport is not None:  # a mask of zeros is a mask
            self._transport.write(bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload)
