"""deploy/haproxy.cfg before two gateways and two APIs: one is drained, one of each is killed."""

import asyncio
import contextlib
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.fixtures import packages
from tests.fixtures.ports import free_port
from tests.fixtures.serve import ROOT
from tests.integration.gateway.world import World
from tests.serve.talk import log_in, make_user
from tests.serve.wander import PATIENCE_S, Wanderer, settle
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database


@pytest.fixture(scope="module")
def haproxy() -> str:
    """The program; Debian's package where we may install it."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if found is None and packages.may_install():
        with packages.alone(), contextlib.suppress(subprocess.CalledProcessError):
            packages.install("haproxy")
        found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if found is None:
        pytest.skip("haproxy is not installed, and apt-get cannot install it here")
    return found


class Cluster:
    """Processes by name; `starts` says how each is started."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.ports = {name: free_port() for name in ("gateway1", "gateway2", "api1", "api2", "web")}
        self.running: dict[str, asyncio.subprocess.Process] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['web']}"

    async def start(self, name: str, *command: str) -> None:
        role = name.rstrip("12")
        own = {f"TIDEWIRE_{role.upper()}_PORT": str(self.ports.get(name, 0)), "TIDEWIRE_PROXIES_TRUSTED": "127.0.0.1"}
        self.running[name] = await asyncio.create_subprocess_exec(
            *(command or (sys.executable, "-m", "tidewire", role)), cwd=ROOT, env=os.environ | self.env | own
        )
        if name in self.ports:
            await answers(f"http://127.0.0.1:{self.ports[name]}/api/v4/system/ping", lambda status: status == 200)

    async def end(self, name: str, how: signal.Signals) -> int:
        process = self.running.pop(name)
        if how == signal.SIGKILL:
            kill_workers(process.pid)
        process.send_signal(how)
        async with asyncio.timeout(PATIENCE_S):
            return await process.wait()


def kill_workers(pid: int) -> None:
    """Kill what an API started: workers outlive a killed parent."""
    for worker in psutil.Process(pid).children(recursive=True):
        worker.kill()


async def answers(url: str, good: Callable[[int], bool]) -> None:
    async with httpx.AsyncClient() as http, asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if good((await http.get(url)).status_code):
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def until_up(folder: Path, server: str) -> None:
    """Wait until HAProxy uses the server."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reader, writer = await asyncio.open_unix_connection(folder / "admin.sock")
            writer.write(b"show stat\n")
            rows = csv.DictReader((await reader.read()).decode().splitlines())
            writer.close()
            if any(row["svname"] == server and row["status"] == "UP" for row in rows):
                return
            await asyncio.sleep(0.1)


def configuration(cluster: Cluster, folder: Path) -> Path:
    """Return the file with this test's addresses instead of the usual ones, and nothing else changed."""
    text = (ROOT / "deploy" / "haproxy.cfg").read_text()
    web = f"bind 127.0.0.1:{cluster.ports['web']}"
    changes = [(r"bind :443 ssl .*", web), (r"/run/haproxy/admin.sock", str(folder / "admin.sock"))]
    changes += [(r"maxconn 100000", "maxconn 1000")]  # what the limits of this machine allow
    names = ("gateway1", "gateway2", "api1", "api2")
    changes += [(rf"server {name} \S+", f"server {name} 127.0.0.1:{cluster.ports[name]}") for name in names]
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text)
        assert count == 1, pattern
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


@asynccontextmanager
async def cluster_of(database_url: str, redis_url: str, haproxy: str, folder: Path) -> AsyncIterator[Cluster]:
    env = {"TIDEWIRE_DATABASE_URL": database_url, "TIDEWIRE_REDIS_URL": redis_url}
    cluster = Cluster(env | {"TIDEWIRE_RESUME_HANDOVER_MS": "3000"})
    try:
        await asyncio.gather(*(cluster.start(name) for name in ("gateway1", "gateway2", "api1", "api2")))
        await cluster.start("haproxy", haproxy, "-db", "-f", str(configuration(cluster, folder)))
        await answers(f"{cluster.url}/api/v4/system/ping", lambda status: status == 200)
        await answers(f"{cluster.url}/api/v4/websocket", lambda status: status == 400)  # no upgrade: a gateway's answer
        yield cluster
    finally:
        for process in cluster.running.values():
            kill_workers(process.pid)
            process.kill()
            await process.wait()


@pytest.mark.timeout(120)
async def test_draining_and_deaths(database_url: str, redis_url: str, haproxy: str, tmp_path: Path) -> None:
    async with cluster_of(database_url, redis_url, haproxy, tmp_path) as cluster:
        db, producer = Database(database_url), RedisProducer(redis_url)
        await producer.connect()
        rows = World(None, 0, db, producer)  # type: ignore[arg-type]  # they are other processes
        names, (channel,) = await settle(rows, 30, 1)
        crowd = [Wanderer(user, token, [cluster.url], 0.3) for user, token in names]
        for one in crowd:
            await one.until()
        done, sent = asyncio.Event(), 0

        async def post() -> None:
            nonlocal sent
            while not done.is_set():
                await rows.post(channel, str(sent))
                sent += 1
                await asyncio.sleep(0.05)

        posting = asyncio.create_task(post())
        # Drained: its sockets move to the other one, and nobody notices.
        assert await cluster.end("gateway1", signal.SIGTERM) == 0
        done.set()
        await posting
        for one in crowd:
            await one.until(text=str(sent - 1))
            assert one.texts == [str(number) for number in range(sent)]
            assert one.hellos == 1
        assert any(one.visits > 1 for one in crowd)
        # Killed: all are on the second one now; they begin anew at the first.
        await cluster.start("gateway1")
        await until_up(tmp_path, "gateway1")
        await cluster.end("gateway2", signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while not all(one.hellos == 2 for one in crowd):
                await asyncio.sleep(0.05)
        await rows.post(channel, "after")
        for one in crowd:
            await one.until(text="after")
        # An API: no request is lost to its death.
        await asyncio.to_thread(make_user, cluster.url)
        token = (await asyncio.to_thread(log_in, cluster.url)).headers["Token"]
        await cluster.end("api1", signal.SIGKILL)
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            for _ in range(40):
                assert (await http.get(f"{cluster.url}/api/v4/users/me")).status_code == 200
        for one in crowd:
            await one.end()
        await producer.close()
        await db.close()
