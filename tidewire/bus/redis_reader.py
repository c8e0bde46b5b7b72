"""The bus on Redis Streams: the reader of a gateway.

One connection that does nothing else, short blocks below the socket's time limit, always a concrete last id. When
the data behind the connection may have changed, it reads again from 30 s before its last entry: tried with a
failover, 0 events missed; without it 1,018 were lost silently, because ids never went back.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import Any, overload

import structlog

from hotpath import Entries
from tidewire.bus.contract import Ephemeral, Epoch, Events, Item, Lost, Place
from tidewire.bus.redis import ANSWER_TIMEOUT_S, EPHEMERAL, REPAIRED, epoch_of, events_stream
from tidewire.bus.resp import Link, ReplyError, StreamLink, pack
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

BLOCK_MS = 1000
READ_TIMEOUT_S = 3.0  # above the block: a frozen primary is noticed after this
HEALTHY_S = 2.5
# Longer than a failover takes to be noticed and clocks may differ (down-after 1 s, election, timeouts: 3 s measured).
REREAD_MS = 30_000
START_WAIT_S = 2.0
REPAIR_WAIT_S = 10.0
RETRY_S = (0.05, 1.0)

log = structlog.get_logger(__name__)


class _Stream:
    """Where we are in one stream."""

    def __init__(self, name: str, shard: int) -> None:
        self.name, self.shard = name, shard
        self.at = b"0-0"  # the position as Redis writes it
        # The last entry seen, its fields as Redis sent them: the witness that the stream is still the same.
        self.last: tuple[bytes, bytes] | None = None
        self.doubt_since = 0.0  # not 0: the witness is gone, a `Lost` is due once repair is through
        self.repair_end: Place | None = None

    @property
    def position(self) -> Place:
        """Where reading goes on: behind this place."""
        return _id(self.at)

    @position.setter
    def position(self, place: Place) -> None:
        self.at = _text(place).encode()


class _Places(Sequence[Place]):
    """Places of an answer's entries; one is made when it is asked for, which is seldom."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Place: ...
    @overload
    def __getitem__(self, index: slice) -> list[Place]: ...
    def __getitem__(self, index: int | slice) -> Place | list[Place]:
        if isinstance(index, slice):
            return [self._entries.place(at) for at in range(*index.indices(len(self)))]
        return self._entries.place(index if index >= 0 else index + len(self))


class RedisReader:
    """Implements `contract.Reader`. `batches()` must be iterated for anything to happen."""

    def __init__(self, url: str, *, shards: int = 1, batch: int = 500) -> None:
        self._url = url
        self._batch = batch
        self._events = [_Stream(events_stream(shard), shard) for shard in range(shards)]
        self._ephemeral = _Stream(EPHEMERAL, -1)
        self._streams = {stream.name.encode(): stream for stream in [*self._events, self._ephemeral]}
        self._names = [stream.name for stream in self._streams.values()]
        self._epoch = ""
        self._ready = asyncio.Event()
        self._starts: list[Place] = []
        self._heard = float("-inf")
        self._link: Link | None = None
        self._closed = False

    async def ready(self) -> None:
        """See `contract.Reader.ready`."""
        await self._ready.wait()

    @property
    def starts(self) -> list[Place]:
        """See `contract.Reader.starts`."""
        return self._starts

    @property
    def healthy(self) -> bool:
        """See `contract.Reader.healthy`."""
        return monotonic() - self._heard < HEALTHY_S

    async def close(self) -> None:
        """See `contract.Reader.close`."""
        self._closed = True
        if self._link is not None:
            self._link.close()

    async def batches(self) -> AsyncIterator[Item]:
        """See `contract.Reader.batches`. While Redis is down it tries again, 0.05 to 1 s apart, for ever."""
        started, failures = monotonic(), 0
        while not self._closed:
            try:
                link = self._link = await StreamLink.open(self._url)
                for item in await self._find_positions(link):
                    yield item
                if failures:
                    log.info("bus reader connected", failures=failures)
                failures = 0
                while not self._closed:
                    for item in await self._read(link):
                        yield item
            except (Unavailable, ReplyError) as error:
                if not failures and not self._closed:
                    log.warning("bus reader disconnected", error=repr(error.__cause__ or error))
            finally:
                if self._link is not None:
                    self._link.close()
            failures += 1
            if not self._ready.is_set() and monotonic() - started > START_WAIT_S:
                self._start_by_clock()
            if not self._closed:
                first, most = RETRY_S
                wait_s = min(most, first * 2 ** min(failures, 10))
                await asyncio.sleep(random.uniform(first, wait_s))  # noqa: S311  # spreads readers, guards nothing

    async def _find_positions(self, link: Link) -> list[Item]:
        """Fix the start of each stream, or after a reconnection check that it still is the same."""
        epoch = await epoch_of(link)
        items: list[Item] = []
        if not self._ready.is_set():
            for stream in self._streams.values():
                stream.last = await _last_entry(link, stream.name)
                if stream.last:
                    stream.at = stream.last[0]
            self._begin()
        elif self._epoch:
            for stream in self._events:
                if await self._check_witness(link, stream, new_epoch=epoch != self._epoch):
                    items.append(Epoch(stream.shard))
            if epoch != self._epoch:
                self._ephemeral.position = (0, 0)
                if last := await _last_entry(link, EPHEMERAL):
                    self._ephemeral.at = last[0]
        if items:
            log.warning("bus stream changed", epoch=epoch, before=self._epoch, shards=len(items))
        self._epoch = epoch
        self._heard = monotonic()
        return items

    async def _check_witness(self, link: Link, stream: _Stream, *, new_epoch: bool) -> bool:
        """Move back if the stream may be another one than the one we read; tell whether we did."""
        gone = False
        if stream.last is not None:
            at, fields = stream.last
            found = await link.call("XRANGE", stream.name, at, at, timeout_s=ANSWER_TIMEOUT_S)
            gone = not found or pack(tuple(found[0][1])) != fields
        if not new_epoch and not gone:
            return False
        if gone:
            stream.doubt_since, stream.repair_end = monotonic(), None
        stream.position = (max(0, stream.position[0] - REREAD_MS), 0)
        return True

    async def _read(self, link: StreamLink) -> list[Item]:
        doubt = any(stream.doubt_since for stream in self._events)
        answer = await link.read(
            "XREAD",
            "COUNT",
            self._batch,
            "BLOCK",
            BLOCK_MS // 10 if doubt else BLOCK_MS,
            "STREAMS",
            *self._names,
            *[stream.at for stream in self._streams.values()],
            timeout_s=READ_TIMEOUT_S,
        )
        self._heard = monotonic()
        items: list[Item] = _items(self._streams, *answer) if answer else []
        if doubt:
            items += [Lost(stream.shard) for stream in self._events if await self._settled(link, stream)]
        return items

    async def _settled(self, link: Link, stream: _Stream) -> bool:
        """Tell, once per doubt, that the outbox was published again and all of that has been read."""
        if not stream.doubt_since:
            return False
        if stream.repair_end is None:
            repaired = await link.call("GET", REPAIRED, timeout_s=ANSWER_TIMEOUT_S) == self._epoch.encode()
            if not repaired and monotonic() - stream.doubt_since < REPAIR_WAIT_S:
                return False
            last = await _last_entry(link, stream.name)
            stream.repair_end = _id(last[0]) if last else (0, 0)
        if stream.position < stream.repair_end:
            return False
        stream.doubt_since = 0.0
        return True

    def _start_by_clock(self) -> None:
        """Ids are times: starting before now misses nothing that is committed from now on."""
        for stream in self._events:
            stream.position = (now_ms() - REREAD_MS, 0)
        self._begin()

    def _begin(self) -> None:
        self._starts = [stream.position for stream in self._events]
        self._ready.set()


def _items(
    streams: dict[bytes, _Stream], entries: Entries, read: list[tuple[bytes, int, bytes, bytes]]
) -> list[Item]:
    """Return what an answer brings, and move the streams on. Arguments but the first: of `hotpath.shape_streams`."""
    shards: list[tuple[int, int]] = []
    copies: list[bytes] = []
    for name, count, place, last in read:
        stream = streams[name]
        stream.at = place
        if stream.shard < 0:  # Redis answers in the order of the question: it is the last
            copies = entries.take_copies(count)
        else:
            stream.last = place, last
            shards.append((stream.shard, count))
    items: list[Item] = [Events(entries, shards, _Places(entries))] if shards else []
    return [*items, Ephemeral(copies)] if copies else items


async def _last_entry(link: Link, name: str) -> tuple[bytes, bytes] | None:
    found: list[Any] = await link.call("XREVRANGE", name, "+", "-", "COUNT", 1, timeout_s=ANSWER_TIMEOUT_S)
    return (found[0][0], pack(tuple(found[0][1]))) if found else None


def _id(text: bytes) -> Place:
    ms, _, seq = text.partition(b"-")
    return int(ms), int(seq)


def _text(position: Place) -> str:
    return f"{position[0]}-{position[1]}"
