"""S3 behind a slow line, and one that falls silent: how long an answer takes is no fault, a silence is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from tidewire.store.objects import Objects, Place
from tidewire.wire.errors import Unavailable

PIECES, PIECE, APART_S = 6, b"x" * 50_000, 0.25
TIMEOUT_MS = 1000  # four times that: a busy machine is late


@asynccontextmanager
async def slow_s3(folder: Path) -> AsyncIterator[Objects]:
    """Give a store whose objects come in pieces, 250 ms apart; "silent" stops in the middle."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nETag: x\r\nLast-Modified: Thu, 26 Nov 2026 12:00:00 GMT\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % (PIECES * len(PIECE))
        )
        for number in range(PIECES):
            if number and b"/silent" in head:
                await reader.read()  # until the other side hangs up
                break
            writer.write(PIECE)
            await asyncio.sleep(APART_S)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    place = Place(
        str(folder), s3=True, bucket="b", endpoint=endpoint, access_key="a", secret_key="s", tls=False
    )
    try:
        yield Objects(structs.replace(place, timeout_ms=TIMEOUT_MS))
    finally:
        server.close()


async def test_an_answer_may_take_longer_than_the_timeout(tmp_path: Path) -> None:
    async with slow_s3(tmp_path) as objects:
        found = [piece async for piece in (await objects.get("slow")).pieces]
        assert b"".join(found) == PIECE * PIECES  # after 1,500 ms
        with pytest.raises(Unavailable):
            async for _ in (await objects.get("silent")).pieces:
                pass
