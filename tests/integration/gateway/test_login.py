"""Ways to log in, and what happens to sockets that do not."""

import asyncio
import json

import httpx
import pytest
import redis.asyncio
import websockets

from tests.fixtures.transport import Transport
from tests.integration.gateway.world import PATIENCE_S, Client, World, over_both, session_id, world
from tidewire.bus.envelope import EndSessions, user_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), over_both]


@pytest.mark.parametrize(
    "header", [("Cookie", "MMAUTHTOKEN={}"), ("Authorization", "Bearer {}"), ("Authorization", "Token {}")]
)
async def test_a_credential_of_the_handshake_logs_in(town: World, header: tuple[str, str]) -> None:
    user = await town.user()
    token = await town.session(user)
    name, value = header
    client = await town.connect({name: value.format(token)})
    hello = await client.receive()
    assert hello["event"] == "hello"
    assert hello["seq"] == 0
    assert hello["broadcast"] == {
        "omit_users": None,
        "user_id": user,
        "channel_id": "",
        "team_id": "",
        "connection_id": "",
        "omit_connection_id": "",
    }
    assert hello["data"].keys() == {"connection_id", "server_version", "server_hostname"}
    assert len(hello["data"]["connection_id"]) == 26
    assert hello["data"]["server_version"].count(".") == 5
    status = await client.event("status_change")
    assert status["data"] == {"status": "online", "user_id": user}
    await client.socket.close()


async def test_a_challenge_logs_in_and_is_answered_behind_hello(town: World) -> None:
    user = await town.user()
    client = await town.open()
    await client.send("ping")  # never answered: it came before the log-in
    seq = await client.send("authentication_challenge", {"token": await town.session(user)})
    assert (await client.receive())["event"] == "hello"
    assert await client.receive() == {"status": "OK", "seq_reply": seq}
    # A second one is ignored silently.
    await client.send("authentication_challenge", {"token": "x"})
    assert (await client.act("ping"))["seq_reply"] == client.seq
    await client.socket.close()


async def test_what_is_sent_behind_the_handshake_is_answered_behind_hello(town: World) -> None:
    token = await town.session(await town.user())
    client = await town.open(token)
    await client.send("authentication_challenge", {"token": token})  # the phones do this
    await client.send("ping")
    assert (await client.receive())["event"] == "hello"
    assert (await client.reply())["seq_reply"] == 2
    await client.socket.close()


@pytest.mark.parametrize("data", [{"token": "x" * 26}, {"token": ""}, {"token": 7}, {}, None])
async def test_a_bad_challenge_closes_tcp_without_a_frame(town: World, data: object) -> None:
    client = await town.open()
    await client.send("authentication_challenge", data)
    assert await client.closed() == (None, "")
    assert not client.events


async def test_a_bad_cookie_may_still_challenge(town: World) -> None:
    user = await town.user()
    client = await town.open("x" * 26)
    await client.send("authentication_challenge", {"token": await town.session(user)})
    assert (await client.event("hello"))["broadcast"]["user_id"] == user
    await client.socket.close()


async def test_expired_ended_and_deleted_credentials_are_none(town: World) -> None:
    expired = await town.session(await town.user(), life_ms=-1)
    deleted_user = await town.user()
    deleted = await town.session(deleted_user)
    await town.db.execute("UPDATE users SET delete_at = 5 WHERE id = $1", deleted_user)
    for token in (expired, deleted):
        client = await town.open()
        await client.send("authentication_challenge", {"token": token})
        assert await client.closed() == (None, "")


async def test_a_session_that_never_ends_logs_in(town: World) -> None:
    client = await town.open(await town.session(await town.user(), life_ms=0))
    await client.event("hello")
    await client.socket.close()


async def test_who_does_not_log_in_is_closed_in_time(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, gateway={"auth_timeout_s": 1}) as town:
        client = await town.open()
        assert await client.closed() == (None, "")
        assert not client.events
        assert town.gateway.unauthenticated == 0


async def test_a_token_in_the_url_is_refused(town: World) -> None:
    token = await town.session(await town.user())
    with pytest.raises(websockets.InvalidStatus) as refused:
        await town.open("", f"?access_token={token}")
    response = refused.value.response
    assert response.status_code == 401
    body = json.loads(response.body)
    assert body["id"] == "api.context.token_provided.app_error"
    assert token.encode() not in response.body


async def test_strangers_are_counted(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, gateway={"unauthenticated": 2}) as town:
        strangers = [await town.open(), await town.open()]
        with pytest.raises(websockets.InvalidStatus) as refused:
            await town.open()
        assert refused.value.response.status_code == 503
        user = await town.user()
        await strangers[0].send("authentication_challenge", {"token": await town.session(user)})
        await strangers[0].event("hello")
        await (await town.open()).socket.close()


async def test_strangers_of_one_address_keep_nobody_else_out(database_url: str, redis_url: str) -> None:
    few = {"unauthenticated_per_address": 2, "auth_timeout_s": 30}
    async with world(database_url, redis_url, gateway=few, proxies={"trusted": ["127.0.0.0/8"]}) as town:
        crowd = {"X-Forwarded-For": "192.0.2.1"}
        strangers = [await town.connect(crowd) for _ in range(2)]
        with pytest.raises(websockets.InvalidStatus) as refused:
            await town.connect(crowd)
        assert refused.value.response.status_code == 429
        forged = await town.connect({**crowd, "Authorization": "Bearer " + "x" * 26})
        assert (await forged.closed())[0] == 1013
        user = await town.user()
        token = await town.session(user)
        # The same address with a login, and another address without one, are let in.
        await (await town.connect({**crowd, "Authorization": f"Bearer {token}"})).event("hello")
        other = await town.connect({"X-Forwarded-For": "192.0.2.2"})
        assert (await other.act("authentication_challenge", {"token": token}))["status"] == "OK"
        # Who says who he is makes room, and so does who goes.
        assert (await strangers[0].act("authentication_challenge", {"token": token}))["status"] == "OK"
        await strangers[1].socket.close()
        for _ in range(2):
            client = await town.connect(crowd)
            assert (await client.act("authentication_challenge", {"token": token}))["status"] == "OK"


async def test_addresses_are_counted_behind_trusted_proxies(database_url: str, redis_url: str) -> None:
    async with world(
        database_url,
        redis_url,
        gateway={"connections_per_address": 1},
        proxies={"trusted": ["127.0.0.1/32"]},
    ) as town:
        token = await town.session(await town.user())

        async def from_address(address: str) -> Client:
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
            client = await town.connect(headers)
            await client.event("hello")
            return client

        first = await from_address("198.51.100.1")
        await from_address("198.51.100.2")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await from_address("198.51.100.1")
        assert refused.value.response.status_code == 429
        await first.socket.close()
        while town.gateway._addresses["198.51.100.1"]:
            await asyncio.sleep(0)
        await from_address("198.51.100.1")


async def test_a_user_with_too_many_sockets_loses_the_oldest(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, gateway={"connections_per_user": 2}) as town:
        user = await town.user()
        first, second, third = [await town.enter(user) for _ in range(3)]
        assert (await first.closed())[0] == 1008
        await second.act("ping")
        await third.act("ping")


async def test_many_logins_at_once_are_few_queries(town: World) -> None:
    users = [await town.user() for _ in range(60)]
    tokens = [await town.session(user) for user in users]
    clients = await asyncio.gather(*[town.open(token) for token in tokens])
    for client, user in zip(clients, users, strict=True):
        assert (await client.event("hello"))["broadcast"]["user_id"] == user
    await asyncio.gather(*[client.socket.close() for client in clients])


async def test_a_session_that_ends_while_it_is_looked_up_is_refused(town: World) -> None:
    user = await town.user()
    token = await town.session(user)
    load = town.gateway._logins._load
    looked_up, go_on = asyncio.Event(), asyncio.Event()

    async def slow(hashes: object) -> object:
        found = await load(hashes)  # type: ignore[arg-type]  # the same call
        looked_up.set()
        await go_on.wait()
        return found

    town.gateway._logins._load = slow  # type: ignore[assignment]  # a slow database
    client = await town.open()
    await client.send("authentication_challenge", {"token": token})
    await looked_up.wait()
    await town.announce(user_key(user), effects=[EndSessions(user, [session_id(token)])])
    async with asyncio.timeout(PATIENCE_S):
        while not any(ended == user for _, ended, _ in town.gateway._ended):
            await asyncio.sleep(0.01)
    go_on.set()
    assert await client.closed() == (None, "")
    town.gateway._logins._load = load


async def test_health_turns_to_404_while_draining(town: World) -> None:
    async with httpx.AsyncClient(verify=Transport.trust or True, timeout=30) as http:
        for path in ("/health", "/api/v4/system/ping"):
            answer = await http.get(f"{Transport.origin('http', town.port)}{path}")
            assert answer.status_code == 200
            assert answer.json()["status"] == "OK"


async def test_bad_challenges_count_against_the_limit_of_http_logins(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, limits={"logins_per_minute": 3}) as town:
        token = await town.session(await town.user())
        for _ in range(3):
            client = await town.open()
            await client.send("authentication_challenge", {"token": "x" * 26})
            assert await client.closed() == (None, "")
        async with redis.asyncio.from_url(redis_url) as store, asyncio.timeout(PATIENCE_S):
            while int(await store.get("tw:login:address:127.0.0.1") or 0) < 3:
                await asyncio.sleep(0.01)  # the third is counted behind its close
        client = await town.open()
        await client.send("authentication_challenge", {"token": token})
        assert await client.closed() == (None, "")
