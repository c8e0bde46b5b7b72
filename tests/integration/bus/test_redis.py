"""The bus on Redis keeps the contract; and what only a real server can do to it."""

import asyncio

import pytest

from tests.fixtures.redis import Redis
from tests.shared.bus_contract import KEYS, BusContract, Inbox, entries_of
from tidewire.bus import contract
from tidewire.bus.redis import RedisProducer, events_stream
from tidewire.bus.redis_reader import RedisReader
from tidewire.bus.resp import Link
from tidewire.wire.errors import Unavailable


class RedisCarrier:
    def __init__(self, server: Redis, shards: int) -> None:
        self.server, self.shards = server, shards

    def producer(self) -> RedisProducer:
        return RedisProducer(self.server.url, shards=self.shards)

    def reader(self) -> RedisReader:
        return RedisReader(self.server.url, shards=self.shards)

    async def stop(self, *, lose: int = 0) -> None:
        if lose:
            link = await Link.open(self.server.url)
            for shard in range(self.shards):
                name = events_stream(shard)
                for entry, _ in await link.call("XREVRANGE", name, "+", "-", "COUNT", lose, timeout_s=5):
                    await link.call("XDEL", name, entry, timeout_s=5)
            link.close()
        await asyncio.to_thread(self.server.kill)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)


class TestRedisBus(BusContract):
    @pytest.fixture(params=[1, 8], ids=["1 shard", "8 shards"])
    async def carrier(self, request: pytest.FixtureRequest, own_redis: Redis) -> RedisCarrier:
        return RedisCarrier(own_redis, request.param)


async def started(reader: RedisReader) -> Inbox:
    inbox = Inbox(reader)
    async with asyncio.timeout(30):
        await reader.ready()
    return inbox


async def connected(url: str) -> RedisProducer:
    producer = RedisProducer(url)
    await producer.connect()
    await producer.set_repaired()
    return producer


def healthy(inbox: Inbox) -> bool:
    return inbox.reader.healthy  # behind a call: the type checker believes that a property stays as it was


async def reader_client(link: Link) -> bytes:
    """Return the client id of the connection that is blocked in XREAD, once there is one."""
    async with asyncio.timeout(30):
        while True:
            for line in (await link.call("CLIENT", "LIST", timeout_s=5)).splitlines():
                fields = dict(field.split(b"=", 1) for field in line.split())
                if fields[b"cmd"] == b"xread":
                    return bytes(fields[b"id"])
            await asyncio.sleep(0.01)


def has(inbox: Inbox, entries: list[contract.Entry]) -> bool:
    return sum(map(len, inbox.once.values())) >= len(entries)


async def test_a_frozen_server_is_noticed_and_nothing_is_lost(own_redis: Redis) -> None:
    producer, inbox = await connected(own_redis.url), await started(RedisReader(own_redis.url))
    before = entries_of(KEYS, range(1, 3))
    await producer.publish(before)
    await inbox.wait_for(lambda: has(inbox, before))
    assert healthy(inbox)
    own_redis.pause()
    with pytest.raises(Unavailable):
        await producer.publish(entries_of(KEYS, range(3, 4)))
    async with asyncio.timeout(30):
        while healthy(inbox):
            await asyncio.sleep(0.1)
    own_redis.resume()
    async with asyncio.timeout(30):
        while True:
            try:
                await producer.connect()
                await producer.publish(entries_of(KEYS, range(3, 5)))
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    expected = entries_of(KEYS, range(1, 5))
    await inbox.wait_for(lambda: has(inbox, expected))
    assert inbox.signs == []
    assert healthy(inbox)
    await inbox.close()
    await producer.close()


async def test_a_cut_connection_goes_on_where_it_was(redis_url: str) -> None:
    producer, inbox = await connected(redis_url), await started(RedisReader(redis_url))
    expected = entries_of(KEYS, range(1, 101))
    link = await Link.open(redis_url)
    for start in range(0, len(expected), 100):
        if start % 400 == 0:
            await link.call("CLIENT", "KILL", "ID", await reader_client(link), timeout_s=5)
        await producer.publish(expected[start : start + 100])
    link.close()
    await inbox.wait_for(lambda: has(inbox, expected))
    assert len(inbox.all) == len(expected)
    assert inbox.signs == []
    await inbox.close()
    await producer.close()


async def test_what_is_published_together_is_read_together(redis_url: str) -> None:
    reader, producer = RedisReader(redis_url), await connected(redis_url)
    items = reader.batches()
    first = asyncio.ensure_future(anext(items))
    await reader.ready()
    await asyncio.sleep(0.1)  # it waits for news
    entries = entries_of(KEYS[:4], range(1, 3))
    await producer.publish(entries, invalidates=["user:x"])
    item = await first
    assert isinstance(item, contract.Events)
    assert item.entries == entries
    assert len(item.places) == len(entries)
    assert list(item.places) == sorted(item.places)
    await items.aclose()
    await reader.close()
    await producer.close()


async def test_a_stretch_trimmed_while_away_is_told(redis_url: str) -> None:
    producer, inbox = await connected(redis_url), await started(RedisReader(redis_url))
    seen = entries_of(KEYS, range(1, 3))
    await producer.publish(seen)
    await inbox.wait_for(lambda: has(inbox, seen))
    # One transaction: the reader is away while an entry comes and goes.
    link = await Link.open(redis_url)
    stream = events_stream(0)
    add = ("XADD", stream, "*", "k", "c:x", "n", 1, "e", "x")
    kill = ("CLIENT", "KILL", "ID", await reader_client(link))
    await link.calls([("MULTI",), kill, add, ("XTRIM", stream, "MAXLEN", 0), ("EXEC",)], 5)
    link.close()
    await inbox.wait_for(lambda: inbox.signs == [contract.Epoch(0), contract.Lost(0)])
    await inbox.close()
    await producer.close()


async def test_a_flushed_server_is_repaired_by_publishing_again(redis: Redis, redis_url: str) -> None:
    producer, inbox = await connected(redis_url), await started(RedisReader(redis_url))
    before = entries_of(KEYS, range(1, 3))
    await producer.publish(before)
    await inbox.wait_for(lambda: has(inbox, before))
    redis.flush()
    assert not await producer.repaired()
    expected = entries_of(KEYS, range(1, 5))
    await producer.publish(expected)
    await inbox.wait_for(lambda: has(inbox, expected))
    await inbox.close()
    await producer.close()


async def test_a_reader_that_starts_without_redis_misses_nothing(own_redis: Redis) -> None:
    own_redis.stop()
    inbox = await started(RedisReader(own_redis.url))
    assert not inbox.reader.healthy
    await asyncio.to_thread(own_redis.start)
    producer = await connected(own_redis.url)
    expected = entries_of(KEYS, range(1, 3))
    await producer.publish(expected)
    await inbox.wait_for(lambda: has(inbox, expected))
    await inbox.close()
    await producer.close()


async def test_old_entries_are_trimmed_by_age(redis_url: str) -> None:
    producer = RedisProducer(redis_url, retention_ms=1)
    await producer.connect()
    for n in range(1, 60):
        await producer.publish(entries_of(KEYS, range(n, n + 1)))
    link = await Link.open(redis_url)
    assert await link.call("XLEN", events_stream(0), timeout_s=5) < 59 * len(KEYS) / 2
    link.close()
    await producer.close()


async def test_passwords_and_databases_of_the_url(redis: Redis, redis_url: str) -> None:
    redis.command("ACL", "SETUSER", "tidewire", "on", ">s3cret%", "~*", "+@all")
    link = await Link.open(f"unix://tidewire:s3cret%25@{redis.socket}?db=1")
    assert await link.call("ACL", "WHOAMI", timeout_s=5) == b"tidewire"
    assert b"db=1" in await link.call("CLIENT", "INFO", timeout_s=5)
    link.close()
    with pytest.raises(Unavailable):
        await Link.open(f"unix://tidewire:wrong@{redis.socket}")
    redis.command("ACL", "DELUSER", "tidewire")


async def test_who_has_no_password_tells_nobody_anything(own_redis: Redis) -> None:
    """Security case G6: events and questions of one process to another."""
    own_redis.command("CONFIG", "SET", "requirepass", "s3cret")
    for words in (("XADD", events_stream(0), "*", "e", "forged"), ("PUBLISH", "tw", "forged"), ("KEYS", "*")):
        assert own_redis.command(*words).startswith(b"-NOAUTH"), words
    stranger, wrong, ours = (
        RedisProducer(f"unix://{login}{own_redis.socket}") for login in ("", ":guessed@", ":s3cret@")
    )
    for producer in (stranger, wrong):
        with pytest.raises(Unavailable):
            await producer.connect()
        with pytest.raises(Unavailable):
            await producer.publish(entries_of(KEYS, range(1, 2)))
    assert await ours.connect()
    await ours.publish(entries_of(KEYS, range(1, 2)))
    link = await Link.open(f"unix://:s3cret@{own_redis.socket}")
    assert await link.call("XLEN", events_stream(0), timeout_s=5) == len(KEYS)
    link.close()
    for producer in (stranger, wrong, ours):
        await producer.close()


async def test_commands_in_flight_fail_with_the_connection(own_redis: Redis) -> None:
    link = await Link.open(own_redis.url)
    waiting = [asyncio.create_task(link.call("BLPOP", "nothing", 0, timeout_s=30)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.to_thread(own_redis.kill)
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, Unavailable)
    assert link.closed
