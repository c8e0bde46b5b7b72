"""What one worker changes, the others' caches forget; without Redis they are not used."""

import asyncio
from collections.abc import Callable

from tests.fixtures.redis import Redis
from tests.integration.bus.test_publisher import CHANNELS, TIMEOUT_S, Worker, seed
from tidewire.bus import envelope
from tidewire.bus.cache import Cache
from tidewire.bus.invalidation import InvalidationReader


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.01)


async def keep(cache: Cache, key: str) -> None:
    """Load until it is kept."""

    async def load() -> str:
        return key

    async with asyncio.timeout(TIMEOUT_S):
        while cache.peek(key) is None:
            await cache.get(key, load)
            await asyncio.sleep(0.01)


async def test_an_announcement_drops_the_rows_it_names(database_url: str, redis_url: str) -> None:
    await seed(database_url)
    cache = Cache()
    reader = InvalidationReader(redis_url, cache)
    reader.start()
    worker = await Worker(database_url, redis_url).start()
    for key in ("user:a", "user:b", "channel:c"):
        await keep(cache, key)
    key = envelope.channel_key(CHANNELS[0])
    async with worker.db.transaction() as tx:
        tx.announce(key, envelope.encode(envelope.Envelope(key, invalidates=["user:a", "channel:c"])))
    await until(lambda: cache.peek("user:a") is None and cache.peek("channel:c") is None)
    assert cache.peek("user:b") == "user:b"
    await worker.close()
    await reader.close()


async def test_without_redis_the_cache_is_bypassed_and_then_starts_empty(own_redis: Redis) -> None:
    cache = Cache()
    reader = InvalidationReader(own_redis.url, cache)
    reader.start()
    await keep(cache, "user:a")
    await asyncio.to_thread(own_redis.kill)
    await until(lambda: cache.peek("user:a") is None)
    await asyncio.to_thread(own_redis.start)
    await keep(cache, "user:b")
    assert cache.peek("user:a") is None
    await reader.close()
    assert cache.peek("user:b") is None


async def test_a_frozen_redis_makes_the_cache_unused(own_redis: Redis) -> None:
    cache = Cache()
    reader = InvalidationReader(own_redis.url, cache)
    reader.start()
    await keep(cache, "user:a")
    own_redis.pause()
    await until(lambda: cache.peek("user:a") is None)
    own_redis.resume()
    await keep(cache, "user:b")
    assert cache.peek("user:a") is None
    await reader.close()
