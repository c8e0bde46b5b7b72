"""Use a gateway hard for a long time, let everybody leave, and see what it keeps; again and again.

    python -m tests.soak.soak [--seconds 3600] [--round 30] [--listeners 60] [--hostile 60] [--rate 200]

A whole gateway process with PostgreSQL and Redis. In every round well-behaved people come and go and hear events while
hostile sockets do their worst; then all leave, and once nothing can be resumed any more the process's descriptors,
slots and memory are read. Exit status 1 if one of them grows or somebody well-behaved saw anything wrong.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from loadtest.seed import Plan, SeededUser, seed
from tests.fixtures.ports import free_port
from tests.integration.gateway.world import posted
from tests.soak.crowd import HASTY, PATIENT, Listener, Notes
from tests.soak.hostile import Mob
from tidewire.bus.envelope import Envelope, channel_key, encode
from tidewire.bus.redis import RedisProducer
from tidewire.settings import child_environment
from tidewire.store.db import Database

ROOT = Path(__file__).parents[2]
KEEP_S = 1.0        # for a resume
POOLED = 4          # descriptors: connections to PostgreSQL and Redis that are kept or not
BATCH_S = 0.05      # events are published in steps
CHANNELS = 8
# Rounds in which caches, malloc's arenas and PostgreSQL's statements find their size.
WARM_UP_ROUNDS = 2
# Rounds differ by some 0.3 MiB at most after the warm-up. With 200 connects a second, a leak of 500 bytes each shows in
# half a minute, one of 5 bytes in an hour.
GROWTH_LIMIT_BYTES = 1 << 20
# What must be zero when nobody is there; see gateway/metrics.py and hotpath.gate.Gate.stats().
EMPTY = ("tidewire_gate_slots", "tidewire_gate_sockets", "tidewire_gate_retained_bytes", "tidewire_gate_ring_bytes",
         "tidewire_gateway_keys", "tidewire_gateway_users", "tidewire_gateway_connections_away",
         "tidewire_gateway_connections_unauthenticated", "mattermost_http_websockets_total")
NEVER = ("tidewire_gateway_task_failures_total", "tidewire_gateway_gaps_total",
         "tidewire_gateway_events_unreadable_total")


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    seconds: float
    round_s: float
    listeners: int
    hostile: int
    rate: float  # events per second


@dataclass(frozen=True)
class Rest:
    """The gateway after a round, when everybody has left."""

    rss_bytes: int
    descriptors: int
    numbers: dict[str, float]


class GatewayProcess:
    """`tidewire gateway` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, metrics_port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log
        self._metrics = f"http://127.0.0.1:{metrics_port}/metrics"

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    @property
    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def numbers(self) -> dict[str, float]:
        """Return its metrics without labels. Raises: OSError."""

        def read() -> str:
            with urllib.request.urlopen(self._metrics, timeout=10) as answer:
                return str(answer.read().decode())

        return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", await asyncio.to_thread(read), re.M)}

    async def rest(self, descriptors: int) -> Rest:
        """Wait until nobody is there and about as many descriptors are open as given (0: any number).

        Raises: TimeoutError, saying what is still there.
        """
        left: list[str] = []
        try:
            async with asyncio.timeout(60):
                while True:  # another process's tables: there is no event to wait for
                    numbers = await self.numbers()
                    left = [f"{name} {numbers[name]:.0f}" for name in EMPTY if numbers[name]]
                    if descriptors and self.descriptors > descriptors + POOLED:
                        left.append(f"{self.descriptors} descriptors, {descriptors} before")
                    if not left:
                        return Rest(self.rss_bytes, self.descriptors, numbers)
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise TimeoutError(f"a minute after everybody left: {', '.join(left)}") from error


@asynccontextmanager
async def gateway(database_url: str, redis_url: str, log: Path) -> AsyncIterator[GatewayProcess]:
    """Run a gateway; it must be alive at the end and stop cleanly."""
    port, metrics_port = free_port(), free_port()
    environment = child_environment({
        "database": {"url": database_url}, "redis": {"url": redis_url},
        "gateway": {"port": port, "auth_timeout_s": 2, "drain_notice_s": 0},
        "metrics": {"port": metrics_port}, "resume": {"keep_s": KEEP_S}, "log": {"format": "json"}})
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidewire", "gateway", cwd=ROOT, env=environment, stdout=output, stderr=output)
    running = GatewayProcess(process, port, metrics_port, log)
    try:
        async with asyncio.timeout(60):
            while b"gateway listens" not in log.read_bytes():
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield running
        assert process.returncode is None, f"the gateway ended with {process.returncode}"
        process.terminate()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def announce(
    db: Database, producer: RedisProducer, channels: list[str], rate: float, end: asyncio.Future[None]
) -> None:
    """Publish events to every channel until `end` is done, numbered as committed transactions number them."""
    batch = max(1, round(rate * BATCH_S / len(channels)))
    while not end.done():
        numbers = await db.fetch(
            "UPDATE channels SET event_n = event_n + $2 WHERE id = ANY($1) RETURNING id, event_n", channels, batch)
        await producer.publish([
            (key, last - batch + 1 + i, encode(Envelope(key, copies=[posted(channel_id, "x" * 1000)])))
            for channel_id, last in numbers for key in [channel_key(channel_id)] for i in range(batch)])
        await asyncio.sleep(BATCH_S)


async def one_round(
    running: GatewayProcess, db: Database, producer: RedisProducer, users: list[SeededUser], sizes: Sizes, notes: Notes
) -> None:
    """Let everybody in for a while, then all leave at once."""
    good, bad = users[: sizes.listeners], users[sizes.listeners :]
    channels = sorted({user.channel_id for user in users})
    async with Mob(running.port, [user.token for user in bad], sizes.hostile) as mob:
        end = asyncio.get_running_loop().create_future()
        listeners = [
            Listener(running.port, user.token, notes, HASTY if n % 2 else PATIENT) for n, user in enumerate(good)]
        crowd = [asyncio.create_task(listener.come_and_go(end)) for listener in listeners]
        events = asyncio.create_task(announce(db, producer, channels, sizes.rate, end))
        await asyncio.wait([*crowd, events], timeout=sizes.round_s, return_when=asyncio.FIRST_EXCEPTION)
        end.set_result(None)
        await asyncio.gather(*crowd, events)
    notes.counts.update({f"hostile {name}": count for name, count in mob.attacks.items()})


async def soak(database_url: str, redis_url: str, sizes: Sizes, *, show: bool = False) -> tuple[list[Rest], Notes]:
    """Return what the gateway kept after each round, and what the crowd saw. database_url: migrated."""
    db, producer, notes = Database(database_url), RedisProducer(redis_url), Notes()
    users = await seed(db, Plan(sizes.listeners + sizes.hostile, channels=CHANNELS))
    await producer.connect()
    loop = asyncio.get_running_loop()
    rests: list[Rest] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            async with gateway(database_url, redis_url, Path(folder, "log")) as running:
                end = loop.time() + sizes.seconds
                while loop.time() < end or len(rests) <= WARM_UP_ROUNDS:
                    await one_round(running, db, producer, users, sizes, notes)
                    descriptors = min((rest.descriptors for rest in rests), default=0)
                    rests.append(await running.rest(descriptors))
                    if show:
                        print(f"{rests[-1].rss_bytes / 1024:,.0f} KiB, {rests[-1].descriptors} descriptors,",
                              ", ".join(f"{count:,} {name}" for name, count in notes.counts.items()), flush=True)
            if "Traceback" in (log := running.log.read_text()):
                notes.fault(log[log.index("Traceback"):][:2000])
        finally:
            await producer.close()
            await db.close()
    return rests, notes


def verdict(rests: list[Rest], notes: Notes) -> list[str]:
    """Return what is wrong; nothing if all is well."""
    wrong = list(notes.faults)
    kept = rests[WARM_UP_ROUNDS - 1 :]  # at least two
    half = max(1, len(kept) // 2)
    growth = median(rest.rss_bytes for rest in kept[half:]) - median(rest.rss_bytes for rest in kept[:half])
    if growth >= GROWTH_LIMIT_BYTES:
        wrong.append(f"memory grew by {growth / 1024:,.0f} KiB: {[rest.rss_bytes >> 10 for rest in rests]}")
    wrong += [f"{name} is {rests[-1].numbers[name]:.0f}" for name in NEVER if rests[-1].numbers[name]]
    wrong += [f"no {what}" for what in ("connects", "resumes", "posted") if not notes.counts[what]]
    return wrong


def main() -> int:
    from tests.fixtures.postgres import TEMPLATE, Postgres, migrated_template
    from tests.fixtures.redis import Redis

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--round", type=float, default=30)
    parser.add_argument("--listeners", type=int, default=60)
    parser.add_argument("--hostile", type=int, default=60)
    parser.add_argument("--rate", type=float, default=200)
    arguments = parser.parse_args()
    sizes = Sizes(arguments.seconds, arguments.round, arguments.listeners, arguments.hostile, arguments.rate)
    postgres, redis = Postgres(), Redis(durable=False)
    try:
        postgres.start()
        redis.start()
        migrated_template(postgres)
        rests, notes = asyncio.run(soak(postgres.url(TEMPLATE), redis.url, sizes, show=True))
    finally:
        redis.stop()
        postgres.stop()
    wrong = verdict(rests, notes)
    print("\n".join(wrong) or "nothing kept, nothing wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
