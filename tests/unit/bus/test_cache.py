"""The cache: one load for all, and nothing kept that may be out of date."""

import asyncio

import pytest

from tidewire.bus.cache import ADDED_MAX, Cache, added


class Source:
    """A row whose loads wait until they are let go."""

    def __init__(self, value: str | None) -> None:
        self.value = value
        self.loads = 0
        self.go = asyncio.Event()

    async def load(self) -> str | None:
        self.loads += 1
        value = self.value
        await self.go.wait()
        return value


async def begun(source: Source, loads: int = 1) -> None:
    while source.loads < loads:
        await asyncio.sleep(0)


@pytest.fixture
def cache() -> Cache:
    cache = Cache(size=3)
    cache.vouch(3600)
    return cache


async def test_askers_share_one_load(cache: Cache) -> None:
    source = Source("a")
    asked = [asyncio.create_task(cache.get("k", source.load)) for _ in range(5)]
    await asyncio.sleep(0)
    source.go.set()
    assert await asyncio.gather(*asked) == ["a"] * 5
    assert source.loads == 1
    assert cache.peek("k") == "a"
    assert await cache.get("k", source.load) == "a"
    assert source.loads == 1


async def test_a_load_that_began_before_a_change_is_not_kept(cache: Cache) -> None:
    source = Source("old")
    first = asyncio.create_task(cache.get("k", source.load))
    await begun(source)
    source.value = "new"
    cache.drop(["k"])
    second = asyncio.create_task(cache.get("k", source.load))
    await begun(source, 2)
    source.go.set()
    assert await first == "old"
    assert await second == "new"
    assert cache.peek("k") == "new"


async def test_without_a_voucher_everything_is_loaded() -> None:
    cache, source = Cache(), Source("a")
    source.go.set()
    assert await cache.get("k", source.load) == "a"
    assert await cache.get("k", source.load) == "a"
    assert source.loads == 2
    assert cache.peek("k") is None


async def test_a_lapse_empties_it(cache: Cache) -> None:
    source = Source("a")
    source.go.set()
    await cache.get("k", source.load)
    cache.distrust()
    assert cache.peek("k") is None
    cache.vouch(3600)
    assert cache.peek("k") is None


async def test_a_load_that_spans_a_lapse_is_not_kept(cache: Cache) -> None:
    source = Source("a")
    asked = asyncio.create_task(cache.get("k", source.load))
    await begun(source)
    cache.distrust()
    cache.vouch(3600)
    source.go.set()
    assert await asked == "a"
    assert cache.peek("k") is None


async def test_nothing_is_not_kept(cache: Cache) -> None:
    source = Source(None)
    source.go.set()
    assert await cache.get("k", source.load) is None
    source.value = "a"
    assert await cache.get("k", source.load) == "a"


async def test_a_failure_reaches_every_asker_and_is_not_kept(cache: Cache) -> None:
    async def fail() -> str:
        await asyncio.sleep(0)
        raise OSError("gone")

    results = await asyncio.gather(*[cache.get("k", fail) for _ in range(3)], return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 3
    source = Source("a")
    source.go.set()
    assert await cache.get("k", source.load) == "a"


async def test_a_cancelled_asker_takes_nobody_along(cache: Cache) -> None:
    source = Source("a")
    first = asyncio.create_task(cache.get("k", source.load))
    second = asyncio.create_task(cache.get("k", source.load))
    await begun(source)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    source.go.set()
    assert await second == "a"


async def test_the_least_recently_used_goes_first(cache: Cache) -> None:
    for key in "abc":
        source = Source(key)
        source.go.set()
        await cache.get(key, source.load)
    assert cache.peek("a") == "a"
    source = Source("d")
    source.go.set()
    await cache.get("d", source.load)
    assert [cache.peek(key) for key in "abcd"] == ["a", None, "c", "d"]


async def test_values_age() -> None:
    cache, source = Cache(ttl_s=-1), Source("a")
    cache.vouch(3600)
    source.go.set()
    await cache.get("k", source.load)
    assert cache.peek("k") is None


async def test_entries_come_to_a_dict_that_is_kept(cache: Cache) -> None:
    cache.put("k", {"a": 1})
    kept = cache.peek("k")
    cache.drop([added("k", {"a": 7, "b": 2})])
    assert cache.peek("k") == {"a": 1, "b": 2}
    assert kept == {"a": 1}  # who looked before sees no change
    cache.drop([added("nothing", {"a": 1})])
    assert cache.peek("nothing") is None
    cache.drop([added("k", {str(n): n for n in range(ADDED_MAX)})])
    assert cache.peek("k") is None


async def test_a_load_that_began_before_an_entry_came_is_not_kept(cache: Cache) -> None:
    source = Source("old")
    asked = asyncio.create_task(cache.get("k", source.load))
    await begun(source)
    cache.drop([added("k", {"a": 1})])
    source.go.set()
    assert await asked == "old"
    assert cache.peek("k") is None
