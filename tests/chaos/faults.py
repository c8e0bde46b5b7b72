"""What can be done to a running `tidewire serve`: find its processes, kill and freeze them, ask for its health."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator

import aiohttp
import psutil

from tests.fixtures.serve import Serve

ROLES = ("gateway", "api", "worker", "redis", "postgres")


def role_of(process: psutil.Process) -> str:
    """Return what a process of `serve` is; empty for those that no test kills."""
    try:
        words, name = process.cmdline(), process.name()
        parent = process.parent()
        parent_words = parent.cmdline() if parent else []
    except psutil.NoSuchProcess:
        return ""
    if name.startswith(("valkey-server", "redis-server")):
        return "redis"
    if name == "postgres":
        return "" if parent and parent.name() == "postgres" else "postgres"
    if "tidewire" in words and words[-1] == "gateway":
        return "gateway"
    if "tidewire" in parent_words and parent_words[-1] == "api":
        return "worker"
    return ""


def find(serve: Serve, role: str) -> list[psutil.Process]:
    """Return the processes of a role, oldest first."""
    assert serve.process is not None
    family = psutil.Process(serve.process.pid).children(recursive=True)
    found = [process for process in family if role_of(process) == role]
    return sorted(found, key=lambda process: process.create_time())


def kill(process: psutil.Process) -> None:
    """SIGKILL a process, and all of PostgreSQL's if it is that."""
    family = process.children() if process.name() == "postgres" else []
    for each in [process, *family]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def frozen(serve: Serve, role: str) -> Iterator[None]:
    """Freeze a role's processes, PostgreSQL's children included, for the length of the context."""
    family = [each for process in find(serve, role) for each in [process, *process.children()]]
    for each in family:
        each.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGCONT)


async def wait_until_healthy(serve: Serve, dead: list[psutil.Process], timeout_s: float) -> None:
    """Return once the dead are gone, the origin answers with a database behind it, and every part says it is well."""
    async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as http:
        while not await _healthy(serve, dead, http):
            await asyncio.sleep(0.05)


async def _healthy(serve: Serve, dead: list[psutil.Process], http: aiohttp.ClientSession) -> bool:
    if any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in dead):
        return False
    urls = [f"{serve.url}/api/v4/system/ping?get_server_status=true", f"{serve.metrics}/health"]
    for url in [*urls, *[f"{gateway}/health" for gateway in serve.gateways]]:
        try:
            async with http.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                if answer.status != 200:
                    return False
        except (aiohttp.ClientError, TimeoutError):
            return False
    return True
