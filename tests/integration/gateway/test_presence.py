"""Presence over several gateway processes: who is online is what any live one says."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio

from tests.integration.gateway.world import PATIENCE_S, World, world
from tidewire.actions.status import PROCESSES, held_key, load_statuses, user_key
from tidewire.bus.redis_client import RedisClient

HEARTBEAT_S = 1.0  # three of them make a process a dead one, however busy the machine is


@asynccontextmanager
async def two(database_url: str, redis_url: str) -> AsyncIterator[tuple[World, World]]:
    presence = {"heartbeat_s": HEARTBEAT_S}
    async with (
        world(database_url, redis_url, presence=presence) as one,
        world(database_url, redis_url, presence=presence, metrics={"port": 0}) as other,
    ):
        yield one, other


async def becomes(town: World, redis_url: str, user: str, wanted: str) -> None:
    """Wait until the user's status is the wanted one."""
    client = RedisClient(redis_url)
    async with asyncio.timeout(PATIENCE_S):
        while (await load_statuses(client, town.db, [user], heartbeat_s=HEARTBEAT_S))[user].status != wanted:
            await asyncio.sleep(0.02)
    await client.close()


async def test_online_is_who_has_a_socket_anywhere(database_url: str, redis_url: str) -> None:
    async with two(database_url, redis_url) as (one, other):
        user = await one.user()
        first = await one.enter(user)
        assert (await first.event("status_change"))["data"]["status"] == "online"
        await becomes(one, redis_url, user, "online")
        second = await other.enter(user)
        await first.socket.close()
        await becomes(one, redis_url, user, "online")
        # Nothing changed for him, so his devices were told once.
        assert await second.quiet(ignore="") == []
        await second.socket.close()
        await becomes(one, redis_url, user, "offline")


async def test_events_and_typing_cross_processes(database_url: str, redis_url: str) -> None:
    async with two(database_url, redis_url) as (one, other):
        ann, bob = await one.user(), await one.user()
        channel = await one.channel(ann, bob)
        here, there = await one.enter(ann), await other.enter(bob)
        await one.post(channel, "hi")
        assert await here.posts(1) == await there.posts(1) == ["hi"]
        async with asyncio.timeout(PATIENCE_S):
            while not (typing := [event for event in here.events if event["event"] == "typing"]):
                # Once might be lost: the bus promises nothing for what is soon stale.
                await there.act("user_typing", {"channel_id": channel})
                await here.act("ping")
        assert typing[0]["data"]["user_id"] == bob


async def test_a_dead_process_is_cleared_by_the_living(database_url: str, redis_url: str) -> None:
    async with (
        world(database_url, redis_url, presence={"heartbeat_s": HEARTBEAT_S}) as town,
        redis.asyncio.from_url(redis_url) as store,
    ):
        user = await town.user()
        await store.zadd(PROCESSES, {"dead": 1})
        await store.hset(user_key(user), "dead", "online:1")
        await store.sadd(held_key("dead"), user)
        await becomes(town, redis_url, user, "offline")
        async with asyncio.timeout(PATIENCE_S):
            while await store.exists(user_key(user)) or await store.zscore(PROCESSES, "dead"):
                await asyncio.sleep(0.05)


async def test_an_emptied_redis_learns_again_who_is_here(database_url: str, redis_url: str) -> None:
    async with (
        world(database_url, redis_url, presence={"heartbeat_s": HEARTBEAT_S}) as town,
        redis.asyncio.from_url(redis_url) as store,
    ):
        user = await town.user()
        await town.enter(user)
        await becomes(town, redis_url, user, "online")
        await store.flushall()
        await becomes(town, redis_url, user, "online")


async def test_the_open_channel_comes_back_with_the_connection(database_url: str, redis_url: str) -> None:
    """Here and in another process: the official clients say what they look at once, not after each reconnect."""

    async def open_channel(store: redis.asyncio.Redis, user: str) -> set[str]:
        values = await store.hvals(user_key(user))
        return {value.decode().split(":")[2] for value in values}

    async with two(database_url, redis_url) as (one, other), redis.asyncio.from_url(redis_url) as store:
        user = await one.user()
        channel = await one.channel(user)
        token = await one.session(user)
        client = await one.open(token)
        await client.event("hello")
        await client.act("presence", {"channel_id": channel})
        for town in (one, one, other):
            async with asyncio.timeout(PATIENCE_S):
                while await open_channel(store, user) != {channel}:
                    await asyncio.sleep(0.05)
                client.socket.transport.abort()
                while await store.exists(user_key(user)):
                    await asyncio.sleep(0.05)
            client = await town.resume(client, token)
            assert (await client.act("ping"))["status"] == "OK"
        assert one.gateway.resumes == {"live": 0, "away": 2, "moved": 0, "anew": 0}
        assert other.gateway.resumes == {"live": 0, "away": 0, "moved": 1, "anew": 0}


async def test_activity_costs_a_write_a_second_at_most(database_url: str, redis_url: str) -> None:
    """Who clicks through channels and types all the time is written down behind, once a second."""
    async with (
        world(database_url, redis_url) as town,
        redis.asyncio.from_url(redis_url) as store,
    ):

        async def writes() -> int:
            stats = await store.info("commandstats")
            return int(stats["cmdstat_hset"]["calls"])

        user = await town.user()
        channels = [await town.channel(user) for _ in range(2)]
        client = await town.enter(user)
        await becomes(town, redis_url, user, "online")
        before, began = await writes(), time.monotonic()
        for n in range(60):
            await client.act("presence", {"channel_id": channels[n % 2]})
            await client.act("user_typing", {"channel_id": channels[n % 2]})
            await asyncio.sleep(0.02)
        async with asyncio.timeout(PATIENCE_S):
            while channels[1].encode() not in (await store.hvals(user_key(user)))[0]:
                await asyncio.sleep(0.05)
        assert 1 <= await writes() - before <= time.monotonic() - began + 2
