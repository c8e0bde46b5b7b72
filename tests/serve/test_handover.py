"""Several gateways as one: sockets come back to any of them, gateways are replaced under load, one dies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from tests.fixtures.serve import ROOT, Serve
from tests.serve.wander import PATIENCE_S, Wanderer, rows_of, settle

pytestmark = pytest.mark.alone("a thousand clients, and connects at a rate")

USERS, CHANNELS = 1000, 20
# Ample: four gateways, two databases, a thousand clients and other tests may share two cores.
PATIENT = {"TIDEWIRE_RESUME_HANDOVER_MS": "3000"}


async def come(names: list[tuple[str, str]], gateways: list[str], pause_s: float = 0.5) -> list[Wanderer]:
    crowd = []
    for start in range(0, len(names), 100):
        part = [Wanderer(user, token, gateways, pause_s) for user, token in names[start : start + 100]]
        for one in part:
            await one.until()
        crowd += part
    return crowd


def check(crowd: list[Wanderer], channels: int, sent: list[int]) -> int:
    """Check that who never began anew has every post of his channel once, in order; return how many began anew."""
    anew = 0
    for number, one in enumerate(crowd):
        if one.hellos > 1:
            anew += 1
        else:
            assert one.texts == [str(n) for n in range(sent[number % channels])]
    return anew


@pytest.mark.timeout(120)
async def test_a_thousand_cut_sockets_come_back_to_random_processes(own_serve: Callable[..., Serve]) -> None:
    serve = await asyncio.to_thread(own_serve, "--gateways", "4", env=PATIENT)
    async with rows_of(serve) as rows:
        names, channels = await settle(rows, USERS, CHANNELS)
        crowd = await come(names, serve.gateways)
        sent = [0] * CHANNELS

        async def post(rounds: int) -> None:
            for _ in range(rounds):
                for number, channel in enumerate(channels):
                    await rows.post(channel, str(sent[number]))
                    sent[number] += 1

        posting = asyncio.create_task(post(15))
        for one in crowd:
            one.cut()
        await posting
        await post(1)
        for number, one in enumerate(crowd):
            await one.until(text=str(sent[number % CHANNELS] - 1))
        for one in crowd:
            await one.end()
        assert all(one.visits >= 2 for one in crowd)
        assert check(crowd, CHANNELS, sent) <= USERS // 100, serve.log[-5000:]
        async with httpx.AsyncClient(timeout=30) as http:
            text = (await http.get(f"{serve.metrics}/metrics")).text
        rows_of_it = [row for row in text.splitlines() if row.startswith("tidewire_gateway_connections_taken_total{")]
        # Three of four come back to another process than they left.
        assert sum(float(row.split()[-1]) for row in rows_of_it) > USERS * 0.6


async def knock(gateways: list[str], per_second: int, until: asyncio.Event) -> tuple[int, list[str]]:
    """Ask for WebSockets at this rate; return how many got one, and what went wrong with the others."""
    loop = asyncio.get_running_loop()
    good, bad = 0, []

    async def one(url: str) -> None:
        nonlocal good
        host, port = url.removeprefix("http://").split(":")
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(
                    b"GET /api/v4/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
                )
                status = await reader.readline()
                writer.transport.abort()
        except (OSError, TimeoutError) as error:
            bad.append(repr(error))
            return
        if status.startswith(b"HTTP/1.1 101"):
            good += 1
        else:
            bad.append(status.decode())

    began, number, tasks = loop.time(), 0, set()
    while not until.is_set():
        while number < (loop.time() - began) * per_second:
            task = asyncio.create_task(one(gateways[number % len(gateways)]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)
    return good, bad


@pytest.mark.timeout(120)
async def test_a_rolling_restart_refuses_nobody_and_loses_nothing(own_serve: Callable[..., Serve]) -> None:
    serve = await asyncio.to_thread(own_serve, "--gateways", "2", env=PATIENT)
    before = gateways_of(serve)
    async with rows_of(serve) as rows:
        names, channels = await settle(rows, 60, 3)
        crowd = await come(names, serve.gateways, pause_s=0.2)
        sent, done = [0, 0, 0], asyncio.Event()

        async def post() -> None:
            while not done.is_set():
                for number, channel in enumerate(channels):
                    await rows.post(channel, str(sent[number]))
                    sent[number] += 1
                await asyncio.sleep(0.05)

        posting = asyncio.create_task(post())
        knocking = asyncio.create_task(knock(serve.gateways, 500, done))
        command = [sys.executable, "-m", "tidewire", "restart", "--data-dir", str(serve.data_dir)]
        asked = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True)
        assert asked.returncode == 0, asked.stderr
        async with asyncio.timeout(PATIENCE_S * 2):
            while "rolling restart done" not in serve.log:
                assert "rolling restart ends" not in serve.log, serve.log[-5000:]
                await asyncio.sleep(0.1)
        done.set()
        await posting
        good, bad = await knocking
        for number, one in enumerate(crowd):
            await one.until(text=str(sent[number % 3] - 1))
        for one in crowd:
            await one.end()
        assert not bad, bad[:10]
        assert good > 100
        assert check(crowd, 3, sent) == 0, serve.log[-5000:]
        assert all(1001 in one.codes for one in crowd)
    assert len(before) == 2
    assert not before & gateways_of(serve)


def test_a_restart_of_nothing_is_one_clear_line(tmp_path) -> None:
    command = [sys.executable, "-m", "tidewire", "restart", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"tidewire: no tidewire serve runs on {tmp_path}\n"


@pytest.mark.timeout(120)
async def test_a_crash_is_an_honest_fresh_start(own_serve: Callable[..., Serve]) -> None:
    serve = await asyncio.to_thread(own_serve, "--gateways", "2", env=PATIENT)
    async with rows_of(serve) as rows:
        names, channels = await settle(rows, 20, 1)
        first = [Wanderer(user, token, serve.gateways[:1], 0.2) for user, token in names]
        for one in first:
            await one.until()
            one.gateways = serve.gateways  # where he comes back
        os.kill(next(pid for pid in gateways_of(serve) if listens(pid, serve.gateways[0])), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while not all(one.hellos == 2 for one in first):
                await asyncio.sleep(0.05)
        await rows.post(channels[0], "after")
        for one in first:
            await one.until(text="after")
            await one.end()
            assert one.texts == ["after"]


def gateways_of(serve: Serve) -> set[int]:
    """Return the process ids of the gateways that run."""
    return {process.pid for process in serve.family() if any(listens(process.pid, url) for url in serve.gateways)}


def listens(pid: int, url: str) -> bool:
    """Tell whether this is the gateway process with the address: its environment names the port."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read().split(b"\0")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
    except OSError:
        return False
    return b"TIDEWIRE_GATEWAY_PORT=" + url.rpartition(":")[2].encode() in words and b"gateway" in command
