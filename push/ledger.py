"""Writes down in Redis what became of pushes, many in one transaction, again until it is certain.

Nothing is lost between two steps: what leaves a stream enters the retry set, the dead letters or `push:removed` in the
same transaction. Written twice, each is harmless. Knows no provider.
"""

import asyncio
from collections import defaultdict

import msgspec
import structlog

from tidewire.bus.push_queue import GROUP, removal, retry_of
from tidewire.bus.redis_client import RedisClient
from tidewire.bus.resp import Word
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.push import Job, Removed

DEAD = "push:dead"
DEAD_LENGTH = 10_000
# So much is un-acknowledged at most when a worker dies; in return some 50 pushes share a transaction.
GATHER_S = 0.005
AGAIN_S = 0.2
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("push")


def dead_letter(raw: bytes, target: str, reason: str, answer: str) -> tuple[Word, ...]:
    """Return the command that files a push that nobody tries any more; raw: the job as it was in its stream."""
    fields = ("d", raw, "target", target, "reason", reason, "answer", answer, "at", now_ms())
    return ("XADD", DEAD, "MAXLEN", "~", DEAD_LENGTH, "*", *fields)


def retry_command(job: Job, due_ms: int) -> tuple[Word, ...]:
    """Return the command that makes a push wait until then."""
    return ("ZADD", retry_of(job.target), due_ms, job.priority[0].encode() + _encode(job))


class Ledger:
    """One per process. `end` takes a push out of its stream, with the commands that say where it goes instead."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._ids: defaultdict[str, list[bytes]] = defaultdict(list)
        self._commands: list[tuple[Word, ...]] = []
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._write())

    def end(self, stream: str, entry: bytes, *commands: tuple[Word, ...]) -> None:
        """Note that an entry is finished."""
        self._ids[stream].append(entry)
        self._commands += commands
        self._work.set()
        self._idle.clear()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything is written; tells whether it is."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop; what is not written comes again."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _write(self) -> None:
        while True:
            await self._work.wait()
            await asyncio.sleep(GATHER_S)
            self._work.clear()
            ids, self._ids = self._ids, defaultdict(list)
            commands, self._commands = self._commands, []
            for stream, entries in ids.items():
                commands += [("XACK", stream, GROUP, *entries), ("XDEL", stream, *entries)]
            try:
                await self._certainly([("MULTI",), *commands, ("EXEC",)])
            except Exception:  # a bug of ours: these come again when they are claimed, and those behind them go on
                log.exception("ends of pushes cannot be written down", commands=len(commands))
            if not self._work.is_set():
                self._idle.set()

    async def _certainly(self, commands: list[tuple[Word, ...]]) -> None:
        while True:
            try:
                await self._client.calls(commands)
                return
            except Unavailable:
                await asyncio.sleep(AGAIN_S)


def removed_command(job: Job, reason: str, at: int) -> tuple[Word, ...]:
    """Return the command that tells of a job's device that is gone."""
    body = job.notification
    return removal(
        Removed(
            provider=job.provider,
            target=job.target,
            device=job.device,
            platform=body.platform,
            server_id=body.server_id,
            reason=reason,
            at=at or now_ms(),
        )
    )
