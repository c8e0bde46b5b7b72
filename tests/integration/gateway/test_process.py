"""`tidewire gateway` as a process: it listens, counts, and stops when asked."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from tests.integration.gateway.world import PATIENCE_S, Client, World
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_it_serves_counts_and_stops(database_url: str, redis_url: str) -> None:
    port, metrics_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidewire", "gateway"),
        cwd=ROOT,
        env=os.environ
        | {
            "TIDEWIRE_DATABASE_URL": database_url,
            "TIDEWIRE_REDIS_URL": redis_url,
            "TIDEWIRE_GATEWAY_PORT": str(port),
            "TIDEWIRE_METRICS_PORT": str(metrics_port),
            "TIDEWIRE_LOG_FORMAT": "json",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    db, producer = Database(database_url), RedisProducer(redis_url)
    await producer.connect()
    rows = World(None, port, db, producer)  # type: ignore[arg-type]  # the gateway is another process
    try:
        await use(process, rows, port, metrics_port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await producer.close()
        await db.close()


async def use(process: asyncio.subprocess.Process, rows: World, port: int, metrics_port: int) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S * 2):
        while json.loads(await process.stderr.readline()).get("event") != "gateway listens":
            pass
        user = await rows.user()
        channel = await rows.channel(user)
        token = await rows.session(user)
        client = Client(
            await connect(rows.url(), additional_headers={"Cookie": f"MMAUTHTOKEN={token}"})
        )
        await client.event("hello")
        await rows.post(channel, "hi")
        await client.event("posted")
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
            health = await http.get(f"http://127.0.0.1:{port}/health")
        assert health.status_code == 200
        assert "mattermost_http_websockets_total 1.0" in text
        assert "mattermost_websocket_broadcasts_total 1.0" in text
        assert 'mattermost_websocket_event_total{type="posted"} 1.0' in text
        assert "tidewire_gateway_deliveries_total" in text
        process.send_signal(signal.SIGTERM)
        assert (await client.closed())[0] == 1001
        log = await process.stderr.read()
        assert await process.wait() == 0
    assert token.encode() not in log
    assert b"Traceback" not in log
