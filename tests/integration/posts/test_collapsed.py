"""What collapsed threads say of following, and what CollapsedThreads and ThreadAutoFollow change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced, say

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def configured(people: People, **values: Any) -> AsyncIterator[None]:
    """Set keys of ServiceSettings for a while."""
    before = (await people.admin.get("/config"))["ServiceSettings"]
    await people.admin.put("/config/patch", {"ServiceSettings": values})
    try:
        yield
    finally:
        old = {name: before[name] for name in values}
        await people.admin.put("/config/patch", {"ServiceSettings": old})


def follow(people: People, root: dict[str, Any]) -> str:
    return f"/users/me/teams/{people.team['id']}/threads/{root['id']}/following"


async def names(announced: Announced, who: Client) -> list[str]:
    """Return names of the events that a user alone got since the last look, once all news of threads has been told."""
    await announced.told()
    return [copy.name for copy in await announced.copies(news=True) if copy.user_id == who.id]


async def unread_messages(people: People, who: Client) -> int:
    """Return how many messages of the channel a member has not read."""
    channel = await who.get(f"/channels/{people.channel['id']}")
    member = await who.get(f"/channels/{people.channel['id']}/members/me")
    return int(channel["total_msg_count"] - member["msg_count"])


async def test_is_following_stands_on_roots_of_collapsed_lists(people: People) -> None:
    owner, ann, channel_id = people.owner, people.member, people.channel["id"]
    root, other = await say(owner, channel_id, "root"), await say(owner, channel_id, "other")
    reply = await say(owner, channel_id, "reply", root_id=root["id"])
    lists = f"/channels/{channel_id}/posts"

    async def flags(who: Client, path: str) -> dict[str, Any]:
        posts = (await who.get(path))["posts"]
        return {key: posts[key].get("is_following", "none") for key in (root["id"], other["id"]) if key in posts}

    collapsed = lists + "?collapsedThreads=true"
    assert await flags(owner, collapsed) == {root["id"]: True, other["id"]: False}
    assert await flags(ann, collapsed) == {root["id"]: False, other["id"]: False}
    assert await flags(owner, lists) == {root["id"]: "none", other["id"]: "none"}
    thread = f"/posts/{root['id']}/thread?collapsedThreads=true"
    assert await flags(owner, thread) == {root["id"]: True}
    assert "is_following" not in (await owner.get(thread))["posts"][reply["id"]]

    # Following changes nothing in the channel, so the tag of a list must know of it.
    tag = (await ann.request("GET", collapsed)).headers["ETag"]
    match = {"If-None-Match": tag}
    assert (await ann.request("GET", collapsed, headers=match)).status_code == 304
    await ann.put(follow(people, root), {})
    assert (await ann.request("GET", collapsed, headers=match)).status_code == 200
    assert await flags(ann, collapsed) == {root["id"]: True, other["id"]: False}
    found = await ann.get(f"/users/me/teams/{people.team['id']}/threads")
    assert [one["post"]["is_following"] for one in found["threads"] if one["id"] == root["id"]] == [True]


async def test_without_auto_follow_only_who_chose_follows(people: People, announced: Announced) -> None:
    owner, ann, channel_id = people.owner, people.member, people.channel["id"]
    error = await people.admin.put("/config/patch", {"ServiceSettings": {"ThreadAutoFollow": False}}, expect=400)
    assert error["id"] == "model.config.is_valid.collapsed_threads.autofollow.app_error"
    async with configured(people, ThreadAutoFollow=False, CollapsedThreads="disabled"):
        root = await say(owner, channel_id, "root")
        await say(ann, channel_id, f"@{owner.me['username']}", root_id=root["id"])
        query = "SELECT count(*) FROM thread_members WHERE root_id = $1"
        assert await announced.db.fetchval(query, root["id"]) == 0
        await ann.put(follow(people, root), {})
        await say(owner, channel_id, "more", root_id=root["id"])
        assert await announced.db.fetchval(query, root["id"]) == 1
    await say(owner, channel_id, "with it again", root_id=root["id"])
    assert await announced.db.fetchval(query, root["id"]) == 2


async def test_where_threads_are_not_collapsed_a_reply_reads_the_channel(
    people: People, announced: Announced
) -> None:
    owner, ann, channel_id = people.owner, people.member, people.channel["id"]
    root = await say(owner, channel_id, f"for @{ann.me['username']}")
    await say(ann, channel_id, "collapsed: the channel stays unread", root_id=root["id"])
    assert await unread_messages(people, ann) > 0
    async with configured(people, CollapsedThreads="disabled"):
        assert (await ann.get("/config/client?format=old"))["CollapsedThreads"] == "disabled"
        await names(announced, owner)
        await say(ann, channel_id, "not collapsed", root_id=root["id"])
        assert await unread_messages(people, ann) == 0
        assert "thread_updated" not in await names(announced, owner)


async def test_where_users_choose_the_preference_decides(people: People, announced: Announced) -> None:
    owner, ann, channel_id = people.owner, people.member, people.channel["id"]
    root = await say(owner, channel_id, f"for @{ann.me['username']}")

    async def choose(who: Client, value: str) -> None:
        item = {"category": "display_settings", "name": "collapsed_reply_threads", "value": value}
        await who.put("/users/me/preferences", [{"user_id": who.id, **item}])

    async with configured(people, CollapsedThreads="default_off"):
        await say(owner, channel_id, "unread")
        await say(ann, channel_id, "off by default", root_id=root["id"])
        assert await unread_messages(people, ann) == 0
        await choose(ann, "on")
        await choose(owner, "on")
        await say(owner, channel_id, "unread")
        await names(announced, owner)
        await say(ann, channel_id, "chosen", root_id=root["id"])
        assert await unread_messages(people, ann) > 0
        assert "thread_updated" in await names(announced, owner)
        await choose(owner, "off")
        await names(announced, owner)
        await say(ann, channel_id, "chosen", root_id=root["id"])
        assert "thread_updated" not in await names(announced, owner)
