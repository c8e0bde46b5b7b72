"""Whatever ends a login silences its sockets within a second; nothing made after that arrives."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fixtures.api import PASSWORD, Client
from tests.integration.accounts.office import Office
from tests.integration.gateway.world import Client as Socket

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.alone("a limit of seconds")]
LIMIT_S = 5.0  # five times what is promised: a busy machine is late


async def dies(socket: Socket, office: Office, act: Awaitable[Any], *, text: str) -> None:
    """Do it, post, and check that the socket closes in time without the post."""
    await act
    done = time.monotonic()
    member, channel = office.crew.people.member, office.crew.people.channel["id"]
    await member.post("/posts", {"channel_id": channel, "message": text}, expect=201)
    code, _ = await socket.closed()
    assert time.monotonic() - done < LIMIT_S
    assert code == 1008
    assert text not in str(socket.events)


async def listener(office: Office, name: str) -> Client:
    """Return a new account in the open channel."""
    people = office.crew.people
    user = await office.newcomer(name)
    await people.owner.add_to_team(people.team["id"], user)
    await people.owner.post(f"/channels/{people.channel['id']}/members", {"user_id": user.id}, expect=201)
    return user


def change_password(user: Client, admin: Client) -> Awaitable[Any]:
    return admin.put(f"/users/{user.id}/password", {"new_password": PASSWORD})


def revoke_all(user: Client, admin: Client) -> Awaitable[Any]:
    return admin.post(f"/users/{user.id}/sessions/revoke/all")


async def revoke_one(user: Client, admin: Client) -> None:
    found = await admin.get(f"/users/{user.id}/sessions")
    await admin.post(f"/users/{user.id}/sessions/revoke", {"session_id": found[0]["id"]})


def log_out(user: Client, admin: Client) -> Awaitable[Any]:
    return user.post("/users/logout")


@pytest.mark.parametrize("end", [change_password, revoke_all, revoke_one, log_out])
async def test_the_end_of_a_session_is_the_end_of_its_sockets(
    office: Office, end: Callable[[Client, Client], Awaitable[Any]]
) -> None:
    user = await listener(office, "ended_" + end.__name__)
    sockets = [await office.crew.socket(user) for _ in range(2)]
    await dies(sockets[0], office, end(user, office.crew.people.admin), text="after " + end.__name__)
    assert (await sockets[1].closed())[0] == 1008
    await user.get("/users/me", expect=401)


async def test_another_session_lives_on(office: Office) -> None:
    user = await listener(office, "two_places")
    other = await office.api.anonymous().log_in("two_places")
    socket, kept = await office.crew.socket(user), await office.crew.socket(other)
    change = {"current_password": PASSWORD, "new_password": PASSWORD}
    await dies(socket, office, other.put("/users/me/password", change), text="one of two")
    assert (await kept.event("posted"))["data"]["channel_name"] == "harbour"


async def with_token(office: Office, user: Client) -> tuple[Client, Socket, str]:
    """Return (a caller by an access token of the user, his socket, the token's id)."""
    made = await office.crew.people.admin.post(f"/users/{user.id}/tokens", {"description": "x"})
    caller = office.bearer(made["token"])
    caller.me = await caller.get("/users/me")
    return caller, await office.crew.socket(caller), made["id"]


async def test_access_tokens_end_at_once_and_everywhere(office: Office) -> None:
    admin, user = office.crew.people.admin, await listener(office, "programmer")
    caller, socket, token_id = await with_token(office, user)
    body = {"token_id": token_id}
    await dies(socket, office, admin.post("/users/tokens/disable", body), text="disabled")
    await caller.get("/users/me", expect=401)
    refused = await office.crew.town.open()
    await refused.send("authentication_challenge", {"token": caller.http.headers["Authorization"][7:]})
    assert await refused.closed() == (None, "")
    await admin.post("/users/tokens/enable", body)
    await caller.get("/users/me")
    socket = await office.crew.socket(caller)
    await dies(socket, office, admin.post("/users/tokens/revoke", body), text="revoked")
    await caller.get("/users/me", expect=401)
    # Switched off for all but bots.
    caller, socket, _ = await with_token(office, user)
    bots = await office.crew.socket(office.bot)
    switch = "ServiceSettings__EnableUserAccessTokens"
    await dies(socket, office, office.configure(**{switch: False}), text="switched off")
    await caller.get("/users/me", expect=401)
    again = await office.crew.town.open(caller.http.headers["Authorization"][7:])
    await again.send("authentication_challenge", {"token": "x"})
    assert await again.closed() == (None, "")
    assert (await bots.act("ping"))["status"] == "OK"
    await office.bot.get("/users/me")
    await office.fails(
        admin, "POST", f"/users/{user.id}/tokens", {"description": "x"}, 501, "app.user_access_token.disabled"
    )
    await admin.post(f"/users/{office.bot.id}/tokens", {"description": "x"})
    await office.configure(**{switch: None})
    await caller.get("/users/me")
    # What ends a user's logins leaves his keys, as in the reference.
    await admin.post(f"/users/{user.id}/sessions/revoke/all")
    await caller.get("/users/me")


async def test_a_disabled_bot_is_silent(office: Office) -> None:
    people = office.crew.people
    made = await people.admin.post("/bots", {"username": "talker"}, expect=201)
    token = await people.admin.post(f"/users/{made['user_id']}/tokens", {"description": "x"})
    bot = office.bearer(token["token"])
    bot.me = await bot.get("/users/me")
    await people.owner.add_to_team(people.team["id"], bot)
    await people.owner.post(f"/channels/{people.channel['id']}/members", {"user_id": bot.id}, expect=201)
    socket = await office.crew.socket(bot)
    await bot.post("/posts", {"channel_id": people.channel["id"], "message": "beep"}, expect=201)
    disable = people.admin.post(f"/bots/{bot.id}/disable")
    await dies(socket, office, disable, text="after the bot")
    await bot.get("/users/me", expect=401)
    await people.admin.post(f"/bots/{bot.id}/enable")
    await bot.get("/users/me")


async def test_a_session_ends_while_its_socket_is_busy_and_lives_on_if_it_is_used(office: Office) -> None:
    people, town = office.crew.people, office.crew.town
    idle, used, poster = [await listener(office, name) for name in ("idle", "used", "poster")]
    ends = int(time.time() * 1000) + 4000
    for user in (idle, used, poster):
        await town.db.execute("UPDATE sessions SET expires_at = $2 WHERE user_id = $1", user.id, ends)
    sockets = [await office.crew.socket(user) for user in (idle, used, poster)]
    await poster.post("/posts", {"channel_id": people.channel["id"], "message": "over HTTP"}, expect=201)
    await sockets[1].act("user_typing", {"channel_id": people.channel["id"], "parent_id": ""})
    code = 0
    until = time.monotonic() + 10
    while not code and time.monotonic() < until:
        await people.member.post("/posts", {"channel_id": people.channel["id"], "message": "on"}, expect=201)
        try:
            async with asyncio.timeout(0.05):
                await sockets[0].closed()
                code = 1
        except TimeoutError:
            continue
    assert code
    assert time.time() * 1000 >= ends
    await idle.get("/users/me", expect=401)
    for user, socket in ((used, sockets[1]), (poster, sockets[2])):
        assert (await socket.act("ping"))["status"] == "OK"
        await user.get("/users/me")
