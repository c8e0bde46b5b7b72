"""The in-memory bus keeps the contract."""

import pytest

from tests.shared.bus_contract import BusContract
from tidewire.bus.memory import MemoryBus, MemoryProducer, MemoryReader


class MemoryCarrier:
    def __init__(self, shards: int) -> None:
        self.shards = shards
        self._bus = MemoryBus(shards=shards)

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self._bus)

    def reader(self) -> MemoryReader:
        return MemoryReader(self._bus)

    async def stop(self, *, lose: int = 0) -> None:
        await self._bus.stop(lose=lose)

    async def start(self) -> None:
        await self._bus.start()


class TestMemoryBus(BusContract):
    @pytest.fixture(params=[1, 8], ids=["1 shard", "8 shards"])
    async def carrier(self, request: pytest.FixtureRequest) -> MemoryCarrier:
        return MemoryCarrier(request.param)
