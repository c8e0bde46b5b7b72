"""Channels: making, finding, changing, archiving, and who is in them."""

import asyncio
import json
import time
from hashlib import sha1

import pytest
import redis.asyncio

from tests.fixtures.api import Api, People, new_settings
from tidewire.bus.envelope import decode_copy
from tidewire.bus.redis import EPHEMERAL

BAD = [
    ({"name": ""}, "model.channel.is_valid.1_or_more.app_error"),
    ({"name": "UP"}, "model.channel.is_valid.1_or_more.app_error"),
    ({"name": "a b"}, "model.channel.is_valid.1_or_more.app_error"),
    ({"name": "x" * 65}, "model.channel.is_valid.1_or_more.app_error"),
    ({"type": "D"}, "model.channel.is_valid.type.app_error"),
    ({"type": ""}, "model.channel.is_valid.type.app_error"),
    ({"display_name": "x" * 65}, "model.channel.is_valid.display_name.app_error"),
    ({"header": "x" * 1025}, "model.channel.is_valid.header.app_error"),
    ({"purpose": "x" * 251}, "model.channel.is_valid.purpose.app_error"),
    ({"team_id": "x"}, "api.context.invalid_body_param.app_error"),
    ({"team_id": ""}, "api.context.invalid_body_param.app_error"),
    ({"name": "harbour"}, "store.sql_channel.save_channel.exists.app_error"),
    ({"name": "town-square"}, "store.sql_channel.save_channel.exists.app_error"),
]


async def test_what_a_channel_may_not_be(people: People) -> None:
    good = {"team_id": people.team["id"], "name": "pier", "display_name": "Pier", "type": "O"}
    for change, error_id in BAD:
        answer = await people.owner.post("/channels", {**good, **change}, expect=400)
        assert answer["id"] == error_id, change
    await people.owner.post("/channels", {**good, "team_id": "x" * 26}, expect=403)
    await people.stranger.post("/channels", good, expect=403)
    made = await people.teammate.post(
        "/channels", {**good, "creator_id": people.admin.id, "total_msg_count": 9}
    )
    assert (made["creator_id"], made["total_msg_count"], made["delete_at"]) == (people.teammate.id, 0, 0)
    assert (await people.teammate.get(f"/channels/{made['id']}/members/me"))[
        "roles"
    ] == "channel_user channel_admin"
    posts = (await people.teammate.get(f"/channels/{made['id']}/posts"))["posts"].values()
    assert [post["type"] for post in posts] == ["system_join_channel"]


async def test_the_limit_of_channels_holds_for_many_at_once(database_url: str, redis_url: str) -> None:
    server = Api(new_settings(database_url, redis_url, teams={"max_channels": 5}))
    await server.start()
    try:
        admin = await server.user("admin")
        team = await admin.new_team("terns")
        bodies = [
            {"team_id": team["id"], "name": f"c{i}", "display_name": "C", "type": "O"} for i in range(8)
        ]
        answers = await asyncio.gather(*(admin.request("POST", "/channels", json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [400] * 5
        assert {answer.json()["id"] for answer in answers if answer.status_code == 400} == {
            "store.sql_channel.save_channel.limit.app_error"
        }
    finally:
        await server.stop()


async def test_one_name_is_given_once(people: People) -> None:
    body = {"team_id": people.team["id"], "name": "pier", "display_name": "Pier", "type": "O"}
    answers = await asyncio.gather(*(people.owner.request("POST", "/channels", json=body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 5


async def test_direct_channels(people: People) -> None:
    me, other = people.member, people.stranger
    made = await asyncio.gather(
        *(me.post("/channels/direct", [me.id, other.id], expect=201) for _ in range(5))
    )
    assert len({channel["id"] for channel in made}) == 1
    direct = made[0]
    assert direct["name"] == "__".join(sorted([me.id, other.id]))
    assert (direct["type"], direct["team_id"], direct["display_name"]) == ("D", "", "")
    alone = await me.post("/channels/direct", [me.id, me.id], expect=201)
    assert alone["name"] == f"{me.id}__{me.id}"
    assert len(await me.get(f"/channels/{alone['id']}/members")) == 1
    for body in ([me.id], [me.id, other.id, me.id], [], ["x", me.id], "no", [me.id, 5]):
        await me.post("/channels/direct", body, expect=400)
    await me.post("/channels/direct", [me.id, "x" * 26], expect=400)
    await me.post("/channels/direct", [other.id, people.owner.id], expect=403)
    await people.admin.post("/channels/direct", [other.id, people.owner.id], expect=201)
    await people.owner.get(f"/channels/{direct['id']}", expect=403)


async def test_group_channels(people: People) -> None:
    me, other, third = people.member, people.stranger, people.owner
    group = await me.post("/channels/group", [other.id, third.id], expect=201)
    assert (await other.post("/channels/group", [me.id, third.id, other.id], expect=201))["id"] == group["id"]
    ids = "".join(sorted([me.id, other.id, third.id]))
    assert group["name"] == sha1(ids.encode()).hexdigest()
    assert (group["type"], group["display_name"]) == ("G", "member, owner, stranger")
    too_small = await me.post("/channels/group", [other.id], expect=400)
    assert too_small["id"] == "api.channel.create_group.bad_size.app_error"
    await me.post("/channels/group", [f"{i:026d}" for i in range(8)], expect=400)
    await me.post("/channels/group", [other.id, "x" * 26], expect=400)
    await people.teammate.get(f"/channels/{group['id']}", expect=403)


async def test_finding_channels(people: People) -> None:
    team, opened, hidden = people.team["id"], people.channel, people.private
    by_name = f"/teams/{team}/channels/name/"
    assert (await people.teammate.get(f"/channels/{opened['id']}"))["name"] == "harbour"
    assert (await people.teammate.get(by_name + "HARBOUR"))["id"] == opened["id"]
    assert (await people.member.get("/teams/name/seagulls/channels/name/hidden"))["id"] == hidden["id"]
    for caller in (people.teammate, people.stranger):
        await caller.get(f"/channels/{hidden['id']}", expect=403)
        missing = await caller.get(by_name + "hidden", expect=404)
        assert missing == {**missing, "id": "app.channel.get_by_name.missing.app_error"}
    await people.stranger.get(f"/channels/{opened['id']}", expect=403)
    await people.member.get(by_name + "nothing", expect=404)
    await people.member.get("/channels/" + "x" * 26, expect=404)
    assert [one["name"] for one in await people.teammate.get(f"/teams/{team}/channels")] == [
        "harbour", "off-topic", "town-square",
    ]  # fmt: skip
    await people.stranger.get(f"/teams/{team}/channels", expect=403)
    direct = await people.member.post("/channels/direct", [people.member.id, people.owner.id])
    assert (await people.member.get(by_name + direct["name"]))["id"] == direct["id"]


async def test_my_channels_and_memberships(people: People) -> None:
    me, team = people.member, people.team["id"]
    direct = await me.post("/channels/direct", [me.id, people.stranger.id])
    everything = {channel["id"] for channel in await me.get("/users/me/channels")}
    assert {people.channel["id"], people.private["id"], direct["id"]} < everything
    assert {channel["id"] for channel in await me.get(f"/users/me/teams/{team}/channels")} == everything
    stream = await me.request("GET", "/users/me/channel_members?page=-1&per_page=60")
    assert stream.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in stream.text.splitlines()]
    assert [line["channel_id"] for line in lines] == sorted(everything)
    names = {line["channel_id"]: (line["team_name"], line["team_display_name"]) for line in lines}
    assert names[direct["id"]] == ("", "")
    assert names[people.channel["id"]] == ("seagulls", "Seagulls")
    assert await me.get("/users/me/channel_members?per_page=2") == lines[:2]
    in_team = await me.get(f"/users/me/teams/{team}/channels/members")
    assert {member["channel_id"] for member in in_team} == everything
    assert in_team[0]["notify_props"]["mark_unread"] == "all"
    await people.stranger.get(f"/users/{me.id}/channels", expect=403)
    await people.stranger.get(f"/users/me/teams/{team}/channels", expect=403)
    nobody = await people.api.user("nobody")
    assert await nobody.get("/users/me/channels") == []
    assert (await nobody.request("GET", "/users/me/channel_members?page=-1")).text == ""


async def test_patching(people: People) -> None:
    path = f"/channels/{people.channel['id']}/patch"
    before = await people.member.get(f"/channels/{people.channel['id']}")
    after = await people.member.put(
        path, {"header": "h", "purpose": "p", "display_name": "New", "type": "P", "id": "x"}
    )
    assert (after["header"], after["purpose"], after["display_name"], after["type"]) == ("h", "p", "New", "O")
    assert after["update_at"] > before["update_at"]
    posts = (await people.member.get(f"/channels/{people.channel['id']}/posts"))["posts"].values()
    kinds = {post["type"]: post["props"] for post in posts}
    assert kinds["system_header_change"] == {"username": "member", "old_header": "", "new_header": "h"}
    assert kinds["system_displayname_change"]["new_displayname"] == "New"
    assert "system_purpose_change" in kinds
    cases = [
        ({}, 400, "api.channel.patch_update_channel.no_changes.app_error"),
        ({"header": "x" * 1025}, 400, "model.channel.is_valid.header.app_error"),
        ({"name": "off-topic"}, 400, "store.sql_channel.save_channel.exists.app_error"),
        ({"name": "Not Good"}, 400, "model.channel.is_valid.1_or_more.app_error"),
    ]
    for patch, status, error_id in cases:
        assert (await people.member.put(path, patch, expect=status))["id"] == error_id, patch
    await people.teammate.put(path, {"header": "x"}, expect=403)
    square = await people.owner.get(f"/teams/{people.team['id']}/channels/name/town-square")
    kept = await people.owner.put(f"/channels/{square['id']}/patch", {"name": "other"}, expect=400)
    assert kept["id"] == "api.channel.update_channel.tried.app_error"
    direct = await people.member.post("/channels/direct", [people.member.id, people.owner.id])
    await people.member.put(f"/channels/{direct['id']}/patch", {"header": "ours"})
    await people.member.put(f"/channels/{direct['id']}/patch", {"purpose": "x"}, expect=400)


async def test_archiving(people: People) -> None:
    owner, channel = people.owner, people.channel["id"]
    await people.teammate.delete(f"/channels/{channel}", expect=403)
    assert await people.member.delete(f"/channels/{channel}") == {"status": "OK"}
    again = await people.member.delete(f"/channels/{channel}", expect=400)
    assert again["id"] == "api.channel.delete_channel.deleted.app_error"
    await owner.put(f"/channels/{channel}/patch", {"header": "x"}, expect=400)
    await owner.post("/posts", {"channel_id": channel, "message": "late"}, expect=400)
    await owner.post(f"/channels/{channel}/members", {"user_id": people.teammate.id}, expect=400)
    await owner.delete(f"/channels/{channel}/members/me", expect=400)
    by_name = f"/teams/{people.team['id']}/channels/name/harbour"
    await owner.get(by_name, expect=404)
    assert (await owner.get(by_name + "?include_deleted=true"))["delete_at"] > 0
    mine = {one["id"] for one in await owner.get("/users/me/channels")}
    assert channel not in mine
    assert channel in {one["id"] for one in await owner.get("/users/me/channels?include_deleted=true")}
    square = await owner.get(f"/teams/{people.team['id']}/channels/name/town-square")
    assert (await owner.delete(f"/channels/{square['id']}", expect=400))["id"].endswith("cannot.app_error")
    direct = await owner.post("/channels/direct", [people.member.id, owner.id])
    await owner.delete(f"/channels/{direct['id']}", expect=400)
    await people.stranger.delete(f"/channels/{direct['id']}", expect=403)


async def test_members(people: People) -> None:
    owner, member, teammate = people.owner, people.member, people.teammate
    path = f"/channels/{people.channel['id']}/members"
    # One joins public channels oneself.
    joined = await teammate.post(path, {"user_id": teammate.id}, expect=201)
    assert joined["user_id"] == teammate.id
    assert joined["msg_count"] == (await owner.get(f"/channels/{people.channel['id']}"))["total_msg_count"]
    assert sorted(one["user_id"] for one in await teammate.get(path)) == sorted(
        [owner.id, member.id, teammate.id]
    )
    assert len(await teammate.get(path + "?per_page=2")) == 2
    assert len(await teammate.post(path + "/ids", [owner.id, people.stranger.id])) == 1
    seen = await teammate.get(f"{path}/{owner.id}")
    assert (seen["last_viewed_at"], seen["last_update_at"]) == (-1, -1)
    assert (await owner.get(f"{path}/me"))["last_update_at"] > 0
    # Nobody comes into a private channel by himself.
    hidden = f"/channels/{people.private['id']}/members"
    await teammate.post(hidden, {"user_id": teammate.id}, expect=403)
    await member.post(hidden, {"user_id": teammate.id}, expect=201)
    many = await member.post(path, {"user_ids": [teammate.id, owner.id, people.stranger.id]}, expect=201)
    assert sorted(one["user_id"] for one in many) == sorted([teammate.id, owner.id])
    outsider = await member.post(path, {"user_id": people.stranger.id}, expect=404)
    assert outsider["id"] == "app.team.get_member.missing.app_error"
    for body in ({}, {"user_id": "x"}, {"user_ids": []}, {"user_ids": ["x"]}, {"user_id": 3}, []):
        await member.post(path, body, expect=400)
    await people.stranger.post(path, {"user_id": people.stranger.id}, expect=403)
    # Out again.
    await teammate.delete(f"{path}/me")
    await teammate.delete(f"{path}/me", expect=403)
    await teammate.get(path, expect=403)
    missing = await member.delete(f"{path}/{teammate.id}", expect=404)
    assert missing["id"] == "app.channel.get_member.missing.app_error"
    posts = (await member.get(f"/channels/{people.channel['id']}/posts"))["posts"].values()
    assert {"system_join_channel", "system_add_to_channel", "system_leave_channel"} == {
        one["type"] for one in posts
    }
    square = await owner.get(f"/teams/{people.team['id']}/channels/name/town-square")
    await member.delete(f"/channels/{square['id']}/members/me", expect=400)
    direct = await member.post("/channels/direct", [member.id, owner.id])
    await member.post(f"/channels/{direct['id']}/members", {"user_id": teammate.id}, expect=400)
    await member.delete(f"/channels/{direct['id']}/members/me", expect=400)


async def test_viewing_reading_and_counting(people: People) -> None:
    member, channel = people.member, people.channel["id"]
    await people.owner.post("/posts", {"channel_id": channel, "message": "hello"})
    unread = await member.get(f"/users/me/channels/{channel}/unread")
    # The mention says that the member was added.
    assert unread == {
        "team_id": people.team["id"], "channel_id": channel, "msg_count": 1, "mention_count": 1,
        "mention_count_root": 1, "urgent_mention_count": 0, "msg_count_root": 1,
    }  # fmt: skip
    view = {"channel_id": channel, "prev_channel_id": "", "collapsed_threads_supported": True}
    answer = await member.post("/channels/members/me/view", view)
    row = await member.get(f"/channels/{channel}")
    assert answer == {"status": "OK", "last_viewed_at_times": {channel: row["last_post_at"]}}
    mine = await member.get(f"/channels/{channel}/members/me")
    assert (mine["msg_count"], mine["last_viewed_at"]) == (row["total_msg_count"], row["last_post_at"])
    assert (await member.get(f"/users/me/channels/{channel}/unread"))["msg_count"] == 0
    nothing = await member.post("/channels/members/me/view", {"channel_id": ""})
    assert nothing == {"status": "OK", "last_viewed_at_times": {}}
    foreign = await people.stranger.post("/channels/members/me/view", {"channel_id": channel})
    assert foreign["last_viewed_at_times"] == {}
    await member.post("/channels/members/me/view", {"channel_id": "x"}, expect=400)
    await member.post(f"/channels/members/{people.owner.id}/view", view, expect=403)
    stats = await member.get(f"/channels/{channel}/stats?exclude_files_count=true")
    assert stats == {
        "channel_id": channel, "member_count": 2, "guest_count": 0, "pinnedpost_count": 0, "files_count": -1,
    }  # fmt: skip
    await people.stranger.get(f"/channels/{channel}/stats", expect=403)


async def test_each_channel_is_in_one_category(people: People) -> None:
    me, team = people.member, people.team["id"]
    direct = await me.post("/channels/direct", [me.id, people.stranger.id])
    hidden = {"user_id": me.id, "category": "favorite_channel", "name": people.private["id"], "value": "true"}
    await me.put("/users/me/preferences", [hidden])
    found = await me.get(f"/users/me/teams/{team}/channels/categories")
    favorites, channels, directs = found["categories"]
    assert found["order"] == [
        f"{kind}_{me.id}_{team}" for kind in ("favorites", "channels", "direct_messages")
    ]
    assert favorites["channel_ids"] == [people.private["id"]]
    assert directs["channel_ids"] == [direct["id"]]
    everything = {channel["id"] for channel in await me.get("/users/me/channels")}
    assert everything == {*favorites["channel_ids"], *channels["channel_ids"], *directs["channel_ids"]}
    assert (directs["sorting"], directs["sort_order"], directs["type"]) == ("recent", 20, "direct_messages")
    await people.stranger.get(f"/users/me/teams/{team}/channels/categories", expect=403)
    await people.owner.get(f"/users/{me.id}/teams/{team}/channels/categories", expect=403)


async def test_typing_is_ephemeral_and_for_those_who_may_post(people: People) -> None:
    client = redis.asyncio.from_url(people.api.settings.redis.url)
    body = {"channel_id": people.channel["id"], "parent_id": ""}
    try:
        began = time.monotonic()
        for _ in range(3):
            assert await people.member.post("/users/me/typing", body) == {"status": "OK"}
        took_s = time.monotonic() - began
        async with asyncio.timeout(30):
            while not (entries := await client.xrange(EPHEMERAL)):
                await asyncio.sleep(0.01)
    finally:
        await client.aclose()
    # Three within one interval are one; the typist does not hear of himself.
    assert len(entries) <= 1 + took_s * 1000 / people.api.settings.typing.min_interval_ms
    copy = decode_copy(entries[0][1][b"e"])
    assert (copy.channel_id, copy.omit_users, copy.droppable) == (
        people.channel["id"],
        [people.member.id],
        True,
    )
    assert json.loads(copy.body + b"}}")["data"] == {"parent_id": "", "user_id": people.member.id}
    await people.teammate.post("/users/me/typing", body, expect=403)
    await people.owner.post(f"/users/{people.member.id}/typing", body, expect=403)
    for bad in ({}, {"channel_id": "x"}, {**body, "parent_id": "x"}):
        await people.member.post("/users/me/typing", bad, expect=400)


@pytest.mark.parametrize("rounds", [30])
async def test_joining_and_leaving_at_once(people: People, rounds: int) -> None:
    teammate, path = people.teammate, f"/channels/{people.channel['id']}/members"

    async def flip(number: int) -> int:
        if number % 2:
            return (await teammate.request("DELETE", f"{path}/me")).status_code
        return (await teammate.request("POST", path, json={"user_id": teammate.id})).status_code

    statuses = await asyncio.gather(*(flip(number) for number in range(rounds)))
    assert set(statuses) <= {200, 201, 403, 404}
