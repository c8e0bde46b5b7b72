"""Reading a channel while somebody writes in it: no mention is lost or left, and no post counts as read unseen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import say
from tidewire.actions import mention_counts
from tidewire.wire.ids import new_id, now_ms

pytestmark = pytest.mark.asyncio(loop_scope="module")
Act = Callable[[People, str], Awaitable[Any]]
# What the group commit of another worker changes for a root that names the user ($2).
MENTION = """
WITH m AS (UPDATE channel_members SET mention_count = mention_count + 1, mention_count_root = mention_count_root + 1
    WHERE channel_id = $1 AND user_id = $2)
UPDATE channels SET total_msg_count = total_msg_count + 1, total_msg_count_root = total_msg_count_root + 1 WHERE id = $1
"""
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def waiting(people: People, room: str) -> tuple[int, int, int, int]:
    """Return the member's unread (posts, roots, mentions, mentions by roots)."""
    found = await people.member.get(f"/users/me/channels/{room}/unread")
    return tuple(found[name] for name in ("msg_count", "msg_count_root", "mention_count", "mention_count_root"))


@pytest.mark.parametrize(
    "act",
    [
        lambda people, room: people.member.post("/channels/members/me/view", {"channel_id": room}),
        lambda people, room: people.member.post("/channels/members/me/mark_read", [room]),
        lambda people, room: say(people.member, room, "I have seen it"),
    ],
    ids=["view", "mark read", "post"],
)
async def test_who_is_mentioned_while_he_reads_has_either_both_or_none_unread(people: People, act: Act) -> None:
    room = (await people.owner.new_channel(people.team["id"], f"race-{id(act)}", "O", people.member))["id"]
    await people.member.post("/channels/members/me/mark_read", [room])  # that he was added
    await say(people.owner, room, f"@{people.member.me['username']} first")
    assert await waiting(people, room) == (1, 1, 1, 1)
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        async with asyncio.timeout(30), connection.transaction():
            await connection.execute(MENTION, room, people.member.id)
            task = asyncio.create_task(act(people, room))
            while not await connection.fetchval(WAITS):
                await asyncio.sleep(0.01)
        await task
    finally:
        await connection.close()
    assert await waiting(people, room) in ((0, 0, 0, 0), (1, 1, 1, 1))


async def test_a_post_that_comes_while_others_are_marked_unread_is_unread_too(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = (await people.owner.new_channel(people.team["id"], "race-unread", "O", people.member))["id"]
    await people.member.post("/channels/members/me/mark_read", [room])
    first = await say(people.owner, room, "first")
    counted = mention_counts.count_from

    async def meanwhile(*args: Any) -> tuple[int, int, int]:
        await say(people.owner, room, "second")
        return await counted(*args)

    monkeypatch.setattr(mention_counts, "count_from", meanwhile)
    body = {"collapsed_threads_supported": True}
    await people.member.post(f"/users/me/posts/{first['id']}/set_unread", body)
    assert await waiting(people, room) == (2, 2, 0, 0)


# What the group commit of another worker changes for a reply ($1, at $2) that names the user ($3).
REPLY = """
WITH p AS (INSERT INTO posts (id, create_at, update_at, user_id, channel_id, root_id, message)
    SELECT $1, $2, $2, r.user_id, r.channel_id, r.id, 'x' FROM posts r WHERE r.id = $4),
t AS (UPDATE threads SET reply_count = reply_count + 1, last_reply_at = $2 WHERE root_id = $4)
UPDATE thread_members SET unread_mentions = unread_mentions + 1 WHERE root_id = $4 AND user_id = $3
"""
READ_THREADS = pytest.mark.parametrize(
    "act",
    [
        lambda people: people.member.put(f"/users/me/teams/{people.team['id']}/threads/read"),
        lambda people: people.member.post("/channels/members/me/view", {"channel_id": people.channel["id"]}),
    ],
    ids=["team", "channel"],
)


async def unread_thread(people: People) -> str:
    """Return the root of a thread in which a reply mentions the member."""
    root = await say(people.owner, people.channel["id"], "root")
    await say(people.owner, people.channel["id"], f"@{people.member.me['username']}", root_id=root["id"])
    assert await unread(people, root["id"]) == (1, 1)
    return str(root["id"])


async def unread(people: People, root_id: str) -> tuple[int, int]:
    """Return what the member has not read of a thread: replies, and how many of them mention him."""
    found = await people.member.get(f"/users/me/teams/{people.team['id']}/threads/{root_id}")
    return found["unread_replies"], found["unread_mentions"]


@READ_THREADS
async def test_a_reply_that_is_waited_for_is_read_with_its_mention(people: People, act: Any) -> None:
    root_id = await unread_thread(people)
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        async with asyncio.timeout(30), connection.transaction():
            await connection.fetch("SELECT FROM thread_members WHERE root_id = $1 FOR UPDATE", root_id)
            task = asyncio.create_task(act(people))
            while not await connection.fetchval(WAITS):
                await asyncio.sleep(0.01)
            await connection.execute(REPLY, new_id(), now_ms(), people.member.id, root_id)
        await task
    finally:
        await connection.close()
    assert await unread(people, root_id) in ((0, 0), (1, 1))


@READ_THREADS
async def test_a_reply_that_comes_late_leaves_no_mention_of_what_was_read(people: People, act: Any) -> None:
    root_id = await unread_thread(people)
    name = people.member.me["username"]
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        async with asyncio.timeout(30), connection.transaction():
            await connection.fetch("SELECT FROM threads WHERE root_id = $1 FOR UPDATE", root_id)
            task = asyncio.create_task(say(people.owner, people.channel["id"], f"@{name} late", root_id=root_id))
            while not await connection.fetchval(WAITS):
                await asyncio.sleep(0.01)
            await act(people)
        await task
    finally:
        await connection.close()
    assert await unread(people, root_id) in ((0, 0), (1, 1))
