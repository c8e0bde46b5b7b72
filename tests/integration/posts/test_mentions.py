"""Mentions end to end: posts in, counts and `posted` tails out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced, say
from tidewire.actions import mention_map, permissions, status
from tidewire.bus.envelope import Copy
from tidewire.wire.ids import now_ms

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def posted(announced: Announced) -> Copy:
    """Return the last `posted` since the last look."""
    return [copy for copy in await announced.copies() if copy.name == "posted"][-1]


async def member(who: Client, channel_id: str) -> dict[str, Any]:
    """Return a membership as its owner sees it."""
    found: dict[str, Any] = await who.get(f"/channels/{channel_id}/members/me")
    return found


async def counts(who: Client, channel_id: str) -> tuple[int, int]:
    """Return (mention_count, mention_count_root)."""
    row = await member(who, channel_id)
    return row["mention_count"], row["mention_count_root"]


async def set_props(announced: Announced, who: Client, **props: str) -> None:
    """Change notify_props as a client does."""
    mine = await who.get("/users/me")
    await who.put("/users/me/patch", {"notify_props": mine["notify_props"] | props})
    await announced.copies()


@pytest_asyncio.fixture(loop_scope="module")
async def room(people: People) -> str:
    """A channel with owner, member and teammate in it, nothing mentioned yet."""
    name = f"room-{asyncio.get_running_loop().time():.6f}".replace(".", "-")
    made = await people.owner.new_channel(people.team["id"], name, "O", people.member, people.teammate)
    room_id: str = made["id"]
    for who in (people.member, people.teammate):
        await who.post("/channels/members/me/view", {"channel_id": room_id})
    return room_id


async def test_a_name_counts_for_root_and_reply(people: People, announced: Announced, room: str) -> None:
    await announced.copies()
    owner, ann = people.owner, people.member
    root = await say(owner, room, f"@{ann.me['username'].upper()}. and @nobody, mail {ann.me['username']}@x.org")
    copy = await posted(announced)
    assert (copy.mentions, copy.followers) == ([ann.id], [])
    assert await counts(ann, room) == (1, 1)
    await say(owner, room, f"again @{ann.me['username']}", root_id=root["id"])
    assert (await posted(announced)).mentions == [ann.id]
    assert await counts(ann, room) == (2, 1)
    assert await counts(owner, room) == (0, 0)
    assert await counts(people.teammate, room) == (0, 0)
    await ann.post("/channels/members/me/view", {"channel_id": room})
    assert await counts(ann, room) == (0, 0)


async def test_nobody_else_is_mentioned(people: People, announced: Announced, room: str) -> None:
    await announced.copies()
    owner, stranger = people.owner, people.stranger
    await say(owner, room, f"@{owner.me['username']} @{stranger.me['username']} @{people.admin.me['username']}")
    assert (await posted(announced)).mentions == []
    post = await say(owner, room, "hello")
    await owner.put(f"/posts/{post['id']}/patch", {"message": f"@{people.member.me['username']}"})
    assert await counts(people.member, room) == (0, 0)
    await owner.put(f"/channels/{room}/patch", {"header": f"see @{people.member.me['username']} @all"})
    assert await counts(people.member, room) == (0, 0)


async def test_keywords_and_first_names(people: People, announced: Announced, room: str) -> None:
    owner, ann = people.owner, people.member
    await ann.put("/users/me/patch", {"first_name": "Annabel"})
    await set_props(announced, ann, mention_keys="lighthouse, ,Fog,", first_name="true")
    for text, hits in (("The LIGHTHOUSE!", 1), ("fog.", 1), ("Annabel", 1), ("annabel fogs", 0), ("`fog`", 0)):
        await say(owner, room, text)
        assert len((await posted(announced)).mentions) == hits, text
    assert await counts(ann, room) == (3, 3)
    await set_props(announced, ann, mention_keys="", first_name="false")
    await say(owner, room, "fog Annabel lighthouse")
    assert (await posted(announced)).mentions == []


async def test_everybody(people: People, announced: Announced, room: str) -> None:
    owner, ann, tom = people.owner, people.member, people.teammate
    await announced.copies()
    await say(owner, room, "@all")
    assert set((await posted(announced)).mentions) == {ann.id, tom.id}
    await set_props(announced, ann, channel="false")
    await say(owner, room, "@channel")
    assert (await posted(announced)).mentions == [tom.id]
    await say(owner, room, "@here")  # nobody has a socket
    assert (await posted(announced)).mentions == []
    await set_props(announced, ann, channel="true")
    await announced.db.execute(
        """UPDATE channel_members SET notify_props = notify_props || '{"ignore_channel_mentions": "on"}'
        WHERE channel_id = $1 AND user_id = $2""",
        room,
        tom.id,
    )
    await touch(people, announced, room)
    await say(owner, room, "@all")
    assert (await posted(announced)).mentions == [ann.id]


async def test_here_are_those_who_are_online(people: People, announced: Announced, room: str) -> None:
    owner, ann, tom = people.owner, people.member, people.teammate
    await touch(people, announced, room)
    client = redis.asyncio.from_url(people.api.settings.redis.url)
    try:
        await client.zadd(status.PROCESSES, {"here": now_ms()})
        await client.hset(status.user_key(ann.id), "here", f"online:{now_ms()}")
        await client.hset(status.user_key(tom.id), "here", f"away:{now_ms()}")
        await say(owner, room, "@here")
        assert (await posted(announced)).mentions == [ann.id]
        await say(owner, room, "@here @all")
        assert set((await posted(announced)).mentions) == {ann.id, tom.id}
    finally:
        await client.delete(status.PROCESSES, status.user_key(ann.id), status.user_key(tom.id))
        await client.aclose()


async def touch(people: People, announced: Announced, room: str) -> None:
    """Let a member come and go, which makes every worker read the channel's map again."""
    await people.owner.add_to_team(people.team["id"], people.admin)
    await people.owner.post(f"/channels/{room}/members", {"user_id": people.admin.id}, expect=201)
    await people.owner.delete(f"/channels/{room}/members/{people.admin.id}")
    await announced.copies()


async def test_a_large_channel_looks_names_up(
    people: People, announced: Announced, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mention_map, "MEMBERS", 2)
    owner, ann, tom = people.owner, people.member, people.teammate
    await set_props(announced, ann, mention_keys="fog")
    await touch(people, announced, room)
    checks: list[tuple[str, set[str]]] = [
        ("nothing", set()),
        (f"@{tom.me['username']}.", {tom.id}),
        ("fog", {ann.id}),
        ("@all", {ann.id, tom.id}),
    ]
    for text, named in checks:
        await say(owner, room, text)
        assert set((await posted(announced)).mentions) == named, text
    root = await say(owner, room, "root")
    await say(ann, room, "reply", root_id=root["id"])
    assert (await posted(announced)).followers == [owner.id]
    await set_props(announced, ann, mention_keys="")


async def test_names_that_were_looked_up_stay_true(
    people: People, announced: Announced, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mention_map, "MEMBERS", 2)
    owner, ann, tom = people.owner, people.member, people.teammate
    await touch(people, announced, room)
    both = f"@{tom.me['username']} and @{ann.me['username']}, @nobody"

    async def named() -> set[str]:
        await announced.copies()
        await say(owner, room, both)
        return set((await posted(announced)).mentions)

    assert [await named() for _ in range(2)] == [{tom.id, ann.id}] * 2
    await owner.delete(f"/channels/{room}/members/{tom.id}")
    assert await named() == {ann.id}
    await owner.post(f"/channels/{room}/members", {"user_id": tom.id}, expect=201)
    assert await named() == {tom.id, ann.id}


async def test_who_was_added_is_mentioned(people: People, announced: Announced, room: str) -> None:
    stranger = people.stranger
    await people.owner.add_to_team(people.team["id"], stranger)
    await people.owner.post(f"/channels/{room}/members", {"user_id": stranger.id}, expect=201)
    assert (await posted(announced)).mentions == [stranger.id]
    assert await counts(stranger, room) == (1, 1)
    row = await member(stranger, room)
    channel = await stranger.get(f"/channels/{room}")
    assert row["msg_count"] == channel["total_msg_count"]
    await stranger.delete(f"/channels/{room}/members/{stranger.id}")
    await stranger.post(f"/channels/{room}/members", {"user_id": stranger.id}, expect=201)
    assert await counts(stranger, room) == (0, 0)  # who joins by himself was told by nobody


async def test_direct_and_group_channels_mention_all_others(people: People, announced: Announced) -> None:
    owner, ann, tom = people.owner, people.member, people.teammate
    direct = await owner.post("/channels/direct", [owner.id, ann.id])
    await say(owner, direct["id"], "psst @all")
    assert (await posted(announced)).mentions == [ann.id]
    group = await owner.post("/channels/group", [owner.id, ann.id, tom.id])
    root = await say(ann, group["id"], "three")
    assert set((await posted(announced)).mentions) == {owner.id, tom.id}
    await say(ann, group["id"], "of us", root_id=root["id"])
    copy = await posted(announced)
    assert set(copy.mentions) == set(copy.followers) == {owner.id, tom.id}
    assert await counts(tom, group["id"]) == (2, 1)
    alone = await owner.post("/channels/direct", [owner.id, owner.id])
    await say(owner, alone["id"], "note to self")
    assert (await posted(announced)).mentions == []


async def test_followers_are_told(people: People, announced: Announced, room: str) -> None:
    owner, ann, tom = people.owner, people.member, people.teammate
    root = await say(owner, room, f"for @{tom.me['username']}")
    await say(ann, room, "first", root_id=root["id"])
    assert set((await posted(announced)).followers) == {owner.id, tom.id}
    await say(owner, room, "second", root_id=root["id"])
    assert set((await posted(announced)).followers) == {ann.id, tom.id}
    await set_props(announced, tom, desktop_threads="mention")
    await touch(people, announced, room)
    fresh = await say(owner, room, f"for @{tom.me['username']}")
    await announced.copies()
    await say(ann, room, "third", root_id=fresh["id"])
    assert (await posted(announced)).followers == [owner.id]
    await say(ann, room, f"@{tom.me['username']}", root_id=fresh["id"])
    assert set((await posted(announced)).followers) == {owner.id, tom.id}
    await set_props(announced, tom, desktop_threads="all", desktop="all")
    await say(owner, room, "plain")
    assert (await posted(announced)).notified == [tom.id]
    await set_props(announced, tom, desktop="mention")


@pytest.mark.parametrize("kind", ["@all", "@channel", "@here"])
async def test_who_may_not_name_everybody_names_nobody(
    people: People, announced: Announced, room: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_channel: Callable[..., Awaitable[bool]] = permissions.has_channel

    async def without(services: Any, session: Any, channel_id: str, permission: str) -> bool:
        return permission != "use_channel_mentions" and await has_channel(services, session, channel_id, permission)

    monkeypatch.setattr(permissions, "has_channel", without)
    await announced.copies()
    await say(people.member, room, f"{kind} @{people.owner.me['username']}")
    assert (await posted(announced)).mentions == [people.owner.id]
