"""Priority of posts: who may set it, where it is shown, what it counts; acknowledgements and their events."""

from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced, say
from tests.integration.posts.test_collapsed import configured
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
URGENT = {"priority": "urgent", "requested_ack": True, "persistent_notifications": False}
NOT_ALLOWED = "api.post.post_priority.priority_post_not_allowed_for_user.request_error"
ROOTS_ONLY = "api.post.post_priority.priority_post_only_allowed_for_root_post.request_error"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def room(people: People) -> str:
    """A channel with owner, member and teammate in it."""
    made = await people.owner.new_channel(people.team["id"], "alarms", "O", people.member, people.teammate)
    room_id: str = made["id"]
    return room_id


async def alarm(who: Client, room: str, message: str = "fire", **priority: Any) -> dict[str, Any]:
    """Post something with a priority."""
    return await say(who, room, message, metadata={"priority": priority or URGENT})


async def test_a_priority_is_answered_stored_and_announced(
    people: People, announced: Announced, room: str
) -> None:
    post = await alarm(people.owner, room)
    assert post["metadata"] == {"priority": URGENT}
    assert [one["data"]["post"] for one in await announced.events() if one["event"] == "posted"] == [post]
    seen = await people.member.get(f"/posts/{post['id']}")
    assert seen["metadata"] == {"priority": URGENT}
    listed = await people.member.get(f"/channels/{room}/posts")
    assert listed["posts"][post["id"]]["metadata"] == {"priority": URGENT}
    edited = await people.owner.put(f"/posts/{post['id']}/patch", {"message": "out"})
    assert edited["metadata"] == {"priority": URGENT}
    for given, kept in (
        ({"priority": "important"}, {"priority": "important", "requested_ack": False}),
        ({"requested_ack": True}, {"priority": "", "requested_ack": True}),
    ):
        plain = await alarm(people.member, room, **given)
        expected = {"priority": {**kept, "persistent_notifications": False}}
        assert plain["metadata"] == (await people.owner.get(f"/posts/{plain['id']}"))["metadata"] == expected
    for nothing in ({"priority": ""}, {"priority": "", "requested_ack": False}):
        assert (await alarm(people.owner, room, **nothing))["metadata"] == {}


async def test_who_may_not_have_one(people: People, room: str) -> None:
    root = await say(people.owner, room)

    async def refused(status: int, priority: Any, **more: Any) -> str:
        body = {"channel_id": room, "message": "x", "metadata": {"priority": priority}, **more}
        answer: dict[str, str] = await people.member.post("/posts", body, expect=status)
        return answer["id"]

    assert await refused(400, {"priority": "urgent"}, root_id=root["id"]) == ROOTS_ONLY
    assert await refused(403, {"priority": "urgent", "persistent_notifications": True}) == NOT_ALLOWED
    for wrong in ({"priority": "x" * 5000}, {"priority": 5}, {"requested_ack": "yes"}, "urgent"):
        assert await refused(400, wrong) == "api.context.invalid_body_param.app_error"
    async with configured(people, PostPriority=False):
        assert await refused(403, {"priority": "urgent"}) == NOT_ALLOWED
        told = await people.member.get("/config/client?format=old")
        assert (told["PostPriority"], told["PostAcknowledgements"]) == ("false", "false")
    told = await people.member.get("/config/client?format=old")
    assert (told["PostPriority"], told["PostAcknowledgements"]) == ("true", "true")


async def test_acknowledging(people: People, announced: Announced, room: str) -> None:
    me = people.member
    post = await alarm(people.owner, room)
    path = f"/users/me/posts/{post['id']}/ack"
    await announced.copies()
    given = await me.post(path)
    expected = {"user_id": me.id, "post_id": post["id"], "channel_id": room}
    assert given == {**expected, "acknowledged_at": given["acknowledged_at"]}
    assert await me.post(path) == given  # once
    [copy] = await announced.copies()
    assert (copy.name, copy.channel_id, copy.only) == ("post_acknowledgement_added", room, 0)
    data = msgspec.json.decode(copy.body + b"}}")["data"]
    assert msgspec.json.decode(data["acknowledgement"]) == given
    other = await people.teammate.post(path)
    seen = await people.owner.get(f"/posts/{post['id']}")
    assert seen["metadata"] == {"priority": URGENT, "acknowledgements": [given, other]}
    assert seen["update_at"] > post["update_at"]
    since = await people.owner.get(f"/channels/{room}/posts?since={post['update_at']}")
    assert since["posts"][post["id"]]["metadata"]["acknowledgements"] == [given, other]
    await announced.copies()
    assert await me.delete(path) == {"status": "OK"}
    [copy] = await announced.copies()
    assert (copy.name, copy.channel_id) == ("post_acknowledgement_removed", room)
    assert (await me.delete(path, expect=404))["id"] == "app.acknowledgement.get.app_error"
    await announced.db.execute("UPDATE post_acknowledgements SET acknowledged_at = acknowledged_at - 300001")
    late = await people.teammate.delete(path, expect=400)
    assert late["id"] == "api.acknowledgement.delete.deadline.app_error"


async def test_who_may_not_acknowledge(people: People, room: str) -> None:
    post, plain = await alarm(people.owner, room), await say(people.owner, room)
    hidden = await alarm(people.owner, people.private["id"])
    await people.member.post(f"/users/me/posts/{plain['id']}/ack", expect=400)
    for method in ("POST", "DELETE"):
        path = f"/users/me/posts/{post['id']}/ack"
        await people.api.anonymous().call(method, path, expect=401)
        await people.stranger.call(method, path, expect=404)
        await people.teammate.call(method, f"/users/me/posts/{hidden['id']}/ack", expect=404)
        await people.member.call(method, f"/users/me/posts/{new_id()}/ack", expect=404)
        await people.member.call(method, "/users/me/posts/x/ack", expect=400)
        await people.member.call(method, f"/users/{people.owner.id}/posts/{post['id']}/ack", expect=403)
    await people.admin.post(f"/users/{people.member.id}/posts/{post['id']}/ack")
    attic = await people.owner.new_channel(people.team["id"], "old-alarms", "O", people.member)
    late = await alarm(people.owner, attic["id"])
    await people.owner.delete(f"/channels/{attic['id']}")
    for method, what in (("POST", "save"), ("DELETE", "delete")):
        answer = await people.member.call(method, f"/users/me/posts/{late['id']}/ack", expect=403)
        assert answer["id"] == f"api.acknowledgement.{what}.archived_channel.app_error"


async def test_urgent_mentions_are_counted(people: People, room: str) -> None:
    me, team = people.member, people.team["id"]
    name = f"@{me.me['username']}"
    mine = f"/channels/{room}/members/me"
    await me.post("/channels/members/me/view", {"channel_id": room})
    root = await alarm(people.owner, room, f"fire {name}")
    await alarm(people.owner, room, f"smoke {name}", priority="important")
    await say(people.owner, room, f"where, {name}?", root_id=root["id"])
    row = await me.get(mine)
    assert (row["mention_count"], row["mention_count_root"], row["urgent_mention_count"]) == (3, 2, 1)
    assert (await me.get(f"/users/me/channels/{room}/unread"))["urgent_mention_count"] == 1
    threads = await me.get(f"/users/me/teams/{team}/threads")
    assert (threads["total_unread_mentions"], threads["total_unread_urgent_mentions"]) == (1, 1)
    assert [thread["is_urgent"] for thread in threads["threads"] if thread["id"] == root["id"]] == [True]
    [unread] = [
        one
        for one in await me.get("/users/me/teams/unread?include_collapsed_threads=true")
        if one["team_id"] == team
    ]
    assert (unread["thread_mention_count"], unread["thread_urgent_mention_count"]) == (1, 1)
    await me.post("/channels/members/me/view", {"channel_id": room})
    assert (await me.get(mine))["urgent_mention_count"] == 0
    again = await me.post(f"/users/me/posts/{root['id']}/set_unread", {"collapsed_threads_supported": True})
    assert (again["mention_count"], again["urgent_mention_count"]) == (3, 1)
    direct = await people.owner.post("/channels/direct", [people.owner.id, me.id])
    first = await alarm(people.owner, direct["id"])
    await say(people.owner, direct["id"])
    row = await me.get(f"/channels/{direct['id']}/members/me")
    assert (row["mention_count"], row["urgent_mention_count"]) == (2, 1)
    await me.post("/channels/members/me/view", {"channel_id": direct["id"]})
    again = await me.post(f"/users/me/posts/{first['id']}/set_unread", {"collapsed_threads_supported": True})
    assert (again["mention_count"], again["urgent_mention_count"]) == (2, 1)
