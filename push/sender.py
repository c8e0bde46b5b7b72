"""The sending half of push in one process: a station per target, and what looks after them.

`open_sender` is for whoever runs an event loop: the push proxy, and the worker of a Tidewire installation.
"""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources

import structlog

from push import metrics
from push.complaints import Complaints
from push.dead import count_dead
from push.ledger import Ledger
from push.policy import Ages
from push.providers.contract import Provider
from push.replies import Outcome, Replies
from push.station import Shared, Station
from tidewire.bus.push_queue import TIMEOUT_S, PushQueue, retry_of
from tidewire.bus.redis_client import RedisClient
from tidewire.closing import Closing
from tidewire.loops import again
from tidewire.settings import Settings
from tidewire.wire.ids import new_token, now_ms
from tidewire.wire.push import Job

TICK_S = 0.25  # how late a retry may come
SLOW_TICK_S = 2.0  # gauges, claims, credentials
MOVE_AT_ONCE = 500
FLUSH_S = 1.0  # at the end, until Redis has what became of the last pushes
CLOSE_S = 2.0  # what all parts of a sender may take to close besides the drain

# New objects between two runs of the collector, and its runs between two of the next generation. A push makes no
# cycles; at Python's 700, 10, 10 looking for them took a twentieth of the time.
GC_THRESHOLDS = 20_000, 20, 50

log = structlog.get_logger("push")
_DUE = resources.files("push").joinpath("due.lua").read_text()


class Sender:
    """See the module."""

    def __init__(self, settings: Settings, providers: Mapping[str, Provider]) -> None:
        """providers: by the target's name."""
        push, url = settings.push, settings.redis.url
        self._push = push
        self._client = RedisClient(url, timeout_s=TIMEOUT_S)
        self._queue = PushQueue(url, limit=push.queue_limit, replicas=push.replicas)
        self._ledger = Ledger(self._client)
        # Not the same after a restart: what the old one had is claimed, never mistaken for our own.
        consumer = f"{socket.gethostname()[:40]}-{new_token()[:10]}"
        self._replies = Replies(url, consumer)
        self._complaints = Complaints()
        shared = Shared(
            url,
            self._client,
            self._ledger,
            self._replies,
            self._complaints,
            consumer,
            Ages(push.message_age_s, push.silent_age_s),
            push.in_flight,
        )
        self.stations = {target: Station(target, provider, shared) for target, provider in providers.items()}
        self._keeper = asyncio.create_task(again("push queue", self._keep, TICK_S))
        self._reached = self._slow_at = 0.0  # when Redis last answered; when it was last asked for more
        self._looked = False  # at how durable it is

    @property
    def ready(self) -> bool:
        """True while Redis answers and a target is up."""
        reached = time.monotonic() - self._reached < 3 * SLOW_TICK_S
        return reached and any(station.breaker.closed for station in self.stations.values())

    @property
    def healthy(self) -> bool:
        """True while this process does its work, whatever others do."""
        return not self._keeper.done()

    def start_replies(self) -> None:
        """Hear of pushes that another process of the proxy has finished for callers of this one."""
        self._replies.start()

    async def add(self, jobs: list[Job]) -> None:
        """See PushQueue.add."""
        await self._queue.add(jobs)

    async def submit(self, job: Job, wait_s: float) -> Outcome:
        """Queue a push and return its outcome, or OK if it has none within wait_s: it is queued.

        Raises: QueueFull, Unavailable.
        """
        job.reply_to = self._replies.process
        outcome = self._replies.expect(job, wait_s)
        try:
            await self._queue.add([job])
            return await outcome
        finally:
            self._replies.forget(job)

    async def close(self) -> None:
        """Let attempts end, for drain_s at most, and leave everything else in Redis."""
        closing = Closing(self._push.drain_s + CLOSE_S)
        closing.add("redis", self._client.close, 0.2)
        closing.add("queue", self._queue.close, 0.5)  # who waits for it hears that it is unknown
        closing.add("replies", self._replies.close, 0.2)
        closing.add("ledger", self._ledger.close, 0.2)
        closing.add("what became of pushes", self._write_down, FLUSH_S + 0.2)
        closing.add("stations", self._stop_stations, self._push.drain_s + 0.5)
        closing.add("keeper", lambda: _end(self._keeper), 0.5)
        closing.add("callers", self._replies.end_all, 0.2)
        await closing.close()

    async def _stop_stations(self) -> None:
        await asyncio.gather(*(station.stop(self._push.drain_s) for station in self.stations.values()))

    async def _write_down(self) -> None:
        if not await self._ledger.flush(FLUSH_S):
            log.warning("what became of the last pushes is not written down; they are sent again")

    async def _keep(self) -> None:
        self._complaints.roll(time.monotonic())
        await self._move()
        if time.monotonic() - self._slow_at > SLOW_TICK_S:
            self._slow_at = time.monotonic()
            await self._look_after()
            self._reached = time.monotonic()

    async def _move(self) -> None:
        """Put what is due back into the streams."""
        now = now_ms()
        await self._client.calls(
            [
                ("EVAL", _DUE, 3, retry_of(target), *station.streams, now, MOVE_AT_ONCE)
                for target, station in self.stations.items()
            ]
        )

    async def _look_after(self) -> None:
        if not self._looked:
            if b"aof_enabled:0" in await self._client.call("INFO", "persistence"):
                log.warning("Redis keeps no append-only file: what is accepted does not survive its end")
            self._looked = True
        await asyncio.gather(*(station.provider.keep() for station in self.stations.values()))
        min_idle_ms = int(self._push.claim_after_s * 1000)
        for station in self.stations.values():
            station.show(await self._client.calls(station.measures()))
            await station.claim(min_idle_ms)
        metrics.DEAD_LETTERS.set(await count_dead(self._client))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def settle() -> None:
    """Let the collector of a process that sends look at what is new, and seldom. Once, when all is opened."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@asynccontextmanager
async def open_sender(settings: Settings, providers: Mapping[str, Provider]) -> AsyncIterator[Sender]:
    """Send what is in the queue for these targets as long as the context lasts."""
    sender = Sender(settings, providers)
    try:
        yield sender
    finally:
        await sender.close()
