"""APIs, gateways and a balancer as processes, each on a port of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import httpx
import psutil

from tests.fixtures.ports import free_port
from tests.fixtures.serve import ROOT
from tests.serve.wander import PATIENCE_S


class Cluster:
    """Processes by name. env: settings of all; ports: by name, "web" is the balancer's."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.ports = {name: free_port() for name in ("gateway1", "gateway2", "api1", "api2", "web")}
        self.running: dict[str, asyncio.subprocess.Process] = {}

    @property
    def url(self) -> str:
        """The balancer's address."""
        return f"http://127.0.0.1:{self.ports['web']}"

    async def start(self, name: str) -> None:
        """Start "api1", "gateway2" and the like, and wait until it answers."""
        role = name.rstrip("12")
        own = {f"TIDEWIRE_{role.upper()}_PORT": str(self.ports[name]), "TIDEWIRE_PROXIES_TRUSTED": "127.0.0.1"}
        self.running[name] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidewire", role, cwd=ROOT, env=os.environ | self.env | own
        )
        await answers(f"http://127.0.0.1:{self.ports[name]}/api/v4/system/ping", lambda status: status == 200)

    async def end_all(self) -> None:
        """Kill what still runs."""
        for name in list(self.running):
            await self.end(name, signal.SIGKILL)

    async def end(self, name: str, how: signal.Signals) -> int:
        """End one and return its exit status."""
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


async def until_served(url: str) -> None:
    """Wait until the balancer at this address finds an API and a gateway."""
    await answers(f"{url}/api/v4/system/ping", lambda status: status == 200)
    await answers(f"{url}/api/v4/websocket", lambda status: status == 400)  # no upgrade: a gateway's answer


async def answers(url: str, good: Callable[[int], bool]) -> None:
    """Wait until a GET is answered with a status that is good."""
    async with httpx.AsyncClient() as http, asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if good((await http.get(url)).status_code):
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
