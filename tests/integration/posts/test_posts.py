"""Posts by HTTP: what is stored, answered and announced, and what is refused."""

import asyncio
from typing import Any

import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import Announced, react, say
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHAPE = {
    "id", "create_at", "update_at", "edit_at", "delete_at", "is_pinned", "user_id", "channel_id", "root_id",
    "original_id", "message", "type", "props", "hashtags", "file_ids", "pending_post_id", "has_reactions", "remote_id",
    "reply_count", "last_reply_at", "participants", "metadata",
}  # fmt: skip


async def changes(announced: Announced) -> list[Any]:
    """Return the events since the last time without those of threads, which come when they do."""
    return [one for one in await announced.events() if one["event"] != "thread_updated"]


async def test_a_post_is_answered_stored_and_announced(people: People, announced: Announced) -> None:
    channel = people.channel["id"]
    pending = f"{people.member.id}:1"
    post = await say(people.member, channel, "hello #Tide and #x", pending_post_id=pending, props={"a": [1]})
    assert post.keys() == SHAPE
    assert post["pending_post_id"] == pending and post["hashtags"] == "#Tide" and post["metadata"] == {}
    assert post["create_at"] == post["update_at"] and post["user_id"] == people.member.id
    stored = await people.owner.get(f"/posts/{post['id']}")
    assert stored == {**post, "pending_post_id": ""}
    [event] = await changes(announced)
    assert event["event"] == "posted"
    assert event["broadcast"]["channel_id"] == channel
    assert event["data"] == {
        "channel_type": "O",
        "channel_display_name": "Harbour",
        "channel_name": "harbour",
        "sender_name": "@member",
        "team_id": people.team["id"],
        "set_online": True,
        "post": post,
    }
    assert (await people.member.post("/posts?set_online=false", {"channel_id": channel, "message": "x"}))[
        "id"
    ]
    assert not (await changes(announced))[0]["data"]["set_online"]


async def test_the_author_has_read_what_he_answers_to(people: People) -> None:
    channel, me = people.channel["id"], people.member
    before = await me.get(f"/channels/{channel}/members/me")
    root = await say(people.owner, channel)
    mine = await say(me, channel)
    after = await me.get(f"/channels/{channel}/members/me")
    row = await me.get(f"/channels/{channel}")
    assert after["msg_count"] == row["total_msg_count"] == before["msg_count"] + 2
    assert after["last_viewed_at"] == mine["create_at"] == row["last_post_at"]
    # A reply marks its thread as read, not the channel.
    await say(people.owner, channel)
    await say(me, channel, root_id=root["id"])
    again = await me.get(f"/channels/{channel}/members/me")
    row = await me.get(f"/channels/{channel}")
    assert (again["msg_count"], row["total_msg_count"] - again["msg_count"]) == (after["msg_count"], 2)
    assert row["total_msg_count_root"] - again["msg_count_root"] == 1


async def test_a_direct_message_mentions_the_other(people: People, announced: Announced) -> None:
    one, two = people.member, people.owner
    channel = await one.post("/channels/direct", [one.id, two.id])
    await announced.copies()
    await say(one, channel["id"], "psst")
    copies = await announced.copies()
    assert [copy.mentions for copy in copies] == [[two.id]]
    assert b'"channel_display_name":"@member"' in copies[0].body
    unread = await two.get(f"/users/me/channels/{channel['id']}/unread")
    assert (unread["msg_count"], unread["mention_count"], unread["mention_count_root"]) == (1, 1, 1)
    await say(two, channel["id"], "yes?")
    assert (await two.get(f"/channels/{channel['id']}/members/me"))["mention_count"] == 0
    group = await one.post("/channels/group", [two.id, people.teammate.id])
    await announced.copies()
    await say(one, group["id"], "all")
    assert sorted((await announced.copies())[0].mentions) == sorted([two.id, people.teammate.id])


BAD: list[tuple[dict[str, Any], str]] = [
    ({"message": "x" * 16_384}, "model.post.is_valid.message_length.app_error"),
    ({"type": "system_join_channel"}, "api.context.invalid_body_param.app_error"),
    ({"type": "odd"}, "model.post.is_valid.type.app_error"),
    ({"type": "custom_" + "x" * 20}, "api.context.invalid_body_param.app_error"),
    ({"root_id": "x"}, "api.post.create_post.root_id.app_error"),
    ({"root_id": "a" * 26}, "api.post.create_post.root_id.app_error"),
    ({"file_ids": ["a"]}, "api.context.invalid_body_param.app_error"),
    ({"pending_post_id": "x" * 65}, "api.context.invalid_body_param.app_error"),
    ({"channel_id": ""}, "api.context.invalid_body_param.app_error"),
    ({"message": 5}, "api.context.invalid_body_param.app_error"),
    ({"message": "a\0b"}, "api.context.invalid_body_param.app_error"),
    ({"props": []}, "api.context.invalid_body_param.app_error"),
]


async def test_bad_posts_are_refused(people: People) -> None:
    body = {"channel_id": people.channel["id"], "message": "hi"}
    for members, error in BAD:
        answer = await people.member.post("/posts", {**body, **members}, expect=400)
        assert answer["id"] == error, members
    await people.member.post("/posts", {**body, "message": "x" * 16_383, "props": {"a": "x" * 250_000}})


async def test_who_may_post_where(people: People) -> None:
    body = {"channel_id": people.channel["id"], "message": "hi"}
    assert (await people.anonymous.post("/posts", body, expect=401))[
        "id"
    ] == "api.context.session_expired.app_error"
    for who in (people.teammate, people.stranger):
        assert (await who.post("/posts", body, expect=403))["id"] == "api.context.permissions.app_error"
    await people.admin.post("/posts", body, expect=201)
    await people.member.post("/posts", {**body, "channel_id": new_id()}, expect=403)
    attic = await people.owner.new_channel(people.team["id"], "attic", "P", people.member)
    await people.owner.delete(f"/channels/{attic['id']}")
    gone = await people.member.post("/posts", {**body, "channel_id": attic["id"]}, expect=400)
    assert gone["id"] == "api.post.create_post.can_not_post_to_deleted.error"


async def test_roles_may_post_in_public_channels_without_joining(people: People) -> None:
    clerk = await people.api.user("clerk")
    public = {"channel_id": people.channel["id"], "message": "hi"}
    private = {**public, "channel_id": people.private["id"]}
    await clerk.post("/posts", public, expect=403)
    await people.admin.put(f"/users/{clerk.id}/roles", {"roles": "system_user system_post_all_public"})
    clerk = await people.api.anonymous().log_in("clerk")
    made = await clerk.post("/posts", public, expect=201)
    assert (await people.owner.get(f"/posts/{made['id']}"))["user_id"] == clerk.id
    await clerk.post("/drafts", public, expect=201)
    direct = await people.owner.post("/channels/direct", [people.owner.id, people.member.id])
    for body in (private, {**private, "channel_id": direct["id"]}, {**private, "channel_id": new_id()}):
        await clerk.post("/posts", body, expect=403)
        await clerk.post("/drafts", body, expect=403)
    await people.admin.put(f"/users/{clerk.id}/roles", {"roles": "system_user system_post_all"})
    clerk = await people.api.anonymous().log_in("clerk")
    await clerk.post("/posts", private, expect=201)


async def test_text_about_nul_is_text(people: People) -> None:
    for text in ("\\u0000", "\\\\u0000 is two backslashes"):
        assert (await say(people.member, people.channel["id"], text))["message"] == text


async def test_an_unchanged_post_is_not_sent_again(people: People) -> None:
    me, channel = people.member, people.channel["id"]
    root = await say(me, channel)
    replies = [await say(me, channel, root_id=root["id"]) for _ in range(2)]
    url, known = f"/posts/{root['id']}", {"If-None-Match": ""}

    async def look() -> tuple[int, int]:
        answer = await me.request("GET", url, headers=known)
        known["If-None-Match"] = answer.headers["ETag"]
        return answer.status_code, answer.json()["reply_count"] if answer.content else -1

    assert (await look(), await look()) == ((200, 2), (304, -1))
    await me.delete(f"/posts/{replies[0]['id']}")
    assert (await look(), await look()) == ((200, 1), (304, -1))


async def test_nobody_speaks_for_others(people: People) -> None:
    """Security case C5: the server's own values win."""
    forged: dict[str, Any] = {
        "id": new_id(), "user_id": people.owner.id, "create_at": 5, "update_at": 5, "edit_at": 5, "delete_at": 5,
        "is_pinned": True, "reply_count": 9, "has_reactions": True, "original_id": new_id(), "hashtags": "#x",
        "metadata": {"embeds": [{"type": "permalink"}], "reactions": [{}], "acknowledgements": [{}]},
        "props": {"from_webhook": "true", "override_username": "boss", "previewed_post": new_id(), "mine": 1},
    }  # fmt: skip
    post = await say(people.member, people.channel["id"], **forged)
    assert post["user_id"] == people.member.id and post["id"] != forged["id"] and post["create_at"] > 5
    assert (
        not post["is_pinned"] and not post["delete_at"] and not post["edit_at"] and not post["has_reactions"]
    )
    assert (post["props"], post["metadata"], post["reply_count"], post["hashtags"]) == (
        {"mine": 1},
        {},
        0,
        "",
    )
    patched = await people.member.put(f"/posts/{post['id']}/patch", forged)
    assert patched["props"] == {"mine": 1} and patched["user_id"] == people.member.id
    assert patched["create_at"] == post["create_at"] and patched["metadata"] == {}


async def test_a_root_is_a_live_root_of_the_same_channel(people: People) -> None:
    channel = people.channel["id"]
    root = await say(people.member, channel)
    reply = await say(people.member, channel, root_id=root["id"])
    elsewhere = await say(people.member, people.private["id"])
    bad = [reply["id"], elsewhere["id"]]
    await people.member.delete(f"/posts/{root['id']}")
    for root_id in (*bad, root["id"], root["id"]):
        body = {"channel_id": channel, "message": "re", "root_id": root_id}
        answer = await people.member.post("/posts", body, expect=400)
        assert answer["id"] == "api.post.create_post.root_id.app_error"


async def test_a_repeated_pending_id_returns_the_first_post(people: People, announced: Announced) -> None:
    body = {"channel_id": people.channel["id"], "message": "once", "pending_post_id": "p:1"}
    answers = await asyncio.gather(*[people.member.post("/posts", body, expect=201) for _ in range(10)])
    assert all(answer == answers[0] for answer in answers)
    assert len(await changes(announced)) == 1
    assert (await people.owner.post("/posts", body))["id"] != answers[0]["id"]


async def test_an_edit_keeps_the_old_version(people: People, announced: Announced) -> None:
    post = await say(people.member, people.channel["id"], "helo #one")
    await changes(announced)
    draft = {
        "message": "hello #two",
        "fileInfos": [],
        "uploadsInProgress": [],
        "channelId": "x",
        "props": {"b": 2},
    }
    edited = await people.member.put(f"/posts/{post['id']}/patch", draft)
    assert (edited["message"], edited["hashtags"], edited["props"]) == ("hello #two", "#two", {"b": 2})
    assert edited["edit_at"] == edited["update_at"] > post["update_at"]
    [event] = await changes(announced)
    assert event["event"] == "post_edited" and event["data"]["post"] == edited
    old = await announced.db.fetchrow("SELECT * FROM posts WHERE original_id = $1", post["id"])
    assert old is not None and old["message"] == "helo #one" and old["delete_at"] == edited["update_at"]
    listed = await people.member.get(f"/channels/{people.channel['id']}/posts")
    assert old["id"] not in listed["posts"] and listed["posts"][post["id"]] == edited
    since = await people.member.get(f"/channels/{people.channel['id']}/posts?since=1")
    assert old["id"] not in since["posts"]
    await people.member.get(f"/posts/{old['id']}", expect=404)
    # A change of anything else is no edit.
    pinned = await people.member.put(f"/posts/{post['id']}", {"id": post["id"], "is_pinned": True})
    assert pinned["edit_at"] == edited["edit_at"] < pinned["update_at"] and pinned["is_pinned"]
    assert (await changes(announced))[0]["data"]["post"]["is_pinned"]


async def test_who_may_edit_what(people: People) -> None:
    post = await say(people.member, people.channel["id"])
    path = f"/posts/{post['id']}/patch"
    await people.owner.put(path, {"message": "x"}, expect=403)
    await people.stranger.put(path, {"message": "x"}, expect=404)
    await people.member.put(path, {"message": "x" * 16_384}, expect=400)
    await people.member.put(path, {"message": 1}, expect=400)
    await people.member.put(path, [], expect=400)
    await people.member.put(f"/posts/{post['id']}", {"id": new_id(), "message": "x"}, expect=400)
    await people.member.put("/posts/short/patch", {"message": "x"}, expect=400)
    await people.member.put(f"/posts/{new_id()}/patch", {"message": "x"}, expect=404)
    assert (await people.admin.put(path, {"message": "x"}))["user_id"] == people.member.id
    joined = next(
        p
        for p in (await people.owner.get(f"/channels/{people.channel['id']}/posts"))["posts"].values()
        if p["type"]
    )
    await people.admin.put(f"/posts/{joined['id']}/patch", {"message": "x"}, expect=400)


async def test_a_deleted_post_leaves_a_blank(people: People, announced: Announced) -> None:
    channel = people.channel["id"]
    root = await say(people.member, channel, "secret", props={"a": 1})
    reply = await say(people.owner, channel, "too", root_id=root["id"])
    await changes(announced)
    await people.teammate.delete(f"/posts/{root['id']}", expect=403)
    await people.stranger.delete(f"/posts/{root['id']}", expect=404)
    await people.owner.delete(f"/posts/{root['id']}?permanent=true", expect=501)
    assert await people.owner.delete(f"/posts/{root['id']}") == {"status": "OK"}
    plain, full = await changes(announced)
    for event in (plain, full):
        post = event["data"]["post"]
        assert (event["event"], post["id"], post["message"], post["props"]) == (
            "post_deleted",
            root["id"],
            "",
            {},
        )
        assert post["delete_at"] > 0
    assert plain["broadcast"]["contains_sanitized_data"] and "delete_by" not in plain["data"]
    assert full["broadcast"]["contains_sensitive_data"] and full["data"]["delete_by"] == people.owner.id
    await people.member.get(f"/posts/{root['id']}", expect=404)
    await people.member.get(f"/posts/{reply['id']}", expect=404)
    await people.member.get(f"/posts/{root['id']}?include_deleted=true", expect=403)
    assert (await people.admin.get(f"/posts/{root['id']}?include_deleted=true"))["message"] == "secret"
    since = await people.member.get(f"/channels/{channel}/posts?since={root['create_at'] - 1}")
    for post_id in (root["id"], reply["id"]):
        gone = since["posts"][post_id]
        assert gone["delete_at"] and (gone["message"], gone["props"], gone["metadata"]) == ("", {}, {})
    thread = "SELECT reply_count FROM threads WHERE root_id = $1 AND delete_at > 0"
    assert await announced.db.fetchval(thread, root["id"]) == 0


async def test_a_deleted_reply_leaves_a_true_thread(people: People) -> None:
    channel = people.channel["id"]
    root = await say(people.member, channel)
    first = await say(people.member, channel, root_id=root["id"])
    second = await say(people.owner, channel, root_id=root["id"])
    await people.owner.delete(f"/posts/{second['id']}")
    post = await people.member.get(f"/posts/{root['id']}")
    assert (post["reply_count"], post["last_reply_at"]) == (1, first["create_at"])
    assert [user["id"] for user in post["participants"]] == [people.member.id]


async def test_pins(people: People, announced: Announced) -> None:
    post = await say(people.member, people.channel["id"])
    await changes(announced)
    for verb, pinned in (("pin", True), ("unpin", False)):
        assert await people.owner.post(f"/posts/{post['id']}/{verb}") == {"status": "OK"}
        [event] = await changes(announced)
        assert event["event"] == "post_edited" and event["data"]["post"]["is_pinned"] is pinned
        await people.stranger.post(f"/posts/{post['id']}/{verb}", expect=404)
    assert not (await people.owner.get(f"/posts/{post['id']}"))["edit_at"]


async def test_reactions(people: People, announced: Announced) -> None:
    post = await say(people.member, people.channel["id"])
    await changes(announced)
    made = await react(people.owner, post["id"], "+1")
    assert made["channel_id"] == people.channel["id"] and made["create_at"] == made["update_at"] > 0
    [event] = await changes(announced)
    assert (event["event"], event["data"]["reaction"]) == ("reaction_added", made)
    assert await react(people.owner, post["id"], "+1") == made
    assert await changes(announced) == []
    await react(people.member, post["id"], "wave")
    seen = await people.member.get(f"/posts/{post['id']}")
    assert seen["has_reactions"] and seen["update_at"] > post["update_at"]
    reactions = await people.member.get(f"/posts/{post['id']}/reactions")
    assert [r["emoji_name"] for r in reactions] == ["+1", "wave"] and seen["metadata"][
        "reactions"
    ] == reactions
    other = await say(people.member, people.channel["id"])
    foreign = await say(
        people.stranger, (await people.stranger.new_channel(people.other_team["id"], "reef"))["id"]
    )
    ids = [post["id"], other["id"], foreign["id"], new_id()]
    bulk = await people.member.post("/posts/ids/reactions", ids)
    assert bulk == {post["id"]: reactions, other["id"]: []}
    await changes(announced)
    path = f"/posts/{post['id']}/reactions/wave"
    await people.owner.delete(f"/users/{people.member.id}{path}", expect=403)
    assert await people.member.delete(f"/users/me{path}") == {"status": "OK"}
    [event] = await changes(announced)
    assert event["event"] == "reaction_removed" and event["data"]["reaction"]["emoji_name"] == "wave"
    await people.member.delete(f"/users/me{path}")
    assert await changes(announced) == []
    await people.admin.delete(f"/users/{people.owner.id}/posts/{post['id']}/reactions/+1")
    assert not (await people.member.get(f"/posts/{post['id']}"))["has_reactions"]


async def test_bad_reactions_are_refused(people: People) -> None:
    post = await say(people.member, people.channel["id"])
    for emoji in ("", "a b", "x" * 65, "é", "a\n"):
        answer = await react(people.member, post["id"], emoji, expect=400)
        assert answer["id"] == "model.reaction.is_valid.emoji_name.app_error"
    body = {"user_id": people.owner.id, "post_id": post["id"], "emoji_name": "+1"}
    await people.member.post("/reactions", body, expect=403)
    await people.member.post("/reactions", {**body, "post_id": "x"}, expect=400)
    await react(people.stranger, post["id"], "+1", expect=404)
    await react(people.teammate, post["id"], "+1", expect=403)
    unknown = await react(people.member, post["id"], "sea_serpent", expect=404)
    assert unknown["id"] == "app.emoji.get_by_name.no_result"
    body["user_id"] = people.member.id
    many = [f"clock{hour}{half}" for hour in range(1, 13) for half in ("", "30")]
    many += [f"{moon}_moon" for moon in ("new", "waxing_crescent", "waxing_gibbous", "full", "waning_gibbous")]
    many += [f"{hand}_{tone}_skin_tone" for hand in ("wave", "+1", "clap") for tone in ("light", "medium_dark", "dark")]
    many += ["flag-ad", "flag-ae", "flag-af", "andorra", "ca", "heart", "keycap_star", "asterisk", "tada", "eyes"]
    many += ["wave_medium_light_skin_tone", "thumbsup", "hugs", "mattermost", "100", "1st_place_medal", "e-mail", "on"]
    many += ["two_men_holding_hands_dark_skin_tone_light_skin_tone", "non-potable_water", "black_cat", "canada"]
    assert len(many) == 60
    results = await asyncio.gather(
        *[people.member.request("POST", "/reactions", json={**body, "emoji_name": name}) for name in many]
    )
    assert sorted(answer.status_code for answer in results) == [200] * 50 + [400] * 10
    assert len(await people.member.get(f"/posts/{post['id']}/reactions")) == 50


async def test_posts_by_ids(people: People) -> None:
    mine = await say(people.member, people.private["id"])
    open_one = await say(people.member, people.channel["id"])
    wanted = [open_one["id"], mine["id"], new_id()]
    assert await people.member.post("/posts/ids", wanted) == [open_one, mine]
    assert await people.teammate.post("/posts/ids", wanted) == [open_one]
    bodies: list[Any] = [[], {}, [1], [new_id() for _ in range(1001)]]
    for body in bodies:
        answer = await people.member.post("/posts/ids", body, expect=400)
        assert answer["id"] == "api.post.posts_by_ids.invalid_body.request_error"


async def test_one_post_from_many_authors_at_once(people: People) -> None:
    """Security case C7: two hundred of the same change at once end as if done one after another."""
    channel = people.channel["id"]
    before = await people.member.get(f"/channels/{channel}")
    root = await say(people.member, channel)
    await asyncio.gather(
        *[say(people.owner, channel, f"{i}", root_id=root["id"]) for i in range(100)],
        *[people.member.put(f"/posts/{root['id']}/patch", {"message": f"{i}"}) for i in range(100)],
    )
    after = await people.member.get(f"/channels/{channel}")
    assert after["total_msg_count"] - before["total_msg_count"] == 101
    assert (await people.member.get(f"/posts/{root['id']}"))["reply_count"] == 100
