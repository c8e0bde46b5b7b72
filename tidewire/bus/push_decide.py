"""The queue of what may lead to a push, as the push worker reads it: at least once each, and of a post mostly once.

Publishers add to `push:decide` (bus/redis.py). What a worker took and did not finish, because it died, another one
takes over; what it cannot finish goes to `push:undecided`. Posts that were decided on stay known for as long as
publishers may add them again. Knows no rules and no devices.
"""

from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import structlog

from tidewire.bus.envelope import Decision, PostPush, decode_decision
from tidewire.bus.redis import ANSWER_TIMEOUT_S, DECIDE
from tidewire.bus.resp import Link, ReplyError, Word
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

GROUP = "deciders"
UNDECIDED = "push:undecided"
UNDECIDED_LENGTH = 1_000
DECIDED = "push:decided"  # sorted set: post → when, ms
BLOCK_MS = 5_000  # an idle worker wakes up so rarely
CLAIM_EVERY_S = 2.0
# A batch takes some ms, and 10 s where the database does not answer in time; whoever has it for longer is dead.
CLAIM_AFTER_MS = 12_000
DELIVERIES = 5  # an entry that ended so many workers is not given to another one

log = structlog.get_logger(__name__)


class Waiting(NamedTuple):
    """An entry of the queue. number: its id there."""

    number: bytes
    decision: Decision


class DecisionReader:
    """One worker's view. One connection, opened when needed; methods raise Unavailable("redis").

    consumer: a name that no other process has. keep_s: how long after an announcement it may be published again.
    """

    def __init__(
        self, url: str, *, consumer: str, keep_s: float, claim_after_ms: int = CLAIM_AFTER_MS
    ) -> None:
        self._url = url
        self._consumer = consumer
        self._keep_ms = int(keep_s * 1000)
        self._claim_after_ms = claim_after_ms
        self._claimed_at = float("-inf")
        self._link: Link | None = None

    async def read(self, count: int) -> list[Waiting]:
        """Return up to `count` entries, oldest first; waits for some, but not for ever: the list may be empty."""
        link = await self._open()
        entries: list[Any] = []
        if monotonic() - self._claimed_at > CLAIM_EVERY_S:
            self._claimed_at = monotonic()
            entries = await self._claim(link, count)
        if not entries:
            words = ("XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", count, "BLOCK", BLOCK_MS)
            answer = await self._call(link, *words, "STREAMS", DECIDE, ">", timeout_s=BLOCK_MS / 1000 + 2)
            entries = answer[0][1] if answer else []
        return await self._decode(entries)

    async def known(self, posts: Sequence[str]) -> list[bool]:
        """Tell of each post whether it has been decided on lately."""
        if not posts:
            return []
        link = await self._open()
        scores = await self._call(link, "ZMSCORE", DECIDED, *posts, timeout_s=ANSWER_TIMEOUT_S)
        return [score is not None for score in scores]

    async def done(self, waiting: Sequence[Waiting]) -> None:
        """Finish entries: they will not come again, and their posts are known."""
        if not waiting:
            return
        numbers = [one.number for one in waiting]
        posts = [one.decision.push.post_id for one in waiting if isinstance(one.decision.push, PostPush)]
        commands: list[tuple[Word, ...]] = [
            ("MULTI",),
            ("XACK", DECIDE, GROUP, *numbers),
            ("XDEL", DECIDE, *numbers),
            ("ZREMRANGEBYSCORE", DECIDED, "-inf", now_ms() - self._keep_ms),
        ]
        if posts:
            now = now_ms()
            commands.append(("ZADD", DECIDED, *[word for post in posts for word in (now, post)]))
        await self._calls(await self._open(), [*commands, ("EXEC",)])

    async def set_aside(self, numbers: Sequence[bytes], reason: str) -> None:
        """Put entries away that cannot be decided on, for people to look at."""
        link = await self._open()
        for number in numbers:
            found = await self._call(link, "XRANGE", DECIDE, number, number, timeout_s=ANSWER_TIMEOUT_S)
            trim = ("XADD", UNDECIDED, "MAXLEN", "~", UNDECIDED_LENGTH, "*", "why", reason, "d")
            commands: list[tuple[Word, ...]] = [(*trim, fields[1]) for _, fields in found]
            commands += [("XACK", DECIDE, GROUP, number), ("XDEL", DECIDE, number)]
            await self._calls(link, [("MULTI",), *commands, ("EXEC",)])

    async def close(self) -> None:
        """Let go of the connection; what was not finished, others take over."""
        if self._link is not None:
            self._link.close()

    async def _claim(self, link: Link, count: int) -> list[Any]:
        """Return entries whose worker died; what ended several workers is put aside."""
        words = ("XPENDING", DECIDE, GROUP, "IDLE", self._claim_after_ms, "-", "+", count)
        pending = await self._call(link, *words, timeout_s=ANSWER_TIMEOUT_S)
        if not pending:
            return []
        bad = [number for number, _, _, times in pending if times >= DELIVERIES]
        if bad:
            log.error("decisions that end their worker are put aside", count=len(bad))
            await self.set_aside(bad, "ended its worker several times")
        good = [number for number, _, _, times in pending if times < DELIVERIES]
        if not good:
            return []
        claim = ("XCLAIM", DECIDE, GROUP, self._consumer, self._claim_after_ms, *good)
        entries = await self._call(link, *claim, timeout_s=ANSWER_TIMEOUT_S)
        log.info("decisions taken over", count=len(entries))
        return [entry for entry in entries if entry is not None]

    async def _decode(self, entries: list[Any]) -> list[Waiting]:
        found: list[Waiting] = []
        for number, fields in entries:
            try:
                found.append(Waiting(number, decode_decision(fields[1])))
            except msgspec.DecodeError:
                log.error("a decision cannot be read and is put aside", entry=number.decode())
                await self.set_aside([number], "cannot be read")
        return found

    async def _open(self) -> Link:
        if self._link is None or self._link.closed:
            self._link = await Link.open(self._url)
        return self._link

    async def _call(self, link: Link, *words: Word, timeout_s: float) -> Any:
        try:
            return await link.call(*words, timeout_s=timeout_s)
        except ReplyError as error:
            if not str(error).startswith("NOGROUP"):
                link.close()
                raise Unavailable("redis") from error
        # The first worker ever, or a Redis that lost everything: from the first entry on.
        try:
            await link.call("XGROUP", "CREATE", DECIDE, GROUP, "0", "MKSTREAM", timeout_s=ANSWER_TIMEOUT_S)
        except ReplyError as error:
            if not str(error).startswith("BUSYGROUP"):  # another worker was quicker
                link.close()
                raise Unavailable("redis") from error
        return await self._call(link, *words, timeout_s=timeout_s)

    async def _calls(self, link: Link, commands: list[tuple[Word, ...]]) -> None:
        try:
            answers = await link.calls(commands, ANSWER_TIMEOUT_S)
        except ReplyError as error:
            link.close()
            raise Unavailable("redis") from error
        failed = next((one for one in answers[-1] or () if isinstance(one, ReplyError)), None)
        if failed is not None:
            link.close()
            raise Unavailable("redis") from failed
