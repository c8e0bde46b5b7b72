"""One target in one process: takes pushes from its two streams, as many as may be under way, and gives each its end.

A push leaves its stream only together with what comes after it (`ledger`). Knows no provider but by its contract.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from push import metrics, tally
from push.breaker import PAUSE_S, Breaker
from push.complaints import Complaints, shown
from push.ledger import Ledger, dead_letter, removed_command, retry_command
from push.payloads import app_generation
from push.policy import Ages, backoff_s
from push.providers.contract import Provider
from push.replies import OK, REMOVE, Outcome, Replies
from push.verdicts import Action, Verdict
from tidewire.bus.push_queue import (
    GROUP,
    decode_job,
    encode_job,
    ensure_group,
    newest_of,
    retry_of,
    stream_of,
)
from tidewire.bus.redis_client import RedisClient
from tidewire.bus.resp import Link, ReplyError, Word
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.push import KEEP_BADGE, Job

BLOCK_MS = 1_000
TIMEOUT_S = 3.0
LOW_SHARE = 8  # of what fits, this fraction is for silent pushes while messages wait
REDIS_AGAIN_S = 0.2
CLAIM_AT_ONCE = 200
POISON_AFTER = 5  # deliveries: whoever takes it dies

log = structlog.get_logger("push")
Key = tuple[str, bytes]


@dataclass(slots=True)
class Taken:
    """An entry of a stream that this process answers for. key: stream and id; two streams may give the same id."""

    key: Key
    job: Job


@dataclass(frozen=True)
class Shared:
    """What the stations of a process have in common."""

    url: str
    client: RedisClient
    ledger: Ledger
    replies: Replies
    complaints: Complaints
    consumer: str
    ages: Ages
    in_flight: int


class Station:
    """See the module."""

    def __init__(self, target: str, provider: Provider, shared: Shared) -> None:
        self.target, self.provider = target, provider
        self.breaker = Breaker()
        self._shared = shared
        self.streams = (stream_of(target, "high"), stream_of(target, "low"))
        self._link: Link | None = None
        self._grouped = False
        self._queue: deque[Taken] = deque()
        self._under_way: dict[Key, Taken] = {}
        self._lanes: set[asyncio.Task[None]] = set()
        self._resting: list[asyncio.Future[None]] = []  # of lanes that have nothing to send
        self._room = asyncio.Event()
        self._stopping = False
        self._low_first = False
        self._sent_seconds = tally.attempts[provider.platform, Action.SENT.value]
        self._whole_seconds = tally.notifications[provider.platform]
        self._debug = log.is_enabled_for(logging.DEBUG)
        self._reader = asyncio.create_task(self._read())

    # -- in ---------------------------------------------------------------------------------------------------

    def take(self, taken: list[Taken]) -> None:
        """Answer for these entries from now on."""
        for one in taken:
            self._under_way[one.key] = one
        self._queue.extend(taken)
        wanted = len(self._queue)
        while wanted and self._resting:
            self._resting.pop().set_result(None)
            wanted -= 1
        for _ in range(min(wanted, self._shared.in_flight - len(self._lanes))):
            lane = asyncio.create_task(self._lane())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    async def _read(self) -> None:
        while not self._stopping:
            try:
                await self._read_once()
            except Unavailable:
                self._grouped = False
                await asyncio.sleep(REDIS_AGAIN_S)
            except Exception:  # a bug of ours must not end the sending of everything else
                log.exception("reading the queue failed", target=self.target)
                await asyncio.sleep(1)

    async def _read_once(self) -> None:
        limit, now = self._shared.in_flight, time.monotonic()
        under_way = len(self._under_way)
        room = self.breaker.room(now, under_way, limit)
        # While many are under way a few free places are not worth a question.
        if room < (limit // 4 if under_way > limit // 2 else 1):
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), self.breaker.wait_s(now) or 1.0)
            except TimeoutError:
                pass  # the breaker's rest may be over
            return
        entries = await self._next(room)
        if entries:
            self.take(await self._sorted(entries))

    async def _next(self, room: int) -> list[tuple[str, list[Any]]]:
        """Return (stream, [id, fields]) of what waits; blocks for a second if that is nothing. Raises: Unavailable."""
        if not self._grouped:
            for stream in self.streams:
                await ensure_group(self._shared.client, stream, GROUP)
            self._grouped = True
        if self._link is None or self._link.closed:
            self._link = await Link.open(self._shared.url)
        high, low = self.streams
        read: tuple[Word, ...] = ("XREADGROUP", "GROUP", GROUP, self._shared.consumer, "COUNT")
        share = room if self._low_first else max(1, room // LOW_SHARE)
        commands: list[tuple[Word, ...]] = [(*read, room, "STREAMS", high, ">")]
        if room > 1 or self._low_first:
            commands.append((*read, share, "STREAMS", low, ">"))
        try:
            answers = await self._link.calls(commands, TIMEOUT_S)
            if not any(answers):
                both = (*read, max(1, room // 2), "BLOCK", BLOCK_MS, "STREAMS", high, low, ">", ">")
                answers = await self._link.calls([both], TIMEOUT_S)
        except ReplyError as error:  # NOGROUP after Redis lost everything; LOADING, READONLY
            self._link.close()
            raise Unavailable("redis") from error
        found = [
            (name.decode(), entry)
            for answer in answers
            if answer
            for name, entries in answer
            for entry in entries
        ]
        self._low_first = not answers[0]
        return found

    async def _sorted(self, entries: list[tuple[str, list[Any]]]) -> list[Taken]:
        """Return the entries that are to be sent; ends those that cannot be read, or whose badge is out of date."""
        taken: list[Taken] = []
        late: list[Taken] = []
        low = self.streams[1]
        for stream, (entry, fields) in entries:
            try:
                job = decode_job(fields[1])
            except (msgspec.DecodeError, UnicodeDecodeError, IndexError, TypeError):
                raw = fields[1] if fields and len(fields) > 1 else b""
                self._shared.ledger.end(stream, entry, dead_letter(raw, self.target, "Unreadable", ""))
                metrics.DEAD.labels(self.target, "Unreadable").inc()
                log.error("entry of the queue cannot be read", target=self.target)
                continue
            one = Taken((stream, entry), job)
            taken.append(one)
            if (job.attempt or stream == low) and job.notification.badge != KEEP_BADGE:
                late.append(one)
        if late and (old := await self._superseded(late)):
            taken = [one for one in taken if one.key not in old]
        return taken

    async def _superseded(self, late: list[Taken]) -> set[Key]:
        """Return the entries that only carry a badge that is not the newest; takes the badge off the others."""
        try:
            newest = await self._shared.client.call("MGET", *[newest_of(one.job) for one in late])
        except Unavailable:
            return set()  # they are ours now, and a number that is out of date is better than none
        old: set[Key] = set()
        for one, name in zip(late, newest, strict=True):
            if name is None or name.decode() == one.job.apns_id:
                continue
            if one.job.notification.type == "update_badge":
                old.add(one.key)
                metrics.SUPERSEDED.labels(self.target).inc()
                self._shared.ledger.end(*one.key, *self._shared.replies.tell(one.job, OK))
            else:
                one.job.notification.badge = KEEP_BADGE
        return old

    # -- out --------------------------------------------------------------------------------------------------

    async def _lane(self) -> None:
        """Send one after the other, and rest while none waits. A task per lane, not per push: 42 against 68 µs."""
        under_way = tally.under_way
        loop = asyncio.get_running_loop()
        while True:
            while self._queue:
                one = self._queue.popleft()
                under_way[self.target] += 1
                try:
                    await self._attempt(one)
                except Exception as error:  # a bug of ours must not end the lane, nor come back for ever
                    log.exception("push failed by a fault of ours", target=self.target, push=one.job.apns_id)
                    self._fail(one, Verdict(Action.OPERATOR, "Bug", type(error).__name__))
                finally:
                    under_way[self.target] -= 1
            if self._stopping:
                return
            rest = loop.create_future()
            self._resting.append(rest)
            await rest

    async def _attempt(self, one: Taken) -> None:
        job = one.job
        kind = tally.kinds[self._kind(job)]
        if not job.attempt:
            kind.taken += 1
            tally.generations[self.target, _generation(job.notification.platform)] += 1
        if self._shared.ages.left_s(job, now_ms()) < 0:
            self._expire(one, Verdict(Action.RETRY, "TooOld"))
            return
        started = time.perf_counter()
        verdict = await self.provider.send(job)
        seconds = time.perf_counter() - started
        if verdict.action is not Action.SENT:
            tally.attempts[self.provider.platform, verdict.action.value].observe(seconds)
            self._not_sent(one, verdict)
            return
        self._sent_seconds.observe(seconds)
        self._answers()
        kind.sent += 1
        if job.notification.ack_id:
            kind.with_ack += 1
        if self._debug:
            log.debug(
                "push sent",
                target=self.target,
                type=job.notification.type,
                push=job.apns_id,
                device=shown(job),
            )
        self._end(one, OK)

    def _not_sent(self, one: Taken, verdict: Verdict) -> None:
        now = time.monotonic()
        self._shared.complaints.note(one.job, verdict, now)
        self._note_health(verdict)
        if verdict.action is Action.REMOVE:
            self._remove(one, verdict)
        elif verdict.pause:
            if self.breaker.pause(now):
                self._tripped(verdict, alarm=True)
            self._again(one, verdict, PAUSE_S, counted=False)
        elif verdict.action is Action.RETRY:
            delay_s = max(verdict.after_s, backoff_s(one.job.attempt + 1))
            self._again(one, verdict, 0.0 if verdict.renew else delay_s)
        elif verdict.shorten and len(one.job.notification.message) > 1:
            # Its limit is below ours: half of the text may fit.
            one.job.notification.message = one.job.notification.message[
                : len(one.job.notification.message) // 2
            ]
            self._again(one, verdict, 0.0)
        else:
            self._fail(one, verdict)

    def _note_health(self, verdict: Verdict) -> None:
        if not verdict.ill:
            if not verdict.pause:
                self._answers()
        elif self.breaker.failed(time.monotonic()):
            self._tripped(verdict, alarm=False)

    def _answers(self) -> None:
        if self.breaker.ok():
            metrics.OPEN.labels(self.target).set(0)
            log.info("provider answers again", target=self.target)
            self._room.set()

    def _tripped(self, verdict: Verdict, *, alarm: bool) -> None:
        metrics.TRIPS.labels(self.target).inc()
        metrics.OPEN.labels(self.target).set(1)
        (log.error if alarm else log.warning)(
            "target is left alone for a while; its pushes wait",
            target=self.target,
            reason=verdict.reason,
            answer=verdict.answer[:200],
            seconds=round(self.breaker.wait_s(time.monotonic()), 1),
            operator_must_act=alarm,
        )

    def _again(self, one: Taken, verdict: Verdict, delay_s: float, *, counted: bool = True) -> None:
        job = one.job
        if not self._shared.ages.may_retry(job, delay_s, now_ms()):
            self._expire(one, verdict)
            return
        metrics.RETRIES.labels(self.target, verdict.reason).inc()
        if counted:
            job.attempt += 1
        self._finish(one, retry_command(job, now_ms() + int(delay_s * 1000)))

    def _expire(self, one: Taken, verdict: Verdict) -> None:
        if one.job.priority == "high":
            self._fail(one, verdict)
            return
        metrics.EXPIRED.labels(self.target).inc()
        self._end(one, Outcome("FAIL", "too old"))

    def _fail(self, one: Taken, verdict: Verdict) -> None:
        job = one.job
        self._failed(job, verdict.reason)
        metrics.DEAD.labels(self.target, verdict.reason).inc()
        what = "transport" if verdict.unanswered else "send response"
        letter = dead_letter(encode_job(job), self.target, verdict.reason, verdict.answer)
        # Of a test nobody wants a second try: who asked has his answer.
        letters = [letter] if job.notification.type != "test" else []
        self._end(one, Outcome("FAIL", f"unknown {what} error: {verdict.reason}"), *letters)

    def _remove(self, one: Taken, verdict: Verdict) -> None:
        job = one.job
        self._failed(job, verdict.reason)
        metrics.REMOVAL.labels(self.provider.platform, job.notification.transport[:8], verdict.reason).inc()
        self._end(one, REMOVE, removed_command(job, verdict.reason, verdict.removed_at))

    def _end(self, one: Taken, outcome: Outcome, *commands: tuple[Word, ...]) -> None:
        self._whole_seconds.observe(max(0.0, (now_ms() - one.job.created_at) / 1000))
        self._finish(one, *commands, *self._shared.replies.tell(one.job, outcome))

    def _finish(self, one: Taken, *commands: tuple[Word, ...]) -> None:
        if self._under_way.pop(one.key, None) is None:
            return  # it was handed back at the end of the drain
        self._shared.ledger.end(*one.key, *commands)
        if len(self._under_way) <= self._shared.in_flight * 3 // 4:
            self._room.set()

    def _kind(self, job: Job) -> tuple[str, str, str]:
        # Strangers' words must not become a label each.
        body = job.notification
        kind = body.type if body.type in _TYPES else "other"
        return self.provider.platform, kind, "voip" if body.transport == "voip" else ""

    def _failed(self, job: Job, reason: str) -> None:
        labels = self._kind(job)
        metrics.FAILURE.labels(*labels).inc()
        metrics.FAILURE_WITH_REASON.labels(*labels, reason).inc()

    # -- looking after ----------------------------------------------------------------------------------------

    async def claim(self, min_idle_ms: int) -> None:
        """Take over what workers that died had under way, as much as there is room for. Raises: Unavailable."""
        if not self.breaker.closed or not self._grouped:
            return
        count = 0
        try:
            for stream in self.streams:
                while claimed := await self._claim_some(stream, min_idle_ms):
                    count += claimed
        finally:
            if count:
                log.warning("pushes of a worker that died are taken over", target=self.target, count=count)
                metrics.CLAIMED.labels(self.target).inc(count)

    async def _claim_some(self, stream: str, min_idle_ms: int) -> int:
        """Take over some entries of a stream; return how many."""
        room = min(CLAIM_AT_ONCE, self._shared.in_flight - len(self._under_way))
        if room <= 0:
            return 0
        client = self._shared.client
        claim = ("XAUTOCLAIM", stream, GROUP, self._shared.consumer, min_idle_ms, "0", "COUNT", room)
        found = (await client.call(*claim))[1]
        claimed = [entry for entry in found if entry and (stream, entry[0]) not in self._under_way]
        if not claimed:
            return 0
        pending = await client.calls(
            [("XPENDING", stream, GROUP, entry[0], entry[0], 1) for entry in claimed]
        )
        counts = {row[0][0]: row[0][3] for row in pending if row}
        taken = await self._sorted([(stream, entry) for entry in claimed])
        for one in taken:
            self._under_way[one.key] = one
        poison = [one for one in taken if counts.get(one.key[1], 0) > POISON_AFTER]
        for one in poison:
            self._fail(one, Verdict(Action.OPERATOR, "Poison", "taken often, and never finished"))
        self.take([one for one in taken if one not in poison])
        return len(claimed)

    async def stop(self, drain_s: float) -> None:
        """Take nothing more, let attempts end, give back the rest."""
        self._stopping = True
        self._queue.clear()
        if self._link is not None:
            self._link.close()
        self._reader.cancel()
        await asyncio.wait([self._reader])
        while self._resting:
            self._resting.pop().set_result(None)
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=drain_s)
        for lane in list(self._lanes):
            lane.cancel()
        if self._lanes:
            await asyncio.wait(self._lanes)
        for one in list(self._under_way.values()):
            self._finish(one, retry_command(one.job, now_ms()))
        await self.provider.close()

    def measures(self) -> list[tuple[Word, ...]]:
        """Return the commands that `show` wants the answers of."""
        return [
            *[("XLEN", stream) for stream in self.streams],
            ("ZCARD", retry_of(self.target)),
            *[("XRANGE", stream, "-", "+", "COUNT", 1) for stream in self.streams],
            ("ZRANGE", retry_of(self.target), 0, 0),
        ]

    def show(self, answers: list[Any]) -> None:
        """Set the gauges of the queue."""
        high, low, retrying, *firsts, first_retry = answers
        metrics.WAITING.labels(self.target).set(high + low)
        metrics.RETRYING.labels(self.target).set(retrying)
        raws = [first[0][1][1] for first in firsts if first] + [member[1:] for member in first_retry]
        ages = [now_ms() - made for raw in raws if (made := _created(raw))]
        metrics.OLDEST.labels(self.target).set(max(ages, default=0) / 1000)
        if self.breaker.closed:
            metrics.OPEN.labels(self.target).set(0)


def _created(raw: bytes) -> int:
    try:
        return decode_job(raw).created_at
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


_TYPES = frozenset({"message", "clear", "update_badge", "session", "test"})


@lru_cache(256)
def _generation(platform: str) -> str:
    """Return the app's generation as the reference's label has it."""
    number = app_generation(platform)
    return str(number) if number in (1, 2) else "other"
