"""`tidewire gateway` as a process: it listens, counts, and stops when asked."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.fixtures.authority import authority
from tests.fixtures.ports import free_port
from tests.fixtures.transport import Transport
from tests.integration.gateway.world import PATIENCE_S, World, over_both
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database

ROOT = Path(__file__).parents[3]


def tls_flags() -> list[str]:
    return ["--tls-cert", str(Transport.tls.cert), "--tls-key", str(Transport.tls.key)] if Transport.tls else []


@over_both
async def test_it_serves_counts_and_stops(database_url: str, redis_url: str) -> None:
    port, metrics_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidewire", "gateway", *tls_flags()),
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
        client = await rows.connect({"Cookie": f"MMAUTHTOKEN={token}"})
        await client.event("hello")
        await rows.post(channel, "hi")
        await client.event("posted")
        async with httpx.AsyncClient(verify=Transport.trust or True, timeout=30) as http:
            text = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
            health = await http.get(f"{Transport.origin('http', port)}/health")
        assert health.status_code == 200
        assert "mattermost_http_websockets_total 1.0" in text
        assert "mattermost_websocket_broadcasts_total 1.0" in text
        assert 'mattermost_websocket_event_total{type="posted"} 1.0' in text
        for line in (
            "tidewire_gateway_deliveries_total ",
            'tidewire_gateway_resumes_total{kind="anew"} 0.0',
            'tidewire_gateway_dropped_total{event="typing, coalesced"} 0.0',
            'tidewire_gateway_delivery_seconds_bucket{le="+Inf"} 1.0',
            "tidewire_gateway_delivery_seconds_sum ",
            'tidewire_gate_frames_per_send_bucket{le="512"} ',
            "tidewire_gate_sent_bytes_total ",
            "tidewire_gate_received_bytes_total ",
            "tidewire_gate_blocked_total 0.0",
            "tidewire_gate_waiting 0.0",
            "tidewire_gate_waiting_most 0.0",
            f"tidewire_gate_tls {1.0 if Transport.tls else 0.0}",
            f"tidewire_gateway_tls_handshakes_total {1.0 if Transport.tls else 0.0}",
            'tidewire_gate_ends_total{reason="slow"} 0.0',
            "tidewire_gateway_loop_lag_seconds ",
        ):
            assert line in text
        if Transport.tls:
            await renew_certificate(process, rows, token)
            assert (await client.act("ping"))["status"] == "OK"  # who was there stays
        process.send_signal(signal.SIGTERM)
        assert (await client.closed())[0] == 1001
        log = await process.stderr.read()
        assert await process.wait() == 0
    assert token.encode() not in log
    assert b"Traceback" not in log


async def renew_certificate(process: asyncio.subprocess.Process, rows: World, token: str) -> None:
    """SIGHUP with a new certificate, then with one that can't be used."""
    assert process.stderr is not None
    assert Transport.tls is not None

    async def serial() -> object:
        client = await rows.open(token)
        found = client.socket.transport.get_extra_info("peercert")["serialNumber"]
        await client.socket.close()
        return found

    async def reload(said: str) -> None:
        assert process.stderr is not None
        process.send_signal(signal.SIGHUP)
        while json.loads(await process.stderr.readline()).get("event") != said:
            pass

    first = await serial()
    authority().issue(Transport.tls.cert.parent)
    await reload("certificate read again")
    second = await serial()
    assert second != first
    Transport.tls.cert.write_text("no certificate")
    await reload("the certificate stays as it was")
    assert await serial() == second


@pytest.mark.parametrize("flags", [["--tls-cert", "{cert}"], ["--tls-cert", "{key}", "--tls-key", "{key}"]])
async def test_a_certificate_is_checked_at_start(flags: list[str], tmp_path: Path) -> None:
    files = authority().issue(tmp_path)
    words = [word.format(cert=files.cert, key=files.key) for word in flags]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidewire", "gateway", *words),
        cwd=ROOT,
        env=os.environ | {"TIDEWIRE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "TIDEWIRE_REDIS_URL": "unix:///x"},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert b"tls_cert and tls_key go together" in said or b"are no certificate and its key" in said
    assert b"Traceback" not in said
