"""A gateway that runs out of descriptors: 503 at once, no hanging queue, and those who are in are served."""

import asyncio
import os
import sys

from tests.fixtures.ports import free_port
from tests.integration.gateway.test_process import ROOT
from tests.integration.gateway.world import PATIENCE_S

LIMIT = 256
CROWD = 600
REQUEST = (
    b"GET /api/v4/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
# Without an action, from a client that has not logged in: the answer is the pong to an empty ping.
PING = b"\x89\x80\x00\x00\x00\x00"


class Knock:
    """One connection and the status that it got."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.status = 0

    async def go(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(REQUEST)
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.status = int(head.split()[1])
        if self.status != 101:
            self.writer.close()

    async def is_served(self) -> bool:
        self.writer.write(PING)
        return await self.reader.readexactly(2) == b"\x8a\x00"


async def knock(port: int, count: int) -> list[Knock]:
    """Come all at once; every one gets an answer."""
    crowd = [Knock(port) for _ in range(count)]
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(one.go() for one in crowd))
    return crowd


async def test_near_the_limit_of_descriptors(database_url: str, redis_url: str) -> None:
    port = free_port()
    command = f"ulimit -n {LIMIT}; exec {sys.executable} -m tidewire gateway"
    env = {
        "TIDEWIRE_DATABASE_URL": database_url,
        "TIDEWIRE_REDIS_URL": redis_url,
        "TIDEWIRE_GATEWAY_PORT": str(port),
        "TIDEWIRE_GATEWAY_AUTH_TIMEOUT_S": "60",
        "TIDEWIRE_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command), cwd=ROOT, env=os.environ | env, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            while b"gateway listens" not in await process.stderr.readline():
                pass
        crowd = await knock(port, CROWD)
        inside = [one for one in crowd if one.status == 101]
        assert {one.status for one in crowd} == {101, 503}
        assert LIMIT // 2 < len(inside) < LIMIT
        async with asyncio.timeout(PATIENCE_S):
            assert all([await one.is_served() for one in inside])
        for one in inside[:50]:
            one.writer.transport.abort()
        async with asyncio.timeout(PATIENCE_S):
            again = await knock(port, 40)
            while any(one.status != 101 for one in again):  # until the ends of those 50 are noticed
                for one in again:
                    one.writer.transport.abort()
                again = await knock(port, 40)
            assert all([await one.is_served() for one in inside[50:] + again])
        for one in inside[50:] + again:
            one.writer.transport.abort()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
