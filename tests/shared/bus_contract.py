"""The bus's guarantee (tidewire/bus/contract.py) as a suite: subclass it and give it a carrier.

A carrier can be stopped and started, with or without its last entries. Both implementations must pass all of it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import pytest

from tidewire.bus import contract
from tidewire.bus.envelope import shard_of
from tidewire.wire.errors import Unavailable

TIMEOUT_S = 30.0


class Carrier(Protocol):
    """A bus that the suite may hurt."""

    shards: int

    def producer(self) -> contract.Producer: ...

    def reader(self) -> contract.Reader: ...

    async def stop(self, *, lose: int = 0) -> None: ...

    async def start(self) -> None: ...


class Inbox:
    """A reader that runs, and what it has brought: all entries, and each one once."""

    def __init__(self, reader: contract.Reader) -> None:
        self.reader = reader
        self.all: list[contract.Entry] = []
        self.once: dict[str, list[contract.Entry]] = {}
        self.ephemeral: list[bytes] = []
        self.signs: list[contract.Epoch | contract.Lost] = []
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for item in self.reader.batches():
            match item:
                case contract.Events(entries, shards, places):
                    assert len(places) == len(entries) == sum(count for _, count in shards)
                    for entry in entries:
                        self._take(entry)
                case contract.Ephemeral(copies):
                    self.ephemeral += copies
                case contract.Epoch() | contract.Lost():
                    self.signs.append(item)
            async with self._news:
                self._news.notify_all()

    def _take(self, entry: contract.Entry) -> None:
        self.all.append(entry)
        known = self.once.setdefault(entry[0], [])
        if entry[1] > (known[-1][1] if known else 0):
            known.append(entry)

    async def wait_for(self, condition: "Condition") -> None:
        async with asyncio.timeout(TIMEOUT_S), self._news:
            await self._news.wait_for(condition)

    async def close(self) -> None:
        await self.reader.close()
        async with asyncio.timeout(TIMEOUT_S):
            await self._task


class Condition(Protocol):
    def __call__(self) -> bool: ...


def entries_of(keys: Sequence[str], numbers: range) -> list[contract.Entry]:
    """Return one entry per key and number, the keys interleaved."""
    return [(key, n, f"{key} {n}".encode()) for n in numbers for key in keys]


KEYS = [f"c:channel{i}" for i in range(20)]


class BusContract:
    """The suite. `carrier` is a fixture of the subclass."""

    @pytest.fixture
    async def producer(self, carrier: Carrier) -> AsyncIterator[contract.Producer]:
        producer = carrier.producer()
        await producer.connect()
        await producer.set_repaired()
        yield producer
        await producer.close()

    @pytest.fixture
    async def inbox(self, carrier: Carrier) -> AsyncIterator[Inbox]:
        inbox = Inbox(carrier.reader())
        async with asyncio.timeout(TIMEOUT_S):
            await inbox.reader.ready()
        yield inbox
        await inbox.close()

    def complete(self, inbox: Inbox, expected: Sequence[contract.Entry]) -> bool:
        return sum(map(len, inbox.once.values())) >= len(expected)

    def check(self, inbox: Inbox, expected: Sequence[contract.Entry]) -> None:
        by_key: dict[str, list[contract.Entry]] = {}
        for entry in expected:
            by_key.setdefault(entry[0], []).append(entry)
        assert inbox.once == by_key

    async def test_entries_arrive_once_and_in_order(self, producer: contract.Producer, inbox: Inbox) -> None:
        expected = entries_of(KEYS, range(1, 101))
        for start in range(0, len(expected), 97):
            await producer.publish(expected[start : start + 97])
        await inbox.wait_for(lambda: self.complete(inbox, expected))
        self.check(inbox, expected)
        assert len(inbox.all) == len(expected)
        assert not inbox.signs

    async def test_every_reader_gets_everything(
        self, carrier: Carrier, producer: contract.Producer, inbox: Inbox
    ) -> None:
        other = Inbox(carrier.reader())
        await other.reader.ready()
        expected = entries_of(KEYS, range(1, 11))
        await producer.publish(expected)
        for each in (inbox, other):
            await each.wait_for(lambda each=each: self.complete(each, expected))
            self.check(each, expected)
        await other.close()

    async def test_a_new_reader_starts_at_the_end(
        self, carrier: Carrier, producer: contract.Producer
    ) -> None:
        await producer.publish(entries_of(KEYS, range(1, 6)))
        late = Inbox(carrier.reader())
        await late.reader.ready()
        expected = entries_of(KEYS, range(6, 8))
        await producer.publish(expected)
        await late.wait_for(lambda: self.complete(late, expected))
        self.check(late, expected)
        await late.close()

    async def test_a_key_stays_in_its_shard(self, carrier: Carrier, producer: contract.Producer) -> None:
        shards: dict[str, set[int]] = {}
        reader = carrier.reader()
        batches = reader.batches()
        first = asyncio.ensure_future(anext(batches))
        await reader.ready()
        expected = entries_of(KEYS, range(1, 4))
        await producer.publish(expected)
        seen = 0
        async with asyncio.timeout(TIMEOUT_S):
            item = await first
            while True:
                assert isinstance(item, contract.Events)
                for shard, start, end in item.parts():
                    for key, _, _ in item.entries[start:end]:
                        shards.setdefault(key, set()).add(shard)
                seen += len(item.entries)
                if seen == len(expected):
                    break
                item = await anext(batches)
        assert shards == {key: {shard_of(key, carrier.shards)} for key in KEYS}
        await reader.close()
        await batches.aclose()  # type: ignore[attr-defined]  # every implementation is a generator

    async def test_ephemeral_copies_keep_their_order(self, producer: contract.Producer, inbox: Inbox) -> None:
        copies = [b"copy %d" % i for i in range(300)]
        for start in range(0, 300, 7):
            producer.ephemeral(copies[start : start + 7])
        await inbox.wait_for(lambda: len(inbox.ephemeral) == 300)
        assert inbox.ephemeral == copies

    async def test_while_down_publishing_says_so(
        self, carrier: Carrier, producer: contract.Producer, inbox: Inbox
    ) -> None:
        await carrier.stop()
        with pytest.raises(Unavailable):
            await producer.publish(entries_of(KEYS, range(1, 2)))
        with pytest.raises(Unavailable):
            await producer.connect()
        producer.ephemeral([b"dropped"])
        await carrier.start()

    async def test_after_a_restart_repair_comes_first(
        self, carrier: Carrier, producer: contract.Producer
    ) -> None:
        await carrier.stop()
        await carrier.start()
        with pytest.raises(Unavailable):
            await producer.publish(entries_of(KEYS, range(1, 2)))
        assert await producer.connect()
        assert not await producer.repaired()
        await producer.set_repaired()
        assert await producer.repaired()
        assert not await producer.connect()
        await producer.publish(entries_of(KEYS, range(1, 2)))

    @pytest.mark.parametrize("lose", [0, 1, 1000])
    async def test_a_restart_tells_whether_it_kept_the_end(
        self, carrier: Carrier, producer: contract.Producer, lose: int
    ) -> None:
        published = entries_of(KEYS, range(1, 6))
        await producer.publish(published)
        assert await producer.holds(published[-30:])
        await carrier.stop(lose=lose)
        await carrier.start()
        await producer.connect()
        assert await producer.holds(published[-30:]) == (lose == 0)
        assert await producer.holds([])

    @pytest.mark.parametrize("lose", [0, 3])
    async def test_a_restart_loses_nothing_that_is_published_again(
        self, carrier: Carrier, producer: contract.Producer, inbox: Inbox, lose: int
    ) -> None:
        before = entries_of(KEYS, range(1, 6))
        await producer.publish(before)
        await inbox.wait_for(lambda: self.complete(inbox, before))
        await carrier.stop(lose=lose)
        await carrier.start()
        missed = entries_of(KEYS, range(6, 9))
        assert await producer.connect()
        await producer.publish([*before, *missed])
        await producer.set_repaired()
        everything = [*before, *missed]
        await inbox.wait_for(lambda: self.complete(inbox, everything) and bool(inbox.signs))
        self.check(inbox, everything)
        assert {type(sign) for sign in inbox.signs} >= {contract.Epoch}

    async def test_a_lost_end_is_told_after_the_repair(
        self, carrier: Carrier, producer: contract.Producer, inbox: Inbox
    ) -> None:
        before = entries_of(KEYS, range(1, 6))
        await producer.publish(before)
        await inbox.wait_for(lambda: self.complete(inbox, before))
        await carrier.stop(lose=1_000)
        await carrier.start()
        await producer.connect()
        await producer.publish(before[-3:])  # older rows are gone from the outbox too
        await producer.set_repaired()
        used = {shard_of(key, carrier.shards) for key in KEYS}
        await inbox.wait_for(lambda: {s.shard for s in inbox.signs if isinstance(s, contract.Lost)} == used)
        assert len(inbox.all) >= len(before) + 3
