"""Resume, row by row. Source: Mattermost API v4, reliable WebSockets; deviations: ARCHITECTURE.md."""

import asyncio
import socket

import pytest

from gateway.connection import State
from tests.integration.gateway.world import PATIENCE_S, Client, World, over_both, session_id, world
from tidewire.bus.envelope import EndSessions, user_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), over_both]


class Visit:
    """A user in a channel with one socket."""

    def __init__(self, town: World, user: str, channel: str, token: str, client: Client) -> None:
        self.town, self.user, self.channel, self.token, self.client = town, user, channel, token, client

    @classmethod
    async def of(cls, town: World) -> "Visit":
        user = await town.user()
        channel = await town.channel(user)
        token = await town.session(user)
        client = await town.open(token)
        await client.event("hello")
        await client.event("status_change")
        return cls(town, user, channel, token, client)

    async def lose(self) -> None:
        """Cut the client's TCP connection and wait until the gateway knows."""
        transport = self.client.socket.transport
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
        )
        transport.abort()
        connection = self.town.gateway.hub.by_connection_id[self.client.connection_id]
        async with asyncio.timeout(PATIENCE_S):
            while connection.state is not State.AWAY:
                await asyncio.sleep(0.01)

    async def resume(self, number: object = None) -> Client:
        return await self.town.resume(self.client, self.token, number)


async def is_fresh(client: Client, old_id: str) -> None:
    hello = await client.receive()
    assert hello["event"] == "hello"
    assert client.connection_id != old_id


async def test_what_was_missed_is_replayed_with_its_seq(town: World) -> None:
    visit = await Visit.of(town)
    await town.post(visit.channel, "1")
    await visit.client.posts(1)
    await visit.lose()
    for number in range(2, 30):
        await town.post(visit.channel, str(number))
    again = await visit.resume()
    assert await again.posts(28) == [str(number) for number in range(2, 30)]
    await town.post(visit.channel, "30")
    assert await again.posts(1) == ["30"]
    assert "hello" not in [event["event"] for event in again.events]


async def test_what_was_sent_but_not_received_is_replayed_too(town: World) -> None:
    visit = await Visit.of(town)
    for number in range(10):
        await town.post(visit.channel, str(number))
    await visit.client.posts(10)
    await visit.lose()
    visit.client.next_seq -= 4
    again = await visit.resume()
    assert await again.posts(4) == ["6", "7", "8", "9"]


async def test_nothing_missed_is_no_event(town: World) -> None:
    visit = await Visit.of(town)
    await visit.lose()
    again = await visit.resume()
    assert await again.quiet() == []


async def test_a_live_connection_is_taken_over(town: World) -> None:
    visit = await Visit.of(town)
    await town.post(visit.channel, "1")
    again = await visit.resume()
    assert await again.posts(1) == ["1"]
    assert "hello" not in [event["event"] for event in again.events]
    with pytest.raises(Exception, match=r"."):
        while True:  # what was on the old socket already may still be read; then it is closed
            await visit.client.socket.recv()
    await town.post(visit.channel, "2")
    assert await again.posts(1) == ["2"]
    assert len(town.gateway.hub.members[visit.user].connections) == 1


@pytest.mark.parametrize("number", ["-1", str(2**63), "9" * 30])
async def test_impossible_numbers_make_a_fresh_connection(town: World, number: str) -> None:
    visit = await Visit.of(town)
    await visit.lose()
    await is_fresh(await visit.resume(number), visit.client.connection_id)


async def test_a_number_far_ahead_makes_a_fresh_connection_and_drops_the_old(town: World) -> None:
    visit = await Visit.of(town)
    await visit.lose()
    await is_fresh(await visit.resume(5000), visit.client.connection_id)
    assert len(town.gateway.hub.members[visit.user].connections) == 1


@pytest.mark.parametrize(
    "query",
    [
        "?connection_id={id}&sequence_number=abc",
        "?connection_id={id}&sequence_number=1e400",
        "?connection_id={id}&sequence_number=",
        "?connection_id={id}",
        "?connection_id=short&sequence_number=1",
        "?connection_id=../../../../../../../../x&sequence_number=1",
    ],
)
async def test_malformed_resumes_are_closed_right_behind_the_101(town: World, query: str) -> None:
    visit = await Visit.of(town)
    await visit.lose()
    client = await town.open(visit.token, query.format(id=visit.client.connection_id))
    assert await client.closed() == (None, "")
    assert not client.events
    await visit.resume()  # unharmed


async def test_an_empty_id_and_an_unknown_id_are_fresh(town: World) -> None:
    token = await town.session(await town.user())
    for query in ("?connection_id=&sequence_number=0", f"?connection_id={'x' * 26}&sequence_number=3"):
        await is_fresh(await town.open(token, query), "x" * 26)


async def test_without_a_session_the_id_is_not_even_looked_at(town: World) -> None:
    visit = await Visit.of(town)
    await visit.lose()
    query = f"?connection_id={visit.client.connection_id}&sequence_number=abc"
    client = await town.open("", query)
    await client.send("authentication_challenge", {"token": visit.token})
    await is_fresh(client, visit.client.connection_id)


async def test_another_users_connection_is_not_to_be_had(town: World) -> None:
    visit, other = await Visit.of(town), await Visit.of(town)
    await visit.lose()
    await town.post(visit.channel, "secret")
    thief = await town.resume(visit.client, other.token)
    await is_fresh(thief, visit.client.connection_id)
    assert await thief.quiet() == []
    again = await visit.resume()
    assert await again.posts(1) == ["secret"]


async def test_a_connection_from_before_a_logout_is_gone(town: World) -> None:
    visit = await Visit.of(town)
    await visit.lose()
    await town.announce(user_key(visit.user), effects=[EndSessions(visit.user, [session_id(visit.token)])])
    async with asyncio.timeout(PATIENCE_S):
        while visit.user in town.gateway.hub.members:
            await asyncio.sleep(0.01)
    client = await town.resume(visit.client, await town.session(visit.user))
    await is_fresh(client, visit.client.connection_id)


async def test_number_zero_replays_from_hello(town: World) -> None:
    visit = await Visit.of(town)
    await visit.lose()
    visit.client.next_seq = 0
    again = await visit.resume(0)
    hello = await again.receive()
    assert hello["event"] == "hello"
    assert again.connection_id == visit.client.connection_id


async def test_more_than_is_kept_makes_a_fresh_connection(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, resume={"events": 1, "bytes": 1 << 20}) as town:
        visit = await Visit.of(town)
        await visit.lose()
        expected = visit.client.next_seq
        probe = await town.enter(visit.user)
        for number in range(40):  # 1.6 MB
            await town.post(visit.channel, f"{number} {'x' * 40_000}")
            await probe.posts(1)
        await is_fresh(await visit.resume(expected), visit.client.connection_id)


async def test_it_is_kept_for_a_while_only(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, resume={"keep_s": 0.3}) as town:
        visit = await Visit.of(town)
        await visit.lose()
        async with asyncio.timeout(PATIENCE_S):
            while town.gateway.connections:
                await asyncio.sleep(0.02)
        assert not town.gateway.hub.members
        await is_fresh(await visit.resume(), visit.client.connection_id)


async def test_a_slow_reader_is_closed_and_resumes_without_loss(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, outbox={"close_at": 64}, resume={"events": 4096}) as town:
        visit = await Visit.of(town)
        witness = await town.enter(visit.user)
        slow = await town.open(visit.token, max_queue=1)
        await slow.event("hello")
        slow.socket.transport.pause_reading()
        filler = "x" * 4000
        total = 0
        connection = town.gateway.hub.by_connection_id[slow.connection_id]
        async with asyncio.timeout(PATIENCE_S * 3):
            while connection.state is State.LIVE:
                await town.post(visit.channel, f"{total} {filler}")
                total += 1
                await witness.posts(1)
                await visit.client.posts(1)
        assert connection.state is State.AWAY
        slow.socket.transport.resume_reading()
        assert (await slow.closed())[0] in (1013, None)  # the frame may not have found room in the socket
        got = [event["data"]["post"].split()[0] for event in slow.events if event["event"] == "posted"]
        again = await town.resume(slow, visit.token)
        got += [text.split()[0] for text in await again.posts(total - len(got))]
        assert got == [str(number) for number in range(total)]
