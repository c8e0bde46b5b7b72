"""The bus inside one process: the contract's twin for tests, with the carrier's misfortunes as methods.

Short and obviously right. Nothing but tests uses it: it cannot connect two processes.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from tidewire.bus.contract import Entry, Ephemeral, Epoch, Events, Item, Lost, Place
from tidewire.bus.envelope import shard_of
from tidewire.wire.errors import Unavailable


class MemoryBus:
    """The carrier: a list per shard, and an epoch that changes when the end is lost."""

    def __init__(self, *, shards: int = 1) -> None:
        self.streams: list[list[Entry]] = [[] for _ in range(shards)]
        self.ephemeral: list[bytes] = []
        self.invalidated: list[str] = []
        self.decisions: list[bytes] = []
        self.up = True
        self.epoch = 0
        self.repaired_epoch = 0
        self.changed = asyncio.Condition()

    async def stop(self, *, lose: int = 0) -> None:
        """Take the carrier away, with the last `lose` entries of each shard."""
        for stream in self.streams:
            del stream[len(stream) - min(lose, len(stream)) :]
        self.up = False
        await self.notify()

    async def start(self) -> None:
        """Bring it back as a new epoch."""
        self.up = True
        self.epoch += 1
        await self.notify()

    async def notify(self) -> None:
        """Wake the readers."""
        async with self.changed:
            self.changed.notify_all()


class MemoryProducer:
    """Implements `contract.Producer`."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._epoch = -1
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> bool:
        """See `contract.Producer.connect`."""
        self._check_up()
        new, self._epoch = self._epoch != self._bus.epoch, self._bus.epoch
        return new

    async def publish(
        self, entries: Sequence[Entry], invalidates: Sequence[str] = (), decisions: Sequence[bytes] = ()
    ) -> None:
        """See `contract.Producer.publish`."""
        self._check_up()
        if self._epoch != self._bus.epoch:
            raise Unavailable("redis")
        self._bus.invalidated.extend(invalidates)
        self._bus.decisions.extend(decisions)
        for entry in entries:
            self._bus.streams[shard_of(entry[0], len(self._bus.streams))].append(entry)
        await self._bus.notify()

    def ephemeral(self, copies: Sequence[bytes]) -> None:
        """See `contract.Producer.ephemeral`."""
        if self._bus.up:
            self._bus.ephemeral.extend(copies)
            task = asyncio.get_running_loop().create_task(self._bus.notify())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def repaired(self) -> bool:
        """See `contract.Producer.repaired`."""
        self._check_up()
        return self._bus.repaired_epoch == self._bus.epoch

    async def holds(self, newest: Sequence[Entry]) -> bool:
        """See `contract.Producer.holds`."""
        self._check_up()
        return all(any(entry in stream for stream in self._bus.streams) for entry in newest)

    async def undecided(self) -> tuple[int, int]:
        """See `contract.Producer.undecided`."""
        self._check_up()
        return len(self._bus.decisions), 1_000

    async def set_repaired(self) -> None:
        """See `contract.Producer.set_repaired`."""
        self._check_up()
        self._bus.repaired_epoch = self._bus.epoch
        await self._bus.notify()

    async def close(self) -> None:
        """See `contract.Producer.close`."""

    def _check_up(self) -> None:
        if not self._bus.up:
            raise Unavailable("redis")


class MemoryReader:
    """Implements `contract.Reader`."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self._epoch = bus.epoch
        self._positions = [len(stream) for stream in bus.streams]
        self._starts = [(at, 0) for at in self._positions]
        self._ephemeral_position = len(bus.ephemeral)
        self._doubtful: set[int] = set()
        self._closed = False

    async def ready(self) -> None:
        """See `contract.Reader.ready`."""

    @property
    def starts(self) -> list[Place]:
        """See `contract.Reader.starts`."""
        return self._starts

    @property
    def healthy(self) -> bool:
        """See `contract.Reader.healthy`."""
        return self._bus.up

    async def close(self) -> None:
        """See `contract.Reader.close`."""
        self._closed = True
        await self._bus.notify()

    async def batches(self) -> AsyncIterator[Item]:
        """See `contract.Reader.batches`."""
        while not self._closed:
            if items := self._collect():
                for item in items:
                    yield item
                continue
            async with self._bus.changed:
                await self._bus.changed.wait_for(lambda: self._closed or self._behind())

    def _behind(self) -> bool:
        bus = self._bus
        return bus.up and (
            self._epoch != bus.epoch
            or self._positions != [len(stream) for stream in bus.streams]
            or self._ephemeral_position != len(bus.ephemeral)
            or (bool(self._doubtful) and bus.repaired_epoch == bus.epoch)
        )

    def _collect(self) -> list[Item]:
        bus = self._bus
        if not bus.up:
            return []
        items: list[Item] = []
        if self._epoch != bus.epoch:
            self._epoch = bus.epoch
            for shard, stream in enumerate(bus.streams):
                if self._positions[shard] > len(stream):
                    self._doubtful.add(shard)
                self._positions[shard] = 0
                items.append(Epoch(shard))
        repaired = bus.repaired_epoch == bus.epoch
        for shard, stream in enumerate(bus.streams):
            first = self._positions[shard]
            if entries := stream[first:]:
                self._positions[shard] = len(stream)
                places = [(at + 1, 0) for at in range(first, len(stream))]
                items.append(Events(entries, [(shard, len(entries))], places))
        if copies := bus.ephemeral[self._ephemeral_position :]:
            self._ephemeral_position = len(bus.ephemeral)
            items.append(Ephemeral(copies))
        if repaired:
            items += [Lost(shard) for shard in sorted(self._doubtful)]
            self._doubtful.clear()
        return items
