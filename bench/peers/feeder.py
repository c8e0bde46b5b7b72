"""A WebSocket client that publishes: many messages in one write, as a pipelined XADD is. Its answers are dropped."""

import asyncio

_OPENED = b"HTTP/1.1 101"


def frame(text: bytes) -> bytes:
    """Return a client's text frame. RFC 6455 5.3: with a key of zeros the masked payload is the payload."""
    size = len(text)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x81, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x81, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + text


class Feeder:
    """An open connection to the publishing side of a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._drain = asyncio.create_task(self._drop(reader))

    @classmethod
    async def open(cls, port: int, path: str) -> "Feeder":
        """Connect. Raises: OSError, RuntimeError if the server does not speak WebSocket there."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(_OPENED):
            raise RuntimeError(f"{path} answers {answer[:60]!r}")
        return cls(reader, writer)

    def send(self, texts: list[bytes]) -> None:
        """Send the messages in one write."""
        self._writer.write(b"".join(map(frame, texts)))

    @staticmethod
    async def _drop(reader: asyncio.StreamReader) -> None:
        while await reader.read(1 << 16):
            pass
