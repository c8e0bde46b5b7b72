"""The bus on Redis Streams: names, what tells one epoch from another, and the producer.

One Redis or Valkey, with any number of shards; `rediss://` and passwords by the URL. Entries of `tw:events:<shard>`
have the fields k (ordering key), n (number), e (envelope); of `tw:ephemeral` e (a copy); of `tw:invalidate` k
(cache keys, space separated); of `push:decide` d (a decision, see bus/push_decide.py). `tw:repaired` names the epoch in
which the outbox was last published again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from tidewire.bus.contract import Entry
from tidewire.bus.envelope import shard_of
from tidewire.bus.resp import Link, ReplyError, Word
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

EPHEMERAL = "tw:ephemeral"
INVALIDATE = "tw:invalidate"
REPAIRED = "tw:repaired"
ANSWER_TIMEOUT_S = 2.0
WAIT_MS = 1000
TAIL_SLACK = 100
# Typing and status of a few seconds at the highest rate; a reader that far behind has no use for them.
EPHEMERAL_LENGTH = 10_000
EPHEMERAL_QUEUE = 5_000
# A cache that did not read for 2.5 s is bypassed and emptied, so nobody needs more than that.
INVALIDATE_RETENTION_MS = 30_000
DECIDE = "push:decide"
# Some 60 MB of references to posts, which wait for the push worker: an hour of 130 a second, and what is older is too
# old to be pushed. Only where none runs are so many ever there.
DECIDE_LENGTH = 500_000
ADD_DECISION: tuple[Word, ...] = ("XADD", DECIDE, "MAXLEN", "~", DECIDE_LENGTH, "*", "d")


def events_stream(shard: int) -> str:
    """Return the name of a shard's stream."""
    return f"tw:events:{shard}"


async def epoch_of(link: Link) -> str:
    """Return what changes whenever the data behind the connection may have: run id and replication id.

    Raises: Unavailable, ReplyError.
    """
    answers = await link.calls([("INFO", "server"), ("INFO", "replication")], ANSWER_TIMEOUT_S)
    lines = b"\n".join(answers).decode().replace("\r", "").split("\n")
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return f"{fields['run_id']}:{fields['master_replid']}"


class RedisProducer:
    """Implements `contract.Producer`. One connection; all methods belong to one event loop."""

    def __init__(self, url: str, *, shards: int = 1, retention_ms: int = 180_000, replicas: int = 0) -> None:
        self._url = url
        self._shards = shards
        self._retention_ms = retention_ms
        self._replicas = (
            replicas  # this many must have an entry before publish() returns; tried: 0 lost with 1
        )
        self._link: Link | None = None
        self._epoch = ""
        self._new = False  # connected, but connect() has not said so yet
        self._connecting = asyncio.Lock()
        self._ephemeral: deque[bytes] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def connect(self) -> bool:
        """See `contract.Producer.connect`."""
        await self._open()
        new, self._new = self._new, False
        return new

    async def publish(
        self, entries: Sequence[Entry], invalidates: Sequence[str] = (), decisions: Sequence[bytes] = ()
    ) -> None:
        """See `contract.Producer.publish`. Source for the trimming: `bus.stream_retention_s`."""
        if not (entries or invalidates):
            return
        if self._new:  # the outbox must be repaired first, or late numbers overtake early ones
            raise Unavailable("redis")
        now = now_ms()
        commands: list[tuple[Word, ...]] = []
        if invalidates:
            oldest = now - INVALIDATE_RETENTION_MS
            commands.append(("XADD", INVALIDATE, "MINID", "~", oldest, "*", "k", " ".join(invalidates)))
        trimmed: set[int] = set()
        for key, n, envelope in entries:
            shard = shard_of(key, self._shards)
            if shard in trimmed:
                commands.append(("XADD", events_stream(shard), "*", "k", key, "n", n, "e", envelope))
                continue
            trimmed.add(shard)  # once per stream and pipeline is enough
            oldest = now - self._retention_ms
            trim = ("XADD", events_stream(shard), "MINID", "~", oldest)
            commands.append((*trim, "*", "k", key, "n", n, "e", envelope))
        commands += [(*ADD_DECISION, data) for data in decisions]
        if len(commands) > 1:
            # Readers are woken by EXEC and get all of it in one answer; without, by the first XADD, and send to every
            # socket twice: what costs 1.5 times as much for a burst of eight (bench/peers).
            commands = [("MULTI",), *commands, ("EXEC",)]
        if self._replicas:
            commands.append(("WAIT", self._replicas, WAIT_MS))
        answers = await self._calls(commands)
        if self._replicas and answers.pop() < self._replicas:
            raise Unavailable("redis")
        if isinstance(answers[-1], list) and any(isinstance(one, ReplyError) for one in answers[-1]):
            raise Unavailable("redis")

    def ephemeral(self, copies: Sequence[bytes]) -> None:
        """See `contract.Producer.ephemeral`."""
        if len(self._ephemeral) + len(copies) > EPHEMERAL_QUEUE:
            return
        self._ephemeral.extend(copies)
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send_ephemeral())

    async def repaired(self) -> bool:
        """See `contract.Producer.repaired`."""
        answers = await self._calls([("GET", REPAIRED)])
        return bool(answers[0] == self._epoch.encode())

    async def holds(self, newest: Sequence[Entry]) -> bool:
        """See `contract.Producer.holds`."""
        wanted: dict[int, set[tuple[bytes, bytes]]] = {}
        for key, n, _ in newest:
            wanted.setdefault(shard_of(key, self._shards), set()).add((key.encode(), b"%d" % n))
        for shard, pairs in wanted.items():
            # Twice as many: rows of several workers are published and marked in slightly different orders.
            words = ("XREVRANGE", events_stream(shard), "+", "-", "COUNT", 2 * len(pairs) + TAIL_SLACK)
            (tail,) = await self._calls([words])
            if not pairs <= {(fields[1], fields[3]) for _, fields in tail}:
                return False
        return True

    async def undecided(self) -> tuple[int, int]:
        """See `contract.Producer.undecided`."""
        (waiting,) = await self._calls([("XLEN", DECIDE)])
        return waiting, DECIDE_LENGTH

    async def set_repaired(self) -> None:
        """See `contract.Producer.set_repaired`."""
        await self._calls([("SET", REPAIRED, self._epoch)])

    async def close(self) -> None:
        """See `contract.Producer.close`."""
        if self._sender is not None:
            self._sender.cancel()
        if self._link is not None:
            self._link.close()

    async def _open(self) -> Link:
        async with self._connecting:
            if self._link is not None and not self._link.closed:
                return self._link
            link = await Link.open(self._url)
            try:
                self._epoch = await epoch_of(link)
            except ReplyError as error:
                link.close()
                raise Unavailable("redis") from error
            self._link, self._new = link, True
            return link

    async def _calls(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        if self._link is None:
            raise Unavailable("redis")
        try:
            return await self._link.calls(commands, ANSWER_TIMEOUT_S)
        except ReplyError as error:  # READONLY, LOADING, OOM, NOREPLICAS: not ours to write to at present
            self._link.close()
            raise Unavailable("redis") from error

    async def _send_ephemeral(self) -> None:
        try:
            while self._ephemeral:
                copies = list(self._ephemeral)
                self._ephemeral.clear()
                link = await self._open()
                trim = ("XADD", EPHEMERAL, "MAXLEN", "~", EPHEMERAL_LENGTH, "*", "e")
                await link.calls([(*trim, copy) for copy in copies], ANSWER_TIMEOUT_S)
        except (Unavailable, ReplyError):
            self._ephemeral.clear()  # the contract: dropped while the bus is down
        finally:
            self._sender = None
