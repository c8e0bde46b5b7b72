"""A process's own /metrics and /health, on a port or on a unix socket where a collector finds it.

Counts are made where things happen, by prometheus_client's default registry. Hot paths count in plain integers and
publish them by a collector of their own.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from tidewire.settings.tree import Metrics

_log = structlog.get_logger("metrics")
_NAMES = 64  # processes of one role; settings allow no more
Answer = tuple[int, str, bytes]
Handler = Callable[[str], Awaitable[Answer]]


@asynccontextmanager
async def endpoint(
    settings: Metrics, *, role: str, healthy: Callable[[], bool] = lambda: True
) -> AsyncIterator[None]:
    """Answer /metrics and /health (200 or 503) for this process as long as the context lasts.

    role: "api", "gateway", …; with `settings.dir` the socket is <dir>/<role>-<n>.sock, n the first free from 1; with
    `settings.port` it is that port, or the first free of the next ones for further workers. Without both: nothing.
    Raises: OSError when nothing is free.
    """

    async def answer(path: str) -> Answer:
        if path == "/metrics":
            return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(REGISTRY)
        if path == "/health":
            return (200, "text/plain", b"ok\n") if healthy() else (503, "text/plain", b"unhealthy\n")
        return 404, "text/plain", b"not found\n"

    if settings.dir:
        lock, path = _claim(Path(settings.dir), role)
        try:
            path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(_talk(answer), path)
            async with server:
                yield
            path.unlink(missing_ok=True)
        finally:
            os.close(lock)
    elif settings.port:
        async with await _listen(answer, settings.host, settings.port) as server:
            _log.info("metrics", host=settings.host, port=server.sockets[0].getsockname()[1])
            yield
    else:
        yield


async def serve_http(answer: Handler, host: str, port: int) -> asyncio.Server:
    """Serve GET requests by `answer(path) -> (status, content type, body)`. Raises: OSError."""
    return await asyncio.start_server(_talk(answer), host, port)


async def _listen(answer: Handler, host: str, port: int) -> asyncio.Server:
    for number in range(port, port + _NAMES):
        try:
            return await serve_http(answer, host, number)
        except OSError:
            if number == port + _NAMES - 1:
                raise
    raise AssertionError("unreachable")


def _claim(folder: Path, role: str) -> tuple[int, Path]:
    """Return a held lock and the socket path of the first free name of a role."""
    for number in range(1, _NAMES + 1):
        lock = os.open(folder / f"{role}-{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return lock, folder / f"{role}-{number}.sock"
    raise OSError(f"more than {_NAMES} processes of role {role}")


def _talk(answer: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            method, target, *_ = head.split(b" ", 2)
            status, kind, body = 405, "text/plain", b"only GET\n"
            if method in (b"GET", b"HEAD"):
                status, kind, body = await answer(target.decode("latin-1").partition("?")[0])
            writer.write(
                f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            if method != b"HEAD":
                writer.write(body)
            await asyncio.wait_for(writer.drain(), 10)
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # the asker went away, or spoke no HTTP: nobody is left to tell
        finally:
            writer.close()

    return talk
