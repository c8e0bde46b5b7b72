"""What ends a login, or a user's way into a channel, holds on every node: two gateway processes, one user on both.

Source: the cases on stale sessions and stale memberships that servers of this kind had.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.api import PASSWORD, Client
from tests.fixtures.ports import free_port
from tests.integration.accounts.oauth_client import OAuthClient
from tests.integration.accounts.office import Office, sessions_kept
from tests.integration.accounts.test_sockets import LIMIT_S, listener, with_token
from tests.integration.gateway.world import PATIENCE_S, World
from tests.integration.gateway.world import Client as Socket

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.alone("a limit of seconds")]
ROOT = Path(__file__).parents[3]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def other_node(shared_office: Office) -> AsyncIterator[World]:
    """A second gateway, a process of its own; only `open` of it is for use."""
    settings, port = shared_office.api.settings, free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidewire", "gateway"),
        cwd=ROOT,
        env=os.environ
        | {
            "TIDEWIRE_DATABASE_URL": settings.database.url,
            "TIDEWIRE_REDIS_URL": settings.redis.url,
            "TIDEWIRE_GATEWAY_PORT": str(port),
            "TIDEWIRE_GATEWAY_DRAIN_S": "0",  # nobody goes on elsewhere after the last test
            "TIDEWIRE_GATEWAY_DRAIN_NOTICE_S": "0",
            "TIDEWIRE_METRICS_PORT": "0",
            "TIDEWIRE_LOG_FORMAT": "json",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_S * 2):
            while json.loads(await process.stderr.readline()).get("event") != "gateway listens":
                pass
        yield World(None, port, shared_office.crew.town.db, shared_office.crew.town.producer)  # type: ignore[arg-type]
    finally:
        process.terminate()
        await process.communicate()


class Pair:
    """One login's sockets on both nodes."""

    def __init__(self, office: Office, sockets: list[Socket]) -> None:
        self._office = office
        self.sockets = sockets

    @classmethod
    async def open(cls, office: Office, other: World, user: Client) -> "Pair":
        """Open both and wait for hello."""
        token = user.http.headers["Authorization"].removeprefix("Bearer ")
        sockets = [await node.open(token) for node in (office.crew.town, other)]
        for socket in sockets:
            await socket.event("hello")
        return cls(office, sockets)

    async def die_after(self, act: Awaitable[Any], text: str) -> None:
        """Do it, post, and check that both close in time without the post."""
        await act
        done = time.monotonic()
        people = self._office.crew.people
        body = {"channel_id": people.channel["id"], "message": text}
        await people.member.post("/posts", body, expect=201)
        for socket in self.sockets:
            code, _ = await socket.closed()
            assert code == 1008
            assert text not in str(socket.events)
        assert time.monotonic() - done < LIMIT_S


async def one_session(office: Office, user: Client) -> None:
    admin = office.crew.people.admin
    [session] = await admin.get(f"/users/{user.id}/sessions")
    await admin.post(f"/users/{user.id}/sessions/revoke", {"session_id": session["id"]})


async def all_of_the_user(office: Office, user: Client) -> None:
    await office.crew.people.admin.post(f"/users/{user.id}/sessions/revoke/all")


async def a_changed_password(office: Office, user: Client) -> None:
    await office.crew.people.admin.put(f"/users/{user.id}/password", {"new_password": PASSWORD})


async def deactivation(office: Office, user: Client) -> None:
    await office.crew.people.admin.put(f"/users/{user.id}/active", {"active": False})


async def logging_out(office: Office, user: Client) -> None:
    await user.post("/users/logout")


@pytest.mark.parametrize(
    "end", [one_session, all_of_the_user, a_changed_password, deactivation, logging_out]
)
async def test_a_login_ends_on_every_node(
    office: Office, other_node: World, end: Callable[[Office, Client], Awaitable[None]]
) -> None:
    user = await listener(office, "n_" + end.__name__)
    pair = await Pair.open(office, other_node, user)
    await pair.die_after(end(office, user), "after " + end.__name__)
    await user.get("/users/me", expect=401)


async def test_all_logins_of_the_server_end_on_every_node(office: Office, other_node: World) -> None:
    people = office.crew.people
    users = [await office.newcomer(f"masses{n}") for n in range(3)]
    pairs = [await Pair.open(office, other_node, user) for user in users]
    await people.member.post("/users/sessions/revoke/all", expect=403)
    boss = await office.api.anonymous().log_in("admin")
    async with sessions_kept(office):
        await boss.post("/users/sessions/revoke/all")
        done = time.monotonic()
        for user, pair in zip(users, pairs, strict=True):
            for socket in pair.sockets:
                assert (await socket.closed())[0] == 1008
            await user.get("/users/me", expect=401)
        assert time.monotonic() - done < LIMIT_S
        await boss.get("/users/me", expect=401)
        await office.bot.get("/users/me")  # access tokens are no sessions
    for client in (people.admin, people.member, people.owner, people.stranger):
        await client.get("/users/me")


async def test_an_access_token_ends_on_every_node(office: Office, other_node: World) -> None:
    admin, user = office.crew.people.admin, await listener(office, "n_program")
    caller, _, token_id = await with_token(office, user)
    pair = await Pair.open(office, other_node, caller)
    await pair.die_after(admin.post("/users/tokens/revoke", {"token_id": token_id}), "after the token")
    await caller.get("/users/me", expect=401)


async def test_an_oauth_app_ends_on_every_node(office: Office, other_node: World) -> None:
    user, client = await listener(office, "n_app"), await OAuthClient.register(office)
    caller = await client.caller(user)
    pair = await Pair.open(office, other_node, caller)
    await pair.die_after(office.crew.people.admin.delete(f"/oauth/apps/{client.id}"), "after the app")
    await caller.get("/users/me", expect=401)


# -- out of a channel while posts stream into it


class Stream:
    """Posts, reactions, replies and typing by `member` in a channel, one after the other, until it is stopped."""

    def __init__(self, office: Office, channel_id: str, root_id: str) -> None:
        self.member = office.crew.people.member
        self.channel_id, self.root_id = channel_id, root_id
        self.number = 0
        self._task = asyncio.create_task(self._run())

    async def once(self) -> list[int]:
        """Do everything once; return the statuses."""
        self.number += 1
        me, channel = self.member.id, self.channel_id
        text = f"<{self.number}>"
        emoji = {"user_id": me, "post_id": self.root_id, "emoji_name": "wave"}
        answers = [
            await self.member.request("POST", path, json=body)
            for path, body in (
                ("/posts", {"channel_id": channel, "message": text}),
                ("/posts", {"channel_id": channel, "message": text, "root_id": self.root_id}),
                ("/reactions", emoji),
                (f"/users/{me}/typing", {"channel_id": channel, "parent_id": ""}),
            )
        ]
        await self.member.request("DELETE", f"/users/{me}/posts/{self.root_id}/reactions/wave")
        return [answer.status_code for answer in answers]

    async def _run(self) -> None:
        while True:
            await self.once()

    async def stop(self) -> None:
        """Stop it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def heard_of(socket: Socket, channel_id: str, start: int = 0) -> list[str]:
    """Return the names of the kept events about a channel's content, from event `start` on."""
    content = {
        "posted", "post_edited", "post_deleted", "typing", "reaction_added", "reaction_removed", "thread_updated",
        "thread_read_changed", "multiple_channels_viewed", "post_unread", "channel_member_updated",
    }  # fmt: skip
    return [
        event["event"]
        for event in socket.events[start:]
        if event["event"] in content and channel_id in json.dumps([event["broadcast"], event["data"]])
    ]


async def the_channel(office: Office, user: Client, channel_id: str) -> None:
    await office.crew.people.owner.delete(f"/channels/{channel_id}/members/{user.id}")


async def the_team(office: Office, user: Client, channel_id: str) -> None:
    people = office.crew.people
    await people.owner.delete(f"/teams/{people.team['id']}/members/{user.id}")


async def archiving(office: Office, user: Client, channel_id: str) -> None:
    await office.crew.people.owner.delete(f"/channels/{channel_id}")


@pytest.mark.parametrize("leave", [the_channel, the_team, archiving])
async def test_nothing_of_a_channel_comes_after_it_was_left(
    office: Office, other_node: World, leave: Callable[[Office, Client, str], Awaitable[None]]
) -> None:
    people = office.crew.people
    user = await listener(office, "l_" + leave.__name__)
    channel = await people.owner.new_channel(people.team["id"], leave.__name__, "P", people.member, user)
    root = await people.member.post("/posts", {"channel_id": channel["id"], "message": "root"}, expect=201)
    thread = f"/users/{user.id}/teams/{people.team['id']}/threads/{root['id']}/following"
    await user.put(thread)
    direct = await people.member.post("/channels/direct", [people.member.id, user.id], expect=201)
    pair = await Pair.open(office, other_node, user)
    stream = Stream(office, channel["id"], root["id"])
    try:
        for socket in pair.sockets:
            seen: set[str] = set()
            while not {"posted", "reaction_added", "typing", "thread_updated"} <= seen:
                seen.add((await socket.receive()).get("event", ""))
        await leave(office, user, channel["id"])
        last = stream.number + 1  # whatever has a higher number was certainly begun afterwards
    finally:
        await stream.stop()
    if leave is archiving:  # members stay, and hear of replies a little later
        async with asyncio.timeout(30):
            while await office.crew.town.db.fetchval("SELECT count(*) FROM outbox WHERE news IS NOT NULL"):
                await asyncio.sleep(0.05)
    member = people.member
    for text in ("what was under way", "the end"):
        await member.post("/posts", {"channel_id": direct["id"], "message": text}, expect=201)
        for socket in pair.sockets:
            while text not in (await socket.event("posted"))["data"]["post"]:
                pass
            await socket.quiet()
            if text == "the end":
                assert heard_of(socket, channel["id"]) == []
            elif leave is not archiving:  # of his own leaving nothing overtakes the news
                told = {"the_team": "leave_team", "the_channel": "user_removed"}[leave.__name__]
                names = [event["event"] for event in socket.events]
                assert heard_of(socket, channel["id"], names.index(told)) == []
            for number in range(last + 1, stream.number + 1):
                assert f"<{number}>" not in str(socket.events)
            socket.events.clear()
        statuses = [await stream.once() for _ in range(3)][-1]
        if leave is archiving:
            assert statuses[:3] == [400, 400, 403]
    # He does not learn by other ways either.
    if leave is not archiving:
        for path in (f"/channels/{channel['id']}/posts", f"/channels/{channel['id']}/members"):
            await user.get(path, expect=403)
        await user.get(f"/posts/{root['id']}", expect=404)


async def test_a_guest_hears_of_those_he_sees_on_every_node(office: Office, other_node: World) -> None:
    people = office.crew.people
    user = await listener(office, "l_demoted")
    pair = await Pair.open(office, other_node, user)
    stop = asyncio.Event()

    async def strangers_news() -> None:
        while not stop.is_set():
            await people.stranger.put("/users/me/patch", {"nickname": f"<{time.monotonic_ns()}>"})

    news = asyncio.create_task(strangers_news())
    for socket in pair.sockets:
        while (await socket.event("user_updated"))["data"]["user"]["id"] != people.stranger.id:
            pass
    await people.admin.post(f"/users/{user.id}/demote")
    for _ in range(3):  # certainly afterwards
        await people.stranger.put("/users/me/patch", {"nickname": "after"})
    stop.set()
    await news
    channel = people.channel["id"]
    await people.member.post("/posts", {"channel_id": channel, "message": "for guests too"}, expect=201)
    for socket in pair.sockets:
        while "for guests too" not in (await socket.event("posted"))["data"]["post"]:
            pass
        await socket.quiet()
        assert '"after"' not in json.dumps(socket.events)
        names = [event["event"] for event in socket.events]
        behind = socket.events[names.index("memberrole_updated") :]
        strangers = [event for event in behind if event["event"] == "user_updated"]
        assert {event["data"]["user"]["id"] for event in strangers} <= {user.id}


@pytest.mark.parametrize("kind", ["O", "P"])
async def test_nobody_types_in_an_archived_channel(office: Office, other_node: World, kind: str) -> None:
    """On sockets that heard of it, on one that came later, on either node; and again once it is restored."""
    people = office.crew.people
    user = await listener(office, "t_typist" + kind.lower())
    channel = await people.owner.new_channel(people.team["id"], "typing-" + kind.lower(), kind, people.member, user)
    typing = {"channel_id": channel["id"], "parent_id": ""}
    reader = await Pair.open(office, other_node, people.member)
    early = await Pair.open(office, other_node, user)
    await people.owner.delete(f"/channels/{channel['id']}")
    for socket in (*early.sockets, *reader.sockets):
        await socket.event("channel_deleted")
        socket.events.clear()
    late = await Pair.open(office, other_node, user)
    for socket in (*early.sockets, *late.sockets):
        reply = await socket.act("user_typing", typing)
        assert (reply["status"], reply["error"]["status_code"]) == ("FAIL", 400)
    await user.post(f"/users/{user.id}/typing", typing)  # which says nothing to nobody
    await people.admin.post(f"/channels/{channel['id']}/restore")
    for socket in (*early.sockets, *late.sockets):
        await socket.event("channel_restored")
        assert (await socket.act("user_typing", typing))["status"] == "OK"
    for socket in reader.sockets:
        await socket.event("channel_restored")
        assert (await socket.event("typing"))["data"]["user_id"] == user.id
        names = [event["event"] for event in socket.events]
        assert "typing" not in names[: names.index("channel_restored")]
