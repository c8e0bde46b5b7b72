"""Order, gaps and audiences with real rows and a real bus."""

import asyncio

import pytest
import redis.asyncio

from tests.fixtures.postgres import Postgres
from tests.fixtures.redis import Redis
from tests.integration.gateway.world import PATIENCE_S, World, over_both, posted, session_id, world
from tidewire.bus.envelope import (
    Copy,
    EndSessions,
    JoinChannel,
    LeaveChannel,
    channel_key,
    user_key,
)
from tidewire.wire.events import encode_prefix

pytestmark = [pytest.mark.asyncio(loop_scope="module"), over_both]


async def test_posts_arrive_in_order_with_dense_seq(town: World) -> None:
    users = [await town.user() for _ in range(3)]
    channel = await town.channel(*users)
    clients = [await town.enter(user) for user in users]
    for number in range(100):
        await town.post(channel, str(number))
    for client in clients:
        assert await client.posts(100) == [str(number) for number in range(100)]


@pytest.mark.parametrize("shards", [1, 8])
async def test_every_channel_keeps_its_order_over_shards(database_url: str, redis_url: str, shards: int) -> None:
    async with world(database_url, redis_url, bus={"shards": shards}) as town:
        user = await town.user()
        channels = [await town.channel(user) for _ in range(10)]
        client = await town.enter(user)
        for number in range(20):
            for channel in channels:
                await town.post(channel, f"{channel} {number}")
        got = [text.split() for text in await client.posts(200)]
        for channel in channels:
            assert [number for name, number in got if name == channel] == [str(n) for n in range(20)]


async def test_repeated_and_swapped_announcements(town: World) -> None:
    user = await town.user()
    channel = await town.channel(user)
    key = channel_key(channel)
    client = await town.enter(user)
    await town.number(key, 4)
    for n in (2, 1, 1, 2, 4, 3, 3, 4):
        await town.publish(key, n, posted(channel, str(n)))
    assert await client.posts(4) == ["1", "2", "3", "4"]
    assert await client.quiet() == []


async def test_a_missing_announcement_makes_the_audience_start_anew(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, bus={"hold_ms": 200}) as town:
        ann, bob, cat = [await town.user() for _ in range(3)]
        channel, other = await town.channel(ann, bob), await town.channel(cat)
        clients = [await town.enter(user) for user in (ann, bob)]
        outsider = await town.enter(cat)
        before = [client.connection_id for client in clients]
        key = channel_key(channel)
        await town.number(key)  # its announcement never comes
        await town.post(channel, "2")
        for client, old in zip(clients, before, strict=True):
            hello = await client.event("hello")
            assert hello["seq"] == 0
            assert client.connection_id != old
        await town.post(channel, "3")
        await town.post(other, "unmoved")
        for client in clients:
            assert await client.posts(1) == ["3"]
        assert await outsider.posts(1) == ["unmoved"]
        assert [event["event"] for event in outsider.events].count("hello") == 1


async def test_nobody_receives_what_follows_his_removal(town: World) -> None:
    ann, bob = await town.user(), await town.user()
    channel = await town.channel(ann, bob)
    here, gone = await town.enter(ann), await town.enter(bob)
    key = channel_key(channel)

    def removal() -> Copy:
        data = {"channel_id": channel, "remover_id": ann}
        return Copy(encode_prefix("user_removed", data, user_id=bob), user_id=bob, name="user_removed")

    async def stream() -> None:
        for number in range(300):
            await town.post(channel, str(number))

    posts = asyncio.create_task(stream())
    await here.posts(100)
    await town.db.execute("DELETE FROM channel_members WHERE channel_id = $1 AND user_id = $2", channel, bob)
    await town.announce(key, removal(), effects=[LeaveChannel(bob, channel)])
    await here.posts(200)
    await posts
    await gone.event("user_removed")
    assert await gone.quiet() == []
    # Nor does he by a typing or an old announcement that comes again.
    await town.publish(key, 1, posted(channel, "again"), effects=[JoinChannel(bob, channel)])
    town.ephemeral(Copy(encode_prefix("typing", {}, channel_id=channel), channel_id=channel, name="typing"))
    await here.event("typing")
    assert await gone.quiet() == []


async def test_an_added_member_hears_from_his_admission_on(town: World) -> None:
    ann, bob = await town.user(), await town.user()
    channel = await town.channel(ann)
    client = await town.enter(bob)
    here = await town.enter(ann)
    await town.post(channel, "before")
    await town.add_member(channel, bob)
    await town.announce(channel_key(channel), posted(channel, "admission"), effects=[JoinChannel(bob, channel)])
    await town.post(channel, "after")
    assert await client.posts(2) == ["admission", "after"]
    assert await here.posts(3) == ["before", "admission", "after"]


async def test_joining_in_a_stream_of_posts_leaves_nothing_out(town: World) -> None:
    users = [await town.user() for _ in range(10)]
    channel = await town.channel(*users)
    total = 400

    async def stream() -> None:
        for number in range(total):
            await town.post(channel, str(number))

    posts = asyncio.create_task(stream())
    for user in users:
        client = await town.enter(user)
        # What the client would load now, as a fresh snapshot: everything up to this number.
        seen = int(await town.db.fetchval("SELECT event_n FROM channels WHERE id = $1", channel))
        texts: list[int] = []
        while not texts or texts[-1] < total - 1:
            if seen == total and not texts:
                break
            texts.append(int((await client.event("posted"))["data"]["post"]))
        assert texts == list(range(texts[0], total)) if texts else seen == total
        assert not texts or texts[0] <= seen
    await posts


async def test_tails_differ_and_bodies_do_not(town: World) -> None:
    ann, bob = await town.user(), await town.user()
    channel = await town.channel(ann, bob)
    one, two = await town.enter(ann), await town.enter(bob, "?posted_ack=true")
    await town.post(channel, "hi", mentions=[ann, bob], followers=[bob], ack_author=ann)
    first, second = await one.event("posted"), await two.event("posted")
    assert first["data"] == {"post": "hi", "mentions": f'["{ann}"]'}
    assert second["data"] == {
        "post": "hi",
        "mentions": f'["{bob}"]',
        "followers": f'["{bob}"]',
        "should_ack": True,
    }


@pytest.mark.parametrize("everything", [False, True])
async def test_an_ended_session_falls_silent_and_closes(town: World, everything: bool) -> None:
    user = await town.user()
    channel = await town.channel(user)
    token = await town.session(user)
    ended = await town.open(token)
    await ended.event("hello")
    other = await town.enter(user)
    which = [] if everything else [session_id(token)]
    await town.announce(user_key(user), effects=[EndSessions(user, which)])
    await town.post(channel, "secret")
    assert (await ended.closed())[0] == 1008
    assert "posted" not in [event["event"] for event in ended.events]
    if everything:
        assert (await other.closed())[0] == 1008
    else:
        assert await other.posts(1) == ["secret"]


async def test_a_session_that_expires_closes_its_sockets(town: World) -> None:
    client = await town.open(await town.session(await town.user(), life_ms=2500))
    await client.event("hello")
    assert (await client.closed())[0] == 1008


async def test_stopping_closes_with_going_away(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url) as town:
        client = await town.enter(await town.user())
        await client.event("status_change")
        closed = asyncio.create_task(client.closed())
    assert (await closed)[0] == 1001
    async with redis.asyncio.from_url(redis_url) as store:
        assert await store.keys("tw:presence:*") in ([], [b"tw:presence:janitor"])


async def test_redis_down_and_back(database_url: str, own_redis: Redis) -> None:
    async with world(database_url, own_redis.url) as town:
        user = await town.user()
        channel = await town.channel(user)
        client = await town.enter(user)
        await town.post(channel, "before")
        assert await client.posts(1) == ["before"]
        await asyncio.to_thread(own_redis.kill)
        assert (await client.act("ping"))["status"] == "OK"
        refused = await client.act("get_statuses_by_ids", {"user_ids": [user]})
        assert refused["error"]["id"] == "api.websocket_handler.server_busy.app_error"
        second = await town.enter(user)  # log-ins need PostgreSQL only
        await asyncio.to_thread(own_redis.start)
        async with asyncio.timeout(PATIENCE_S):
            await town.producer.connect()
        await town.post(channel, "after")
        for one in (client, second):
            assert await one.posts(1) == ["after"]
        async with asyncio.timeout(PATIENCE_S):
            while "data" not in await client.act("get_statuses_by_ids", {"user_ids": [user]}):
                await asyncio.sleep(0.1)


async def test_postgres_down_and_back(own_postgres: Postgres, redis_url: str) -> None:
    async with world(own_postgres.url("tidewire_template"), redis_url, gateway={"login_wait_s": 1}) as town:
        user = await town.user()
        token = await town.session(user)
        client = await town.enter(user)
        await asyncio.to_thread(own_postgres.kill)
        assert (await client.act("ping"))["status"] == "OK"
        refused = await town.open(token)
        assert (await refused.closed())[0] == 1013
        await asyncio.to_thread(own_postgres.start)
        async with asyncio.timeout(PATIENCE_S):
            await (await town.open(token)).event("hello")
