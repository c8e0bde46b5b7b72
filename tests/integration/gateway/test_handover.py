"""Connections that move from one gateway to another: two of them here, with one database and one Redis."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

import gateway.main
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.fixtures.transport import speaking
from tests.integration.gateway.world import PATIENCE_S, Client, World, posted, session_id, world
from tidewire.bus.envelope import Copy, EndSessions, JoinChannel, LeaveChannel, channel_key, user_key
from tidewire.bus.exchange import PREFIX
from tidewire.bus.redis_reader import RedisReader
from tidewire.bus.variants import ChannelReaders, Piece, Variants
from tidewire.wire.events import encode_prefix

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Pair:
    """Two gateways; `readers` are what they read the bus with."""

    def __init__(self, here: World, there: World, readers: list[RedisReader]) -> None:
        self.here, self.there = here, there
        self.readers = readers

    async def visit(self) -> "Visit":
        user = await self.here.user()
        channel = await self.here.channel(user)
        token = await self.here.session(user)
        client = await self.here.open(token)
        await client.event("hello")
        await client.event("status_change")
        return Visit(self, user, channel, token, client)


class Visit:
    """A user in a channel, with a socket at `here`."""

    def __init__(self, pair: Pair, user: str, channel: str, token: str, client: Client) -> None:
        self.pair, self.user, self.channel, self.token, self.client = pair, user, channel, token, client

    async def post(self, *texts: str) -> None:
        for text in texts:
            await self.pair.here.post(self.channel, text)

    async def move(self, to: World) -> Client:
        """Cut the socket and come back elsewhere."""
        self.client.socket.transport.abort()
        self.client = await to.resume(self.client, self.token)
        return self.client

    async def be_known(self, at: World) -> None:
        """Wait until the others find the connection there, where it lives: Redis hears of it a moment later."""
        handover, connection_id = at.gateway.handover, self.client.connection_id
        if connection_id.startswith(handover.tag):
            return  # all know who made it
        async with asyncio.timeout(PATIENCE_S):
            while connection_id not in handover._guests:
                await asyncio.sleep(0.005)
            link, channel = await handover.exchange._open(), PREFIX + b"connection:" + connection_id.encode()
            while not (await link.call("PUBSUB", "NUMSUB", channel, timeout_s=PATIENCE_S))[1]:
                await asyncio.sleep(0.005)

    async def probe(self, town: World) -> Client:
        """Return another user's socket in the channel: who got an event knows how far that gateway is."""
        user = await town.user()
        await town.add_member(self.channel, user)
        return await town.enter(user)


async def open_pair(stack: AsyncExitStack, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Pair:
    readers: list[RedisReader] = []

    def reader(url: str, **options: int) -> RedisReader:
        readers.append(RedisReader(url, **options))
        return readers[-1]

    monkeypatch.setattr(gateway.main, "RedisReader", reader)
    redis = Redis(durable=False)
    redis.start()
    stack.callback(redis.stop)
    url = await stack.enter_async_context(cloned(postgres))
    # Ample time for what is asked: the machine may be busy.
    own = {"resume": {"handover_ms": 60_000}}
    towns = [await stack.enter_async_context(world(url, redis.url, **own)) for _ in range(2)]
    return Pair(towns[0], towns[1], readers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_pair(postgres: Postgres) -> AsyncIterator[Pair]:
    """Two gateways for the module."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        async with AsyncExitStack() as stack:
            yield await open_pair(stack, postgres, monkeypatch)


@pytest_asyncio.fixture(loop_scope="module")
async def pair(shared_pair: Pair) -> AsyncIterator[Pair]:
    """The module's gateways; sockets are cut at the test's end."""
    yield shared_pair
    shared_pair.here.cut_clients()
    shared_pair.there.cut_clients()


async def is_fresh(client: Client, old_id: str) -> None:
    assert (await client.receive())["event"] == "hello"
    assert client.connection_id != old_id


async def test_what_was_missed_comes_from_the_other_process(pair: Pair) -> None:
    visit = await pair.visit()
    probe = await visit.probe(pair.here)
    await visit.post("1")
    await visit.client.posts(1)
    visit.client.socket.transport.abort()
    await visit.post("2", "3")
    await probe.posts(3)
    again = await visit.move(pair.there)
    assert await again.posts(2) == ["2", "3"]
    await visit.post("4")
    assert await again.posts(1) == ["4"]
    assert "hello" not in [event["event"] for event in again.events]
    assert visit.user not in pair.here.gateway.hub.members


async def test_tails_move_along(pair: Pair) -> None:
    visit = await pair.visit()
    copy = posted(visit.channel, "for you", mentions=[visit.user], followers=[visit.user])
    probe = await visit.probe(pair.here)
    await pair.here.announce(channel_key(visit.channel), copy)
    await probe.posts(1)
    visit.client.socket.transport.abort()
    again = await visit.move(pair.there)
    data = (await again.event("posted"))["data"]
    assert data["mentions"] == data["followers"] == f'["{visit.user}"]'


async def test_a_live_connection_is_taken_and_its_old_socket_closed(pair: Pair) -> None:
    visit = await pair.visit()
    again = await pair.there.resume(visit.client, visit.token)
    await visit.post("1")
    assert await again.posts(1) == ["1"]
    assert (await visit.client.closed())[0] is None


async def test_to_and_fro(pair: Pair) -> None:
    """Who took a connection over is asked for it, not who made it."""
    visit = await pair.visit()
    for number in range(6):
        await visit.post(f"{number}")
        town = (pair.there, pair.here)[number % 2]
        await visit.move(town)
        assert await visit.client.posts(1) == [f"{number}"]
        await visit.be_known(town)
    assert "hello" not in [event["event"] for event in visit.client.events]


async def test_of_another_user_it_is_not_to_be_had(pair: Pair) -> None:
    visit, other = await pair.visit(), await pair.visit()
    thief = await pair.there.resume(visit.client, other.token)
    await is_fresh(thief, visit.client.connection_id)
    await visit.post("secret")
    assert await visit.client.posts(1) == ["secret"]
    assert await thief.quiet() == []


async def test_a_number_that_is_gone_or_ahead_is_a_fresh_start(pair: Pair) -> None:
    visit = await pair.visit()
    visit.client.next_seq += 100
    old = visit.client.connection_id
    await is_fresh(await visit.move(pair.there), old)


async def test_an_unknown_connection_is_fresh_at_once(pair: Pair) -> None:
    """Nobody listens for it, and Redis says so: the time limit of 60 s is not waited for."""
    token = await pair.here.session(await pair.here.user())
    async with asyncio.timeout(PATIENCE_S):
        await is_fresh(await pair.there.open(token, f"?connection_id={'x' * 26}&sequence_number=3"), "x" * 26)


async def test_an_owner_that_is_behind(pair: Pair) -> None:
    """What the owner has not read yet comes from what the taker has read already."""
    visit = await pair.visit()
    probe = await visit.probe(pair.there)
    link = pair.readers[0]._link
    assert link is not None and link._transport is not None
    link._transport.pause_reading()
    await visit.post("1", "2")
    joined = await pair.here.channel(visit.user)
    add = [JoinChannel(visit.user, joined)]
    await pair.here.announce(channel_key(joined), posted(joined, "welcome"), effects=add)
    await pair.here.post(visit.channel, "3")
    await probe.posts(3)
    again = await visit.move(pair.there)
    assert await again.posts(4) == ["1", "2", "welcome", "3"]
    link._transport.resume_reading()
    await pair.here.post(joined, "heard")
    assert await again.posts(1) == ["heard"]


async def test_a_taker_that_is_behind(pair: Pair) -> None:
    """It waits until it has read what the owner has delivered: nothing comes twice."""
    visit = await pair.visit()
    probe = await visit.probe(pair.here)
    await visit.probe(pair.there)  # somebody hears the channel there already
    link = pair.readers[1]._link
    assert link is not None and link._transport is not None
    link._transport.pause_reading()
    await visit.post("1", "2")
    await probe.posts(2)
    asyncio.get_running_loop().call_later(0.3, link._transport.resume_reading)
    again = await visit.move(pair.there)
    await visit.post("3")
    assert await again.posts(3) == ["1", "2", "3"]
    assert [event["event"] for event in again.events] == ["posted"] * 3


async def test_what_was_published_twice_comes_once(pair: Pair) -> None:
    """The repetition is beyond what the owner has read; its number, or its first coming, tells."""
    visit = await pair.visit()
    probe = await visit.probe(pair.there)
    other = user_key(await pair.here.user())
    body = encode_prefix("posted", {"post": "to all"})
    to_all = Copy(body, everyone=True, name="posted")
    await pair.here.announce(other, to_all)
    n = await pair.here.post(visit.channel, "1")
    for client in (visit.client, probe):
        assert await client.posts(2) == ["to all", "1"]
    link = pair.readers[0]._link
    assert link is not None and link._transport is not None
    link._transport.pause_reading()
    await pair.here.publish(other, 1, to_all)
    await pair.here.publish(channel_key(visit.channel), n, posted(visit.channel, "1"))
    await visit.post("2")
    assert await probe.posts(1) == ["2"]
    again = await visit.move(pair.there)
    assert await again.posts(1) == ["2"]
    link._transport.resume_reading()
    assert await again.quiet() == []


async def test_who_was_removed_meanwhile_hears_only_that(pair: Pair) -> None:
    visit = await pair.visit()
    probe = await visit.probe(pair.there)
    link = pair.readers[0]._link
    assert link is not None and link._transport is not None
    link._transport.pause_reading()
    own = Copy(encode_prefix("user_removed", {}, user_id=visit.user), user_id=visit.user, name="user_removed")
    await pair.here.db.execute(
        "DELETE FROM channel_members WHERE channel_id = $1 AND user_id = $2", visit.channel, visit.user
    )
    leave = [LeaveChannel(visit.user, visit.channel)]
    await pair.here.announce(channel_key(visit.channel), posted(visit.channel, "bye"), own, effects=leave)
    await visit.post("not for him")
    await probe.posts(2)
    again = await visit.move(pair.there)
    await again.event("user_removed")
    link._transport.resume_reading()
    await visit.post("nor this")
    await probe.posts(1)
    assert await again.quiet() == []


async def test_a_variant_is_his_while_he_can_read_what_it_tells(pair: Pair) -> None:
    """Also of what the owner has not read yet: he leaves the channel between two posts that tell of it."""
    visit = await pair.visit()
    far = await pair.here.channel(visit.user)
    n = await pair.here.announce(channel_key(far), effects=[JoinChannel(visit.user, far)])
    probe, inside = await visit.probe(pair.there), await pair.there.user()
    await pair.there.add_member(far, inside)
    member = await pair.there.enter(inside)

    async def tell(text: str, n: int) -> None:
        copy = posted(visit.channel, text)
        more = Piece(len(copy.body), b',"more":"yes"', 1, item=False)
        told = msgspec.structs.replace(copy, variants=Variants([ChannelReaders(far, n)], [more]))
        await pair.here.announce(channel_key(visit.channel), told)
        await probe.posts(1)

    await tell("1", n)
    before = visit.client
    await before.posts(1)
    link = pair.readers[0]._link
    assert link is not None and link._transport is not None
    link._transport.pause_reading()
    await tell("2", n)
    await pair.here.db.execute("DELETE FROM channel_members WHERE channel_id = $1 AND user_id = $2", far, visit.user)
    leave = [LeaveChannel(visit.user, far)]
    n = await pair.here.announce(channel_key(far), posted(far, "bye"), effects=leave)
    await member.posts(1)
    await tell("3", n)
    again = await visit.move(pair.there)
    await again.posts(2)
    told = [event["data"] for event in (*before.events, *again.events) if event["event"] == "posted"]
    link._transport.resume_reading()
    assert {data["post"]: data.get("more") for data in told} == {"1": "yes", "2": "yes", "3": None}
    assert not [event for event in probe.events if "more" in event["data"]]


async def test_a_session_that_ends_on_the_way(pair: Pair) -> None:
    visit = await pair.visit()
    link = pair.readers[1]._link
    assert link is not None and link._transport is not None
    link._transport.pause_reading()
    await visit.post("1")
    await visit.client.posts(1)
    moving = asyncio.create_task(visit.move(pair.there))
    async with asyncio.timeout(PATIENCE_S):
        while visit.user in pair.here.gateway.hub.members:
            await asyncio.sleep(0.005)
    await pair.here.announce(user_key(visit.user), effects=[EndSessions(visit.user, [session_id(visit.token)])])
    link._transport.resume_reading()
    again = await moving
    await again.closed()
    assert visit.user not in pair.there.gateway.hub.members


async def test_a_crowd_that_wanders_while_events_flow(pair: Pair) -> None:
    """Every event exactly once, in order, dense seqs (Client checks them), and nobody begins anew."""
    visits = [await pair.visit() for _ in range(12)]
    channel = await pair.here.channel(*[visit.user for visit in visits])
    for visit in visits:
        await pair.here.announce(channel_key(channel), effects=[JoinChannel(visit.user, channel)])
    total = 300
    dice = random.Random(7)

    def got(visit: Visit) -> list[str]:
        return [event["data"]["post"] for event in visit.client.events if event["event"] == "posted"]

    async def live(visit: Visit) -> None:
        while len(got(visit)) < total:
            before, town = visit.client.events, dice.choice([pair.here, pair.there])
            await visit.move(town)
            visit.client.events = before
            wanted = min(total, len(got(visit)) + dice.randrange(1, 30))
            await visit.client.act("ping")
            await visit.be_known(town)
            while len(got(visit)) < wanted:
                await visit.client.receive()

    lives = [asyncio.create_task(live(visit)) for visit in visits]
    for number in range(total):
        await pair.here.post(channel, str(number))
    await asyncio.gather(*lives)
    for visit in visits:
        assert got(visit) == [str(number) for number in range(total)]
        assert [event["event"] for event in visit.client.events].count("hello") == 1


async def test_a_dead_owner_is_a_fresh_start_at_once(postgres: Postgres) -> None:
    async with AsyncExitStack() as outer:
        with pytest.MonkeyPatch.context() as monkeypatch:
            inner = await outer.enter_async_context(AsyncExitStack())
            pair = await open_pair(inner, postgres, monkeypatch)
            visit = await pair.visit()
            owner = pair.here.gateway
            for task in owner.background:
                task.cancel()
            await asyncio.wait(owner.background)
            async with asyncio.timeout(PATIENCE_S):
                old = visit.client.connection_id
                await is_fresh(await visit.move(pair.there), old)
            owner.background.clear()


@pytest.mark.parametrize("kinds", [("tls", "tcp"), ("tcp", "tls"), ("tls", "tls")])
async def test_a_connection_moves_whatever_its_sockets_speak(
    database_url: str, redis_url: str, tmp_path: Path, kinds: tuple[str, str]
) -> None:
    async with AsyncExitStack() as stack:
        towns = []
        for kind in kinds:
            with speaking(kind, tmp_path):
                own = {"resume": {"handover_ms": 60_000}}
                towns.append(await stack.enter_async_context(world(database_url, redis_url, **own)))
        here, there = towns
        user = await here.user()
        channel, token = await here.channel(user), await here.session(user)
        client = await here.open(token)
        await client.event("hello")
        await here.post(channel, "one")
        assert await client.posts(1) == ["one"]
        client.socket.transport.abort()
        await here.post(channel, "two")
        again = await there.resume(client, token)
        await here.post(channel, "three")
        assert await again.posts(2) == ["two", "three"]
        assert not any(event["event"] == "hello" for event in again.events)
        back = await here.resume(again, token)  # the other one's socket is still open
        await here.post(channel, "four")
        assert await back.posts(1) == ["four"]
        assert (here.gateway.resumes["moved"], there.gateway.resumes["moved"]) == (1, 1)
