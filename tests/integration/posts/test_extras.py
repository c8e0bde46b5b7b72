"""What stands beside posts: drafts, old versions, saved posts, reminders, ephemeral posts, where a link leads."""

import asyncio
import time
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced, say
from tidewire.actions import drafts, reminders
from tidewire.store.post_extras import Reminder
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
NO = "api.context.permissions.app_error"
BODY = "api.context.invalid_body_param.app_error"


async def refusal(who: Client, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Return (status, error id) of a request that is refused."""
    answer = await who.request(method, path, **({} if body is None else {"json": body}))
    return answer.status_code, answer.json()["id"]


# -- drafts


async def test_a_draft_is_kept_told_replaced_and_deleted(people: People, announced: Announced) -> None:
    me, channel, connection = people.member, people.channel["id"], new_id()
    me.http.headers["Connection-Id"] = connection
    begun = {"user_id": new_id(), "channel_id": channel, "message": "I thi", "props": {"a": 1}}
    first = await me.post("/drafts", begun, expect=201)
    assert first["user_id"] == me.id and first["create_at"] == first["update_at"] > 0
    second = await me.post("/drafts", {**begun, "message": "I think"}, expect=201)
    assert second["create_at"] == first["create_at"] and second["update_at"] > first["update_at"]
    root = await say(people.owner, channel)
    await announced.copies()
    reply = await me.post("/drafts", {**begun, "root_id": root["id"], "message": "no"}, expect=201)
    listed = await me.get(f"/users/me/teams/{people.team['id']}/drafts")
    assert listed == [reply, second]
    [told] = await announced.copies()
    assert (told.name, told.user_id, told.omit_connection_id) == ("draft_created", me.id, connection)
    event = msgspec.json.decode(told.body + b"}}")
    assert msgspec.json.decode(event["data"]["draft"]) == reply
    assert event["broadcast"]["omit_connection_id"] == connection
    assert await me.delete(f"/users/me/channels/{channel}/drafts/{root['id']}") == {"status": "OK"}
    assert await me.post("/drafts", {**begun, "message": ""}, expect=201)  # nothing is left of it
    assert [copy.name for copy in await announced.copies()] == ["draft_deleted", "draft_deleted"]
    assert await me.get(f"/users/me/teams/{people.team['id']}/drafts") == []
    assert await me.delete(f"/users/me/channels/{channel}/drafts") == {"status": "OK"}
    assert await announced.copies() == []
    del me.http.headers["Connection-Id"]


async def test_drafts_of_direct_channels_are_in_every_team_and_of_left_ones_in_none(people: People) -> None:
    me = people.member
    direct = await me.post("/channels/direct", [me.id, people.owner.id], expect=201)
    left = await people.owner.new_channel(people.team["id"], "passing", "O", me)
    for channel_id in (direct["id"], left["id"]):
        await me.post("/drafts", {"channel_id": channel_id, "message": "x"}, expect=201)
    await me.delete(f"/channels/{left['id']}/members/{me.id}")
    listed = await me.get(f"/users/me/teams/{people.team['id']}/drafts")
    assert [draft["channel_id"] for draft in listed] == [direct["id"]]
    await me.delete(f"/users/me/channels/{direct['id']}/drafts")


async def test_drafts_that_are_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    me, channel = people.member, people.channel["id"]
    put = {"channel_id": channel, "message": "x"}
    for change, wrong in [
        ({"channel_id": "x"}, (400, BODY)),
        ({"root_id": "x"}, (400, BODY)),
        ({"type": "system_join_channel"}, (400, BODY)),
        ({"file_ids": [new_id()] * 11}, (400, BODY)),
        ({"file_ids": ["x"]}, (400, BODY)),
        ({"priority": {"priority": "x" * 2000}}, (400, BODY)),
        ({"message": "x" * 16_384}, (400, "model.post.is_valid.message_length.app_error")),
        ({"channel_id": new_id()}, (403, NO)),
    ]:
        assert await refusal(me, "POST", "/drafts", {**put, **change}) == wrong
    assert await refusal(people.stranger, "POST", "/drafts", put) == (403, NO)
    assert (await refusal(people.anonymous, "POST", "/drafts", put))[0] == 401
    other = f"/users/{people.owner.id}"
    assert await refusal(me, "GET", f"{other}/teams/{people.team['id']}/drafts") == (403, NO)
    assert await refusal(me, "GET", f"/users/me/teams/{people.other_team['id']}/drafts") == (403, NO)
    assert await refusal(me, "DELETE", f"{other}/channels/{channel}/drafts") == (403, NO)
    closed = await people.owner.new_channel(people.team["id"], "closed", "O", me)
    await people.owner.delete(f"/channels/{closed['id']}")
    archived = (400, "api.draft.create_draft.can_not_draft_to_deleted.error")
    assert await refusal(me, "POST", "/drafts", {**put, "channel_id": closed["id"]}) == archived
    monkeypatch.setattr(drafts, "DRAFTS_MAX", 1)
    await people.owner.post("/drafts", put, expect=201)
    full = (400, "api.draft.create_draft.too_many.app_error")
    assert await refusal(people.owner, "POST", "/drafts", {**put, "root_id": new_id()}) == full
    await people.owner.post("/drafts", {**put, "message": "y"}, expect=201)  # in its own place
    monkeypatch.setattr(drafts, "DRAFTS_MAX", 10)
    monkeypatch.setattr(drafts, "DRAFTS_BYTES", 20_000)
    long: dict[str, Any] = {**put, "message": "z" * 11_000, "props": {"x": "y" * 11_000}}
    await people.owner.post("/drafts", long, expect=201)
    assert await refusal(people.owner, "POST", "/drafts", {**put, "root_id": new_id()}) == full
    await people.owner.post("/drafts", put, expect=201)
    await people.owner.post("/drafts", {**put, "root_id": new_id()}, expect=201)


async def test_drafts_stay_in_the_client_where_the_server_says_so(people: People) -> None:
    key = {"ServiceSettings": {"AllowSyncedDrafts": False}}
    await people.admin.put("/config/patch", key)
    try:
        off = (501, "api.drafts.disabled.app_error")
        channel = people.channel["id"]
        assert await refusal(people.member, "POST", "/drafts", {"channel_id": channel, "message": "x"}) == off
        assert await refusal(people.member, "GET", f"/users/me/teams/{people.team['id']}/drafts") == off
        assert await refusal(people.member, "DELETE", f"/users/me/channels/{channel}/drafts") == off
        assert (await people.member.get("/config/client?format=old"))["AllowSyncedDrafts"] == "false"
    finally:
        await people.admin.put("/config/patch", {"ServiceSettings": {"AllowSyncedDrafts": True}})


# -- old versions


async def test_versions_are_listed_and_restored_by_their_author(people: People, announced: Announced) -> None:
    me, channel = people.member, people.channel["id"]
    post = await say(me, channel, "one")
    path = f"/posts/{post['id']}"
    assert (await refusal(me, "GET", path + "/edit_history"))[0] == 404
    for words in ("two", "three #tag"):
        await me.put(path + "/patch", {"message": words})
    versions = await me.get(path + "/edit_history")
    assert [one["message"] for one in versions] == ["two", "one"]
    assert all(one["original_id"] == post["id"] and one["delete_at"] > 0 for one in versions)
    await announced.copies()
    restored = await me.post(f"{path}/restore/{versions[1]['id']}", expect=200)
    assert (restored["id"], restored["message"], restored["hashtags"]) == (post["id"], "one", "")
    assert [event["event"] for event in await announced.events()] == ["post_edited"]
    assert [one["message"] for one in await me.get(path + "/edit_history")] == ["three #tag", "two", "one"]
    foreign = await say(me, channel)
    wrong = "app.post.restore_post_version.not_an_history_item.app_error"
    assert await refusal(me, "POST", f"{path}/restore/{foreign['id']}") == (400, wrong)
    assert await refusal(people.owner, "GET", path + "/edit_history") == (403, NO)
    assert await refusal(people.admin, "POST", f"{path}/restore/{versions[0]['id']}") == (403, NO)
    assert (await refusal(people.stranger, "GET", path + "/edit_history"))[0] == 404


# -- saved posts


async def test_saved_posts(people: People) -> None:
    me, team = people.member, people.team["id"]
    direct = await me.post("/channels/direct", [me.id, people.owner.id], expect=201)
    left = await people.owner.new_channel(team, "brief", "O", me)
    places = [people.channel["id"], direct["id"], left["id"], people.channel["id"]]
    posts = [await say(people.owner, place) for place in places]
    saved = [
        {"user_id": me.id, "category": "flagged_post", "name": post["id"], "value": "true"} for post in posts
    ]
    await me.put(f"/users/{me.id}/preferences", saved)
    await me.delete(f"/channels/{left['id']}/members/{me.id}")
    await people.owner.delete(f"/posts/{posts[3]['id']}")
    path = f"/users/{me.id}/posts/flagged"
    both = [posts[1]["id"], posts[0]["id"]]
    listed = await me.get(path)
    assert listed["order"] == both and listed["posts"].keys() == set(both)
    assert (await me.get(f"{path}?team_id={team}"))["order"] == both
    assert (await me.get(f"{path}?team_id={people.other_team['id']}"))["order"] == both[:1]
    assert (await me.get(f"{path}?channel_id={people.channel['id']}"))["order"] == both[1:]
    assert (await me.get(f"{path}?page=1&per_page=1"))["order"] == both[1:]
    assert (await people.owner.get(f"/users/{people.owner.id}/posts/flagged"))["posts"] == {}
    assert await refusal(people.owner, "GET", path) == (403, NO)


# -- ephemeral posts


async def test_an_ephemeral_post_is_seen_by_one_and_kept_by_nobody(people: People, announced: Announced) -> None:
    admin, me, channel = people.admin, people.member, people.channel["id"]
    new = {"user_id": me.id, "post": {"channel_id": channel, "message": "psst"}}
    post = await admin.post("/posts/ephemeral", new, expect=201)
    assert (post["type"], post["message"], post["user_id"]) == ("system_ephemeral", "psst", admin.id)
    [told] = await announced.copies()
    event = msgspec.json.decode(told.body + b"}}")
    assert (told.user_id, event["event"], event["broadcast"]["channel_id"]) == (me.id, "ephemeral_message", channel)
    assert msgspec.json.decode(event["data"]["post"]) == post
    assert (await refusal(admin, "GET", f"/posts/{post['id']}"))[0] == 404
    assert await refusal(me, "POST", "/posts/ephemeral", new) == (403, NO)
    for wrong in (
        {**new, "user_id": "x"},
        {**new, "user_id": people.stranger.id},  # is no member
        {"user_id": me.id},
        {"user_id": me.id, "post": {"message": "x"}},
        {"user_id": me.id, "post": {"channel_id": channel, "root_id": "x"}},
    ):
        assert await refusal(admin, "POST", "/posts/ephemeral", wrong) == (400, BODY)


# -- where a link leads


async def test_post_info_is_for_those_who_could_get_there(people: People) -> None:
    public = await say(people.member, people.channel["id"])
    hidden = await say(people.member, people.private["id"])
    direct = await people.member.post("/channels/direct", [people.member.id, people.owner.id], expect=201)
    between = await say(people.member, direct["id"])
    info = await people.member.get(f"/posts/{public['id']}/info")
    assert info == {
        "channel_id": people.channel["id"],
        "channel_type": "O",
        "channel_display_name": "Harbour",
        "has_joined_channel": True,
        "team_id": people.team["id"],
        "team_type": "O",
        "team_display_name": "Seagulls",
        "has_joined_team": True,
    }
    assert not (await people.teammate.get(f"/posts/{public['id']}/info"))["has_joined_channel"]
    assert (await people.owner.get(f"/posts/{between['id']}/info"))["team_id"] == ""
    for who, post in [
        (people.teammate, hidden),
        (people.stranger, hidden),
        (people.teammate, between),
        (people.stranger, {"id": new_id()}),
        (people.stranger, public),  # the team takes nobody without an invitation
    ]:
        assert (await refusal(who, "GET", f"/posts/{post['id']}/info"))[0] == 404
    assert not (await people.admin.get(f"/posts/{hidden['id']}/info"))["has_joined_team"]
    await people.owner.put(f"/teams/{people.team['id']}/privacy", {"privacy": "O"})
    assert not (await people.stranger.get(f"/posts/{public['id']}/info"))["has_joined_team"]


# -- reminders


async def test_a_reminder_comes_once_when_its_time_has_come(people: People, announced: Announced) -> None:
    me = people.member
    post = await say(people.owner, people.channel["id"])
    path = f"/users/me/posts/{post['id']}/reminder"
    await announced.copies()
    await me.post(path, {"target_time": int(time.time()) + 3600})
    [shown] = await announced.copies()
    event = msgspec.json.decode(shown.body + b"}}")
    understood = msgspec.json.decode(event["data"]["post"])
    assert (event["event"], shown.user_id, understood["props"]["post_id"]) == (
        "ephemeral_message", me.id, post["id"],
    )  # fmt: skip
    assert understood["root_id"] == post["id"] and understood["props"]["username"] == "owner"
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        # Its time comes; two workers look at once.
        await connection.execute("UPDATE post_reminders SET target_time = $1", int(time.time()) - 1)
        async with asyncio.timeout(30):
            while await connection.fetchval("SELECT count(*) FROM post_reminders"):
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
    direct = [one for one in await me.get("/users/me/channels") if one["type"] == "D"]
    [bot] = await me.post("/users/usernames", ["system-bot"])
    [home] = [one for one in direct if bot["id"] in one["name"]]
    listed = await me.get(f"/channels/{home['id']}/posts")
    [given] = listed["posts"].values()
    assert (given["type"], given["user_id"]) == ("reminder", bot["id"])
    assert given["props"]["post_id"] == post["id"] and f"seagulls/pl/{post['id']}" in given["message"]
    assert (await me.get(f"/channels/{home['id']}/members/me"))["mention_count"] == 1


async def test_a_reminder_that_cannot_be_given_holds_up_nothing(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    me, give = people.owner, reminders._give
    posts = [await say(me, people.channel["id"], word) for word in ("poison", "later")]

    async def stumble(services: Any, reminder: Reminder) -> None:
        if reminder.post_id == posts[0]["id"]:
            raise KeyError("a bug")
        await give(services, reminder)

    monkeypatch.setattr(reminders, "_give", stumble)
    monkeypatch.setattr(reminders, "AT_ONCE", 1)
    for post in posts:
        await me.post(f"/users/me/posts/{post['id']}/reminder", {"target_time": int(time.time()) + 3600})
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        due = "UPDATE post_reminders SET target_time = CASE WHEN post_id = $1 THEN 1 ELSE 2 END"
        await connection.execute(due, posts[0]["id"])
        async with asyncio.timeout(30):
            while await connection.fetchval("SELECT count(*) FROM post_reminders"):
                await asyncio.sleep(0.1)
    finally:
        await connection.close()
    [bot] = await me.post("/users/usernames", ["system-bot"])
    home = await me.post("/channels/direct", [me.id, bot["id"]])
    listed = await me.get(f"/channels/{home['id']}/posts")
    assert [post["props"]["post_id"] for post in listed["posts"].values()] == [posts[1]["id"]]


async def test_reminders_that_are_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    me = people.member
    post = await say(people.owner, people.channel["id"])
    soon = {"target_time": int(time.time()) + 60}
    path = f"/posts/{post['id']}/reminder"
    for wrong in ({}, {"target_time": int(time.time()) - 60}, {"target_time": 1 << 50}, {"target_time": "x"}):
        assert await refusal(me, "POST", f"/users/me{path}", wrong) == (400, BODY)
    assert await refusal(people.owner, "POST", f"/users/{me.id}{path}", soon) == (403, NO)
    assert (await refusal(people.stranger, "POST", f"/users/me{path}", soon))[0] == 404
    monkeypatch.setattr(reminders, "REMINDERS_MAX", 0)
    full = (400, "app.post.set_post_reminder.too_many.app_error")
    assert await refusal(me, "POST", f"/users/me{path}", soon) == full


async def test_posts_are_not_scheduled(people: People) -> None:
    refused = (400, "api.scheduled_posts.license_error")
    assert await refusal(people.member, "POST", "/posts/schedule", {}) == refused
    assert await refusal(people.member, "PUT", f"/posts/schedule/{new_id()}", {}) == refused
    assert await refusal(people.member, "DELETE", f"/posts/schedule/{new_id()}") == refused
