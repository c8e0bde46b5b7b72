"""Threads, and read state of channels: answers and events."""

import asyncio
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced, say
from tidewire.store.unread import badge

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOM = "threads-room"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def room(people: People) -> str:
    """A channel with owner, member and teammate in it."""
    made = await people.owner.new_channel(people.team["id"], ROOM, "O", people.member, people.teammate)
    room_id: str = made["id"]
    return room_id


async def events(announced: Announced, name: str, who: Client, count: int = 1) -> list[dict[str, Any]]:
    """Wait for `count` events of a name for one user and return them all."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            for copy in await announced.copies(news=True):
                if copy.name == name and copy.user_id == who.id:
                    found.append(msgspec.json.decode(copy.body + b"}}"))
            await asyncio.sleep(0.02)
    return found


async def told_of(announced: Announced, who: Client, wanted: tuple[int, int]) -> dict[str, Any]:
    """Wait until one user is told that so much of a thread is unread; return what that event says."""
    async with asyncio.timeout(30):
        while True:
            for told in await events(announced, "thread_updated", who):
                if unread(msgspec.json.decode(told["data"]["thread"])) == wanted:
                    data: dict[str, Any] = told["data"]
                    return data


def path(people: People, root: dict[str, Any], rest: str = "") -> str:
    """Return the path of one thread."""
    return f"/users/me/teams/{people.team['id']}/threads/{root['id']}{rest}"


async def listed(people: People, who: Client, query: str = "") -> dict[str, Any]:
    """Return a page of threads."""
    answer: dict[str, Any] = await who.get(f"/users/me/teams/{people.team['id']}/threads?{query}")
    return answer


def unread(thread: dict[str, Any]) -> tuple[int, int]:
    """Return (unread_replies, unread_mentions)."""
    return thread["unread_replies"], thread["unread_mentions"]


async def test_a_thread_from_both_sides(people: People, announced: Announced, room: str) -> None:
    owner, ann, tom = people.owner, people.member, people.teammate
    root = await say(owner, room, f"for @{tom.me['username']}")
    await announced.copies()
    await ann.get(path(people, root), expect=404)
    await say(ann, room, "one", root_id=root["id"])
    told = (await events(announced, "thread_updated", owner))[-1]
    thread = msgspec.json.decode(told["data"]["thread"])
    assert (thread["id"], thread["reply_count"], unread(thread)) == (root["id"], 1, (1, 0))
    assert (told["data"]["previous_unread_replies"], told["data"]["previous_unread_mentions"]) == (0, 0)
    assert told["broadcast"]["team_id"] == people.team["id"]
    assert [user["username"] for user in thread["participants"]] == [ann.me["username"]]
    assert thread["post"]["message"] == root["message"]
    await announced.copies()
    await say(ann, room, f"two @{owner.me['username']}", root_id=root["id"])
    told = (await events(announced, "thread_updated", owner))[-1]
    assert unread(msgspec.json.decode(told["data"]["thread"])) == (2, 1)
    assert (told["data"]["previous_unread_replies"], told["data"]["previous_unread_mentions"]) == (1, 0)
    assert unread(await owner.get(path(people, root))) == (2, 1)
    assert unread(await ann.get(path(people, root))) == (0, 0)  # who wrote has read
    assert unread(await tom.get(path(people, root))) == (2, 0)
    extended = await tom.get(path(people, root, "?extended=true"))
    assert [user["username"] for user in extended["participants"]] == [ann.me["username"]]
    await people.stranger.get(path(people, root), expect=404)
    await ann.get(f"/users/{owner.id}/teams/{people.team['id']}/threads/{root['id']}", expect=403)


async def test_read_and_unread(people: People, announced: Announced, room: str) -> None:
    owner, ann = people.owner, people.member
    root = await say(owner, room, "root")
    replies = [await say(ann, room, text, root_id=root["id"]) for text in ("a", f"@{owner.me['username']}", "c")]
    await announced.copies()
    answer = await owner.put(path(people, root, f"/read/{replies[-1]['create_at']}"))
    assert unread(answer) == (0, 0)
    told = (await events(announced, "thread_read_changed", owner))[-1]["data"]
    assert told == {
        "thread_id": root["id"], "timestamp": replies[-1]["create_at"], "unread_mentions": 0, "unread_replies": 0,
        "previous_unread_mentions": 1, "previous_unread_replies": 3, "channel_id": room,
    }  # fmt: skip
    assert unread(await owner.post(path(people, root, f"/set_unread/{replies[1]['id']}"))) == (2, 1)
    assert unread(await owner.post(path(people, root, f"/set_unread/{replies[2]['id']}"))) == (1, 0)
    other = await say(owner, room, "other")
    await owner.post(path(people, root, f"/set_unread/{other['id']}"), expect=400)
    await owner.put(path(people, root, "/read/soon"), expect=400)
    await owner.put(path(people, root, f"/read/{10**15 - 1}"))
    await say(ann, room, "d", root_id=root["id"])
    assert unread(await owner.get(path(people, root))) == (1, 0)  # the future has not been read
    before = await listed(people, owner, "totalsOnly=true")
    assert before["threads"] is None and before["total_unread_threads"] >= 1
    await announced.copies()
    await owner.put(f"/users/me/teams/{people.team['id']}/threads/read")
    told = (await events(announced, "thread_read_changed", owner))[-1]
    assert (told["data"], told["broadcast"]["team_id"]) == ({}, people.team["id"])
    after = await listed(people, owner, "totalsOnly=true")
    assert (after["total_unread_threads"], after["total_unread_mentions"]) == (0, 0)
    assert after["total"] == before["total"]


async def test_following(people: People, announced: Announced, room: str) -> None:
    owner, ann, tom = people.owner, people.member, people.teammate
    root = await say(owner, room, "root")
    await announced.copies()
    assert await tom.put(path(people, root, "/following")) == {"status": "OK"}
    told = (await events(announced, "thread_follow_changed", tom))[-1]["data"]
    assert told == {"thread_id": root["id"], "state": True, "reply_count": 0}
    assert unread(await tom.get(path(people, root))) == (0, 0)
    await say(ann, room, "one", root_id=root["id"])
    assert unread(await tom.get(path(people, root))) == (1, 0)
    await owner.delete(path(people, root, "/following"))
    await owner.get(path(people, root), expect=404)
    await say(ann, room, "two", root_id=root["id"])
    await owner.get(path(people, root), expect=404)  # his choice holds, though the root is his
    await say(ann, room, f"@{owner.me['username']}", root_id=root["id"])
    assert unread(await owner.get(path(people, root))) == (3, 1)
    reply = await say(ann, room, "x", root_id=root["id"])
    await tom.put(path(people, reply, "/following"), expect=400)


async def test_pages(people: People, room: str) -> None:
    tom = people.teammate
    roots = []
    for number in range(4):
        roots.append(await say(tom, room, f"root {number}"))
        await say(people.owner, room, "reply", root_id=roots[-1]["id"])
    newest = [root["id"] for root in roots[::-1]]
    page = await listed(people, tom, "per_page=2")
    assert [thread["id"] for thread in page["threads"]] == newest[:2]
    older = await listed(people, tom, f"per_page=2&before={newest[1]}&threadsOnly=true")
    assert [thread["id"] for thread in older["threads"]] == newest[2:]
    assert older["total"] == 0
    newer = await listed(people, tom, f"per_page=2&after={newest[3]}")
    assert [thread["id"] for thread in newer["threads"]] == newest[1:3]
    await tom.put(path(people, roots[3], f"/read/{10**14}"))
    waiting = await listed(people, tom, "unread=true&per_page=3")
    assert [thread["id"] for thread in waiting["threads"]] == newest[1:4]
    last = page["threads"][0]["last_reply_at"]
    assert [t["id"] for t in (await listed(people, tom, f"since={last}"))["threads"]][:1] == newest[:1]
    await tom.delete(f"/posts/{newest[1]}")
    assert newest[1] not in [t["id"] for t in (await listed(people, tom))["threads"]]
    gone = {t["id"]: t for t in (await listed(people, tom, "deleted=true"))["threads"]}[newest[1]]
    assert gone["delete_at"] > 0 and gone["post"]["message"] == ""
    for query in ("before=x", "after=%00", f"before={newest[0]}&after={newest[1]}", "since=-1",
                  "totalsOnly=true&threadsOnly=true"):  # fmt: skip
        await tom.get(f"/users/me/teams/{people.team['id']}/threads?{query}", expect=400)
    await people.stranger.get(f"/users/me/teams/{people.team['id']}/threads", expect=403)


async def test_threads_of_direct_channels_are_in_every_team_or_left_out(people: People, room: str) -> None:
    owner, tom = people.owner, people.teammate
    direct = await tom.post("/channels/direct", [tom.id, owner.id])
    roots = [await say(tom, place, "root") for place in (direct["id"], room)]
    for root in roots:
        await say(owner, root["channel_id"], "reply", root_id=root["id"])
    totals = []
    for query, wanted in (("", {root["id"] for root in roots}), ("excludeDirect=true", {roots[1]["id"]})):
        page = await listed(people, tom, query)
        assert {thread["id"] for thread in page["threads"]} & {root["id"] for root in roots} == wanted
        totals.append((await listed(people, tom, "totalsOnly=true&" + query))["total"])
        assert page["total"] == totals[-1]
    assert totals[0] == totals[1] + 1


async def test_a_deleted_reply_waits_for_nobody(people: People, announced: Announced, room: str) -> None:
    owner, ann = people.owner, people.member
    root = await say(owner, room, "root")
    await say(ann, room, "one", root_id=root["id"])
    reply = await say(ann, room, "two", root_id=root["id"])
    await told_of(announced, owner, (2, 0))
    await ann.delete(f"/posts/{reply['id']}")
    assert (await told_of(announced, owner, (1, 0)))["previous_unread_replies"] == 2


async def test_who_leaves_has_no_threads_there(people: People, room: str) -> None:
    owner, ann = people.owner, people.member
    root = await say(owner, room, f"for @{ann.me['username']}")
    await say(owner, room, f"again @{ann.me['username']}", root_id=root["id"])
    assert unread(await ann.get(path(people, root))) == (1, 1)
    await ann.delete(f"/channels/{room}/members/{ann.id}")
    assert (await listed(people, ann, "totalsOnly=true"))["total_unread_mentions"] == 0
    await ann.post(f"/channels/{room}/members", {"user_id": ann.id}, expect=201)
    await ann.get(path(people, root), expect=404)
    row = await ann.get(f"/channels/{room}/members/me")
    channel = await ann.get(f"/channels/{room}")
    assert (row["mention_count"], row["msg_count"]) == (0, channel["total_msg_count"])


async def test_mark_channels_read_and_unread(people: People, announced: Announced, room: str) -> None:
    owner, ann = people.owner, people.member
    name = ann.me["username"]
    await ann.post("/channels/members/me/mark_read", [room])
    start = await ann.get(f"/channels/{room}/members/me")
    posts = [await say(owner, room, text) for text in ("a", f"@{name}", "c")]
    posts.append(await say(owner, room, f"@{name} reply", root_id=posts[0]["id"]))
    answer = await ann.post("/channels/members/me/mark_read", [room])
    assert answer == {"status": "OK", "last_viewed_at_times": {room: posts[-1]["create_at"]}}
    await announced.copies()
    body = {"collapsed_threads_supported": True}
    state = await ann.post(f"/users/me/posts/{posts[1]['id']}/set_unread", body)
    assert state == {
        "team_id": people.team["id"], "user_id": ann.id, "channel_id": room, "msg_count": start["msg_count"] + 1,
        "msg_count_root": start["msg_count_root"] + 1, "mention_count": 2, "mention_count_root": 1,
        "urgent_mention_count": 0, "last_viewed_at": posts[1]["create_at"] - 1,
    }  # fmt: skip
    told = (await events(announced, "post_unread", ann))[-1]
    assert told["data"] == {name: state[name] for name in state if name not in ("team_id", "user_id", "channel_id")} | {
        "post_id": posts[1]["id"]
    }
    assert (told["broadcast"]["channel_id"], told["broadcast"]["team_id"]) == (room, people.team["id"])
    waiting = await ann.get(f"/users/me/channels/{room}/unread")
    assert (waiting["msg_count"], waiting["msg_count_root"], waiting["mention_count"]) == (3, 2, 2)
    [team] = await ann.get("/users/me/teams/unread?include_collapsed_threads=true")
    assert (team["thread_count"], team["thread_mention_count"]) == (1, 1)
    assert team["mention_count"] == team["mention_count_root"]
    other = await announced.db.fetchval(
        "SELECT sum(mention_count_root) FROM channel_members WHERE user_id = $1 AND channel_id <> $2", ann.id, room
    )
    assert await badge(announced.db, ann.id) == other + 1 + 1
    plain = await ann.get(f"/users/me/teams/{people.team['id']}/unread")
    assert (plain["thread_count"], plain["mention_count"]) == (0, team["mention_count"] + 1)
    # A client without collapsed threads sees the reply in the channel.
    await ann.post("/channels/members/me/view", {"channel_id": room})
    [team] = await ann.get("/users/me/teams/unread?include_collapsed_threads=true")
    assert (team["thread_count"], team["thread_mention_count"]) == (0, 0)
    state = await ann.post(f"/users/me/posts/{posts[3]['id']}/set_unread", {})
    assert (state["mention_count"], state["mention_count_root"]) == (1, 0)
    assert unread(await ann.get(path(people, posts[0]))) == (1, 1)
    await people.stranger.post(f"/users/me/posts/{posts[1]['id']}/set_unread", body, expect=404)
    await ann.post(f"/users/{owner.id}/posts/{posts[1]['id']}/set_unread", body, expect=403)
    await ann.post("/channels/members/me/mark_read", ["x"], expect=400)


async def test_direct_messages_are_counted_again(people: People, announced: Announced) -> None:
    owner, ann = people.owner, people.member
    direct = (await owner.post("/channels/direct", [owner.id, ann.id]))["id"]
    posts = [await say(owner, direct, text) for text in ("a", "b", "c")]
    await say(ann, direct, "mine")
    state = await ann.post(f"/users/me/posts/{posts[1]['id']}/set_unread", {"collapsed_threads_supported": True})
    assert (state["mention_count"], state["mention_count_root"]) == (2, 2)
    waiting = await ann.get(f"/users/me/channels/{direct}/unread")
    assert (waiting["msg_count"], waiting["mention_count"]) == (3, 2)
