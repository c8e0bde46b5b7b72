"""The queue of pushes that are decided and not yet sent: untrimmed Redis streams. Accepted means written there.

`push:{target}:high` and `:low` hold jobs (field d: JSON of `wire.push.Job`) until the consumer group `senders` has
finished them, then they are deleted; so a stream's length is what waits or is under way. `push:{target}:retry` is a
sorted set of what waits for another try. `push:newest:{target}:{device}` names the last push with a badge for a device.
`push:removed` tells of devices that are gone. Knows no provider, no HTTP.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from time import monotonic

import msgspec

from tidewire.bus.redis_client import RedisClient
from tidewire.bus.resp import Word
from tidewire.wire.errors import Unavailable
from tidewire.wire.push import KEEP_BADGE, Job, Priority, Removed

GROUP = "senders"
REMOVED = "push:removed"
REMOVED_GROUP = "sessions"
# What a server that was away for long still finds; the provider says it again at the next push.
REMOVED_LENGTH = 100_000
NEWEST_S = 3_600  # a badge that waits longer is too old to be sent anyway
LOOK_AGAIN_S = 0.25
RETRY_AFTER_S = 5
WAIT_MS = 1_000
# Whoever adds can wait: a disk that is slow for a moment is better than a push that is refused.
TIMEOUT_S = 5.0
CHUNK = 500  # jobs in one write, for Redis answers others in between

encode_job = msgspec.json.Encoder().encode
decode_job = msgspec.json.Decoder(Job).decode
_encode_removed = msgspec.json.Encoder().encode
_decode_removed = msgspec.json.Decoder(Removed).decode


def stream_of(target: str, priority: Priority) -> str:
    """Return the name of a target's stream."""
    return f"push:{target}:{priority}"


def retry_of(target: str) -> str:
    """Return the name of a target's sorted set of jobs that are due later; scores are ms."""
    return f"push:{target}:retry"


def newest_of(job: Job) -> str:
    """Return the name under which the last push with a badge for the job's device is known."""
    digest = hashlib.blake2b(job.device.encode(), digest_size=12).hexdigest()
    return f"push:newest:{job.target}:{digest}"


class QueueFull(Exception):
    """As much waits for a target as the queue takes: nothing was added. Try again after `retry_after_s`."""

    def __init__(self, target: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(target)
        self.retry_after_s = retry_after_s


class PushQueue:
    """Where jobs go in. One connection to Redis; belongs to one event loop.

    limit: jobs of one target that may wait. replicas: how many must have a job before it counts as accepted.
    """

    def __init__(self, url: str, *, limit: int = 1_000_000, replicas: int = 0) -> None:
        self._client = RedisClient(url, timeout_s=TIMEOUT_S)
        self._limit = limit
        self._replicas = replicas
        self._lengths: dict[str, tuple[float, int]] = {}  # target → (when it was asked, jobs)
        self._waiting: list[tuple[Sequence[Job], asyncio.Future[None]]] = []
        self._flushing: set[asyncio.Task[None]] = set()

    async def add(self, jobs: Sequence[Job]) -> None:
        """Return once every job is in Redis, as durable as that is set up to be; calls of one loop turn share a write.

        Raises: QueueFull (nothing was added), Unavailable("redis") (unknown which were; adding the same jobs again is
        safe, for providers and phones know a repeated apns_id).
        """
        if not jobs:
            return
        loop = asyncio.get_running_loop()
        added = loop.create_future()
        self._waiting.append((jobs, added))
        if len(self._waiting) == 1:
            loop.call_soon(self._start)
        await added

    async def depth(self, target: str) -> int:
        """Return how many jobs wait or are under way. Raises: Unavailable."""
        return sum(await self._client.calls(_counts(target)))

    async def close(self) -> None:
        """Finish what is being added and drop the connection."""
        if self._flushing:
            await asyncio.wait(self._flushing)
        await self._client.close()

    def _start(self) -> None:
        calls, self._waiting = self._waiting, []
        task = asyncio.create_task(self._flush(calls))
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def _flush(self, calls: list[tuple[Sequence[Job], asyncio.Future[None]]]) -> None:
        try:
            await self._look({job.target for jobs, _ in calls for job in jobs})
            taken = [call for call in calls if self._admit(*call)]
            if taken:
                jobs = [job for added, _ in taken for job in added]
                for start in range(0, len(jobs), CHUNK):
                    await self._write(jobs[start : start + CHUNK])
        except Unavailable as error:
            _end(calls, error)
        except BaseException as error:  # whoever waits must not wait for ever, whatever went wrong
            _end(calls, Unavailable("redis"))
            raise error
        else:
            _end(calls)

    async def _look(self, targets: set[str]) -> None:
        """Know how much waits for each target, at most LOOK_AGAIN_S ago."""
        stale = [t for t in targets if self._lengths.get(t, (0.0, 0))[0] < monotonic() - LOOK_AGAIN_S]
        if not stale:
            return
        counts = await self._client.calls([command for target in stale for command in _counts(target)])
        for number, target in enumerate(stale):
            self._lengths[target] = (monotonic(), sum(counts[3 * number : 3 * number + 3]))

    def _admit(self, jobs: Sequence[Job], added: asyncio.Future[None]) -> bool:
        """Count the jobs in, or end the call with QueueFull."""
        more = Counter(job.target for job in jobs)
        for target in more:
            if self._lengths[target][1] >= self._limit:
                if not added.done():
                    added.set_exception(QueueFull(target))
                return False
        for target, count in more.items():
            at, length = self._lengths[target]
            self._lengths[target] = (at, length + count)
        return True

    async def _write(self, jobs: list[Job]) -> None:
        commands: list[tuple[Word, ...]] = []
        for job in jobs:
            if job.notification.badge != KEEP_BADGE:
                commands.append(("SET", newest_of(job), job.apns_id, "EX", NEWEST_S))
            commands.append(("XADD", stream_of(job.target, job.priority), "*", "d", encode_job(job)))
        if self._replicas:
            commands.append(("WAIT", self._replicas, WAIT_MS))
        answers = await self._client.calls(commands)
        if self._replicas and answers[-1] < self._replicas:
            raise Unavailable("redis")


class RemovedReader:
    """Tells whoever keeps devices which of them are gone: each one at least once, until it was confirmed.

    One per process: `batch = await reader.read()`, forget the devices in the database, `await reader.done(ids)`.
    """

    def __init__(self, url: str, *, consumer: str) -> None:
        self._client = RedisClient(url)
        self._consumer = consumer
        self._grouped = False

    async def read(self, count: int = 500) -> list[tuple[str, Removed]]:
        """Return what nobody has confirmed, oldest first, at once and perhaps empty: (id, device).

        What another reader took and did not confirm within a minute comes again here. Raises: Unavailable.
        """
        if not self._grouped:
            await ensure_group(self._client, REMOVED, REMOVED_GROUP)
        self._grouped = False  # until it is seen to work: a Redis that lost everything has lost the group
        claimed, read = await self._client.calls(
            [
                ("XAUTOCLAIM", REMOVED, REMOVED_GROUP, self._consumer, 60_000, "0", "COUNT", count),
                (
                    "XREADGROUP",
                    "GROUP",
                    REMOVED_GROUP,
                    self._consumer,
                    "COUNT",
                    count,
                    "STREAMS",
                    REMOVED,
                    ">",
                ),
            ]
        )
        self._grouped = True
        entries = [entry for entry in claimed[1] if entry is not None] + (read[0][1] if read else [])
        return [(entry[0].decode(), _decode_removed(entry[1][1])) for entry in entries]

    async def done(self, ids: Sequence[str]) -> None:
        """Confirm devices: they will not be told again. Raises: Unavailable."""
        if ids:
            await self._client.calls([("XACK", REMOVED, REMOVED_GROUP, *ids), ("XDEL", REMOVED, *ids)])

    async def close(self) -> None:
        """Drop the connection."""
        await self._client.close()


def removal(removed: Removed) -> tuple[Word, ...]:
    """Return the command that tells of a device that is gone."""
    return ("XADD", REMOVED, "MAXLEN", "~", REMOVED_LENGTH, "*", "d", _encode_removed(removed))


async def ensure_group(client: RedisClient, stream: str, group: str) -> None:
    """Make a consumer group that begins with the stream's first entry, unless it is there. Raises: Unavailable."""
    # XGROUP CREATE fails on one that exists, which a client that drops its connection on errors must not meet.
    script = (
        "local ok, answer = pcall(redis.call, 'XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM') return 1"
    )
    await client.call("EVAL", script, 1, stream, group)


def _counts(target: str) -> list[tuple[Word, ...]]:
    return [
        ("XLEN", stream_of(target, "high")),
        ("XLEN", stream_of(target, "low")),
        ("ZCARD", retry_of(target)),
    ]


def _end(calls: list[tuple[Sequence[Job], asyncio.Future[None]]], error: Exception | None = None) -> None:
    for _, added in calls:
        if not added.done():
            if error is None:
                added.set_result(None)
            else:
                added.set_exception(error)
