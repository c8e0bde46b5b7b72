"""The servers of a measurement: private PostgreSQL and Redis, the real gateway, and the C loop that it is compared to.

Everything listens on loopback or unix sockets in folders of its own, and ends with the `with` block.
"""

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.events import envelope
from bench.machine import ROOT
from bench.programs import Program, build
from tests.fixtures.postgres import Postgres
from tests.fixtures.redis import Redis
from tidewire.bus.envelope import channel_key
from tidewire.bus.redis import RedisProducer
from tidewire.bus.resp import Link
from tidewire.settings import child_environment
from tidewire.store.migrate import migrate

YARDSTICK_STREAM = "bench:yardstick"
_START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Services:
    """Running databases. Neither waits for a disk: what is measured is the server, not the storage."""

    postgres: Postgres
    redis: Redis

    @property
    def pids(self) -> list[int]:
        """Their processes, without children."""
        return [server.process.pid for server in (self.postgres, self.redis) if server.process is not None]


@contextmanager
def services() -> Iterator[Services]:
    """Start PostgreSQL, with all migrations applied, and Redis; stop them afterwards."""
    postgres, redis = Postgres(), Redis(durable=False)
    try:
        postgres.start()
        redis.start()
        asyncio.run(migrate(postgres.url()))
        yield Services(postgres, redis)
    finally:
        redis.stop()
        postgres.stop()


class Yardstick:
    """bench/c/send_loop.c, fed by a stream of its own with the same entries as the gateway's."""

    name = "C send() loop"

    def __init__(self, services: Services, prefix: bytes, channel_id: str, scratch: Path) -> None:
        prefix_file = scratch / "prefix"
        prefix_file.write_bytes(prefix)
        self._program = Program([build("send_loop"), services.redis.socket, YARDSTICK_STREAM, prefix_file])
        self.pid = self._program.pid
        self.port = int(self._program.hear("port")[0])
        self._url = services.redis.url
        self._link: Link | None = None
        trim = ("XADD", YARDSTICK_STREAM, "MAXLEN", "~", 1000)
        self._command = (*trim, "*", "k", channel_key(channel_id), "n", 1, "e", envelope(prefix, channel_id))

    async def publish(self, events: int) -> None:
        """Add entries to the stream as the real producer does: all at once for the reader."""
        self._link = self._link or await Link.open(self._url)
        commands = [self._command] * events
        await self._link.calls(commands if events == 1 else [("MULTI",), *commands, ("EXEC",)], 5)

    def end(self) -> None:
        """Stop it."""
        self._program.end()


class Process:
    """A gateway process and its port; nothing is published for it."""

    name = "tidewire gateway"

    def __init__(
        self,
        services: Services,
        scratch: Path,
        *,
        module: str = "tidewire",
        words: Sequence[str] = ("gateway",),
        settings: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        """module, words: of the `python -m` that serves by the settings. settings: laid over the usual ones."""
        self.port, self._metrics_port = free_port(), free_port()
        usual: dict[str, dict[str, Any]] = {
            "database": {"url": services.postgres.url()},
            "redis": {"url": services.redis.url},
            "gateway": {"port": self.port},
            "metrics": {"port": self._metrics_port},
        }
        for section, values in (settings or {}).items():
            usual.setdefault(section, {}).update(values)
        self._log = scratch / f"gateway-{self.port}.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                env=child_environment(usual),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log if module == "tidewire" else subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        self.pid = self.process.pid
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2).close()
                return
            except (OSError, urllib.error.URLError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.end()
                    raise RuntimeError(
                        f"the gateway does not start ({error}):\n{self._log.read_text()}"
                    ) from error
                time.sleep(0.05)

    def loop_lag_s(self) -> float:
        """Return how late the event loop came at worst since the last call."""
        return self.metric("tidewire_gateway_loop_lag_seconds")

    def metric(self, name: str) -> float:
        """Return a metric that has no labels. Raises: RuntimeError if there is none of that name."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        raise RuntimeError(f"the gateway does not tell {name}")

    def end(self) -> None:
        """Stop it: by SIGKILL, for the thousands of clients are gone the same way."""
        self.process.kill()
        self.process.wait()


class Gateway(Process):
    """`tidewire gateway`, fed by the real producer with events of one channel."""

    def __init__(
        self, services: Services, prefix: bytes, channel_id: str, scratch: Path, **options: Any
    ) -> None:
        """options: as Process has them."""
        super().__init__(services, scratch, **options)
        self._channel_id = channel_id
        self._envelope = envelope(prefix, channel_id)
        self._n = 0
        self._url = services.redis.url
        self._producer: RedisProducer | None = None

    async def publish(self, events: int) -> None:
        """Publish the next events of the channel in one pipeline."""
        if self._producer is None:
            self._producer = RedisProducer(self._url)
            await self._producer.connect()
        first, self._n = self._n + 1, self._n + events
        key = channel_key(self._channel_id)
        await self._producer.publish([(key, n, self._envelope) for n in range(first, self._n + 1)])


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
