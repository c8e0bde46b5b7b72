"""Tells callers of the proxy what became of their push, while they wait; across processes by a stream per process."""

import asyncio
from dataclasses import dataclass
from typing import Literal

import msgspec

from tidewire.bus.resp import Link, Word
from tidewire.loops import again
from tidewire.wire.push import Job

LENGTH = 10_000
KEEP_S = 60  # longer than any caller waits
BLOCK_MS = 1_000
RETRY_S = 0.2
SWEEP_S = 0.1  # how late somebody who waited long enough is let go


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `send_push` answers. Source: mattermost-push-proxy."""

    status: Literal["OK", "REMOVE", "FAIL"]
    error: str = ""


OK = Outcome("OK")
REMOVE = Outcome("REMOVE")


@dataclass(frozen=True)
class _Told:
    apns_id: str
    outcome: Outcome


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Told).decode


def stream_of(process: str) -> str:
    """Return the name of the stream that a process reads."""
    return f"push:replies:{process}"


class Replies:
    """Who waits in this process. Bounded by the callers that are connected."""

    def __init__(self, url: str, process: str) -> None:
        self.process = process
        self._url = url
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._until: dict[
            str, float
        ] = {}  # when who waits is let go, by the loop's clock; in the order of asking
        self._sweeper: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._last = b"0"  # the entry that was read last

    def expect(self, job: Job, wait_s: float) -> asyncio.Future[Outcome]:
        """Return what will hold the outcome, or OK after about wait_s, the same for all: the push is queued.

        The job must carry `reply_to` of this process. One timer for all: one for each took 10 µs.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting[job.apns_id] = future
        self._until[job.apns_id] = loop.time() + wait_s
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP_S, self._sweep)
        return future

    def forget(self, job: Job) -> None:
        """Nobody waits for the job any more."""
        self._waiting.pop(job.apns_id, None)
        self._until.pop(job.apns_id, None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for apns_id, until in list(self._until.items()):
            if until > now:
                break
            self._end(apns_id, OK)
        self._sweeper = loop.call_later(SWEEP_S, self._sweep) if self._until else None

    def tell(self, job: Job, outcome: Outcome) -> list[tuple[Word, ...]]:
        """Tell who waits for a job; returns the commands that tell it to another process."""
        if job.reply_to == self.process:
            self._end(job.apns_id, outcome)
            return []
        if not job.reply_to:
            return []
        stream = stream_of(job.reply_to)
        data = _encode(_Told(job.apns_id, outcome))
        return [("XADD", stream, "MAXLEN", "~", LENGTH, "*", "d", data), ("EXPIRE", stream, KEEP_S)]

    def end_all(self) -> None:
        """Let everybody go: what they gave is queued."""
        for apns_id in list(self._waiting):
            self._end(apns_id, OK)

    def start(self) -> None:
        """Hear what other processes tell."""
        self._task = asyncio.create_task(again("outcomes of other processes", self._listen, RETRY_S))

    async def close(self) -> None:
        """Stop hearing."""
        self.end_all()
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _end(self, apns_id: str, outcome: Outcome) -> None:
        future = self._waiting.pop(apns_id, None)
        self._until.pop(apns_id, None)
        if future is not None and not future.done():
            future.set_result(outcome)

    async def _listen(self) -> None:
        stream = stream_of(self.process)
        link = await Link.open(self._url)
        try:
            while True:
                answer = await link.call("XREAD", "BLOCK", BLOCK_MS, "STREAMS", stream, self._last, timeout_s=3)
                for self._last, fields in answer[0][1] if answer else ():  # first: what cannot be read is passed over
                    told = _decode(fields[1])
                    self._end(told.apns_id, told.outcome)
        finally:
            link.close()
