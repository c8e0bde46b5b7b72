"""Jobs go into Redis, and devices that are gone come out of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.fixtures.redis import Redis
from tidewire.bus.push_queue import (
    PushQueue,
    QueueFull,
    RemovedReader,
    decode_job,
    newest_of,
    removal,
    stream_of,
)
from tidewire.bus.redis_client import RedisClient
from tidewire.wire.errors import Unavailable
from tidewire.wire.push import Job, Notification, Removed, Subscription, new_job


def job(device: str = "d1", kind: str = "message", badge: int = 1) -> Job:
    body = Notification(platform="apple_rn-v2", server_id="s", device_id=device, type=kind, badge=badge)
    return new_job(body, provider="apns")


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(redis_url)
    yield client
    await client.close()


async def test_jobs_are_in_redis_when_add_returns(client: RedisClient, redis_url: str) -> None:
    queue = PushQueue(redis_url)
    jobs = [job("d1"), job("d2", "clear"), job("d2", "update_badge")]
    await asyncio.gather(queue.add(jobs[:2]), queue.add(jobs[2:]), queue.add([]))
    high = await client.call("XRANGE", stream_of("apple_rn", "high"), "-", "+")
    low = await client.call("XRANGE", stream_of("apple_rn", "low"), "-", "+")
    assert [decode_job(fields[1]) for _, fields in high + low] == jobs
    assert await client.call("GET", newest_of(jobs[1])) == jobs[2].apns_id.encode()
    assert await queue.depth("apple_rn") == 3
    await queue.close()


async def test_a_full_target_takes_nothing_and_others_do(client: RedisClient, redis_url: str) -> None:
    queue = PushQueue(redis_url, limit=2)
    await queue.add([job("d1"), job("d2")])
    with pytest.raises(QueueFull) as full:
        await queue.add([job("d3")])
    assert full.value.retry_after_s > 0
    subscription = Subscription(endpoint="https://push.example.org/1", p256dh="", auth="")
    await queue.add([new_job(Notification(type="message"), provider="webpush", subscription=subscription)])
    assert await queue.depth("apple_rn") == 2
    await client.call("DEL", stream_of("apple_rn", "high"))
    async with asyncio.timeout(30):
        while True:  # what it knows of the length is a quarter of a second old
            try:
                await queue.add([job("d3")])
                break
            except QueueFull:
                await asyncio.sleep(0.05)
    await queue.close()


async def test_accepted_means_written(own_redis: Redis) -> None:
    queue = PushQueue(own_redis.url)
    await queue.add([job("d1")])
    own_redis.kill()
    with pytest.raises(Unavailable):
        await queue.add([job("d2")])
    own_redis.start()
    await queue.add([job("d3")])
    client = RedisClient(own_redis.url)
    entries = await client.call("XRANGE", stream_of("apple_rn", "high"), "-", "+")
    assert [decode_job(fields[1]).device for _, fields in entries] == ["d1", "d3"]
    await queue.close()
    await client.close()


async def test_without_its_replicas_nothing_is_accepted(redis_url: str) -> None:
    queue = PushQueue(redis_url, replicas=1)
    with pytest.raises(Unavailable):
        await queue.add([job()])
    await queue.close()


async def test_removed_devices_are_told_until_confirmed(client: RedisClient, redis_url: str) -> None:
    reader = RemovedReader(redis_url, consumer="c")
    assert await reader.read() == []
    gone = Removed(provider="apns", target="apple_rn", device="d1", reason="Unregistered", at=5)
    await client.call(*removal(gone))
    batch = await reader.read()
    assert [removed for _, removed in batch] == [gone]
    await reader.done([entry for entry, _ in batch])
    assert await client.call("XLEN", "push:removed") == 0
    await client.call("FLUSHALL")
    with pytest.raises(Unavailable):
        await reader.read()
    assert await reader.read() == []
    await reader.close()
