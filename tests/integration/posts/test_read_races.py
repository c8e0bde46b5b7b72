"""Reading a channel while somebody writes in it: no mention is lost or left, and no post counts as read unseen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import say
from tidewire.actions import mention_counts

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
        async with asyncio.timeout(10), connection.transaction():
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
