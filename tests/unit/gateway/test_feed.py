"""What the feed does with a stretch that is gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from gateway.feed import Feed
from gateway.history import History
from tests.unit.gateway.crowd import Crowd
from tidewire.bus.contract import Ephemeral, Epoch, Events, Item, Lost
from tidewire.bus.envelope import Copy, Envelope, encode, encode_copy
from tidewire.wire.errors import Unavailable


class Reader:
    """Brings the given items, then nothing."""

    def __init__(self, *items: Item) -> None:
        self.items = items
        self.healthy = True
        self.starts = [(0, 0)]

    async def batches(self) -> AsyncIterator[Item]:
        for item in self.items:
            yield item

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return


def events(key: str, *numbers: int) -> Events:
    copy = Copy(b"post", channel_id=key[2:])
    entries = [(key, n, encode(Envelope(key, [], [copy]))) for n in numbers]
    return Events(entries, [(0, len(entries))], [(n, 0) for n in numbers])


async def resynced(crowd: Crowd, numbers: dict[str, int], *items: Item, outage_s: float = 0) -> list[str]:
    """Feed the items, let repairs end, return what had to be loaded anew."""
    asked: list[str] = []
    failures = [Unavailable("database")]

    async def load(keys: Sequence[str]) -> dict[str, int]:
        if failures:
            raise failures.pop()
        return {key: numbers[key] for key in keys if key in numbers}

    feed = Feed(
        Reader(*items), crowd.relay, load, asked.append, shards=1, hold_ms=10, retention_s=60, history=History(1)
    )
    feed._outage_s = outage_s
    await feed.run()
    await asyncio.gather(*feed._checks)
    return asked


async def test_batches_reach_their_audience() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    typing = Ephemeral([encode_copy(Copy(b"typing", channel_id="x", name="typing"))])
    assert await resynced(crowd, {}, events("c:x", 1, 2), Epoch(0), events("c:x", 1, 2, 3), typing) == []
    assert crowd.got(1) == ["post"] * 3 + ["typing"]


async def test_a_lost_stretch_is_found_by_the_rows() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=4, c_y=4)
    crowd.enter(2, "bob", c_z=4)
    assert await resynced(crowd, {"c:x": 4, "c:y": 6, "u:ann": 0}, Lost(0)) == ["c:y"]


async def test_what_still_comes_is_not_lost() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=4)
    assert await resynced(crowd, {"c:x": 6}, Lost(0), events("c:x", 5, 6)) == []


async def test_after_a_long_outage_everybody_loads_anew() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=4)
    assert await resynced(crowd, {}, Lost(0), outage_s=61) == [""]
