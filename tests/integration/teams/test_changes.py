"""What a change does beside its answer: rows, system posts, events with their audience, and what it must not do."""

import asyncio
import json
from typing import Any

import pytest

from tests.fixtures.announced import Announced
from tests.fixtures.api import Client
from tests.integration.teams.town import Json, Town
from tidewire.bus.envelope import JoinChannel, JoinTeam, LeaveChannel, LeaveTeam

pytestmark = pytest.mark.asyncio(loop_scope="module")


def events(told: list[Announced]) -> list[tuple[str, str, Json]]:
    """Return (key, event, audience) of everything that was announced."""
    found = []
    for item in told:
        for copy, event in zip(item.copies, item.events, strict=True):
            audience = {"user": copy.user_id, "channel": copy.channel_id, "team": copy.team_id}
            found.append((item.key, event["event"], {key: value for key, value in audience.items() if value}))
    return found


async def system_posts(reader: Client, channel_id: str) -> dict[str, Json]:
    """Return the props of a channel's system posts by type."""
    posts = (await reader.get(f"/channels/{channel_id}/posts?per_page=200"))["posts"].values()
    return {post["type"]: post["props"] for post in posts if post["type"]}


async def test_each_change_of_a_team_tells_the_team_without_secrets(town: Town) -> None:
    team = await town.new_team()
    path, key = f"/teams/{team['id']}", "t:" + team["id"]
    steps: list[tuple[str, str, Any, str]] = [
        ("PUT", "/patch", {"display_name": "New", "allow_open_invite": True, "allowed_domains": "example.org"},
         "update_team"),
        ("PUT", "", {**team, "display_name": "Newer", "email": "x@y.org", "name": "hijacked"}, "update_team"),
        ("PUT", "/privacy", {"privacy": "I"}, "update_team"),
        ("POST", "/regenerate_invite_id", None, "update_team"),
        ("DELETE", "", None, "delete_team"),
        ("POST", "/restore", None, "restore_team"),
    ]  # fmt: skip
    seen = [team["invite_id"]]
    before = team["update_at"]
    for method, rest, body, event in steps:
        _, told = await town.announced_by(town.teamadmin.call(method, path + rest, body))
        assert events(told) == [(key, event, {"team": team["id"]})]
        shown = json.loads(told[0].events[0]["data"]["team"])
        assert (shown["email"], shown["invite_id"]) == ("", "")
        assert told[0].invalidates == ["team:" + team["id"]]
        assert shown["update_at"] > before
        before = shown["update_at"]
        row = await town.teamadmin.get(path)
        assert {**row, "email": "", "invite_id": ""} == shown
        assert (row["name"], row["email"]) == (team["name"], team["email"])
        seen.append(row["invite_id"])
    # The invite id changed when the team was closed, and when that was asked for.
    assert [seen[i] != seen[i - 1] for i in range(1, len(seen))] == [False, False, True, True, False, False]
    assert (await town.member.get(path))["email"] == ""


async def test_an_archived_team_is_left_alone(town: Town) -> None:
    team = await town.new_team()
    await town.teamadmin.delete(f"/teams/{team['id']}")
    assert team["id"] not in [one["id"] for one in await town.member.get("/users/me/teams")]
    body = {"user_id": town.stranger.id}
    assert (await town.teamadmin.post(f"/teams/{team['id']}/members", body, expect=404))[
        "id"
    ] == "app.team.get.find.app_error"
    await town.member.post(f"/teams/members/invite?invite_id={team['invite_id']}", expect=404)
    await town.anonymous.get(f"/teams/invite/{team['invite_id']}", expect=404)
    await town.teamadmin.post(f"/teams/{team['id']}/restore")
    assert team["id"] in [one["id"] for one in await town.member.get("/users/me/teams")]


async def test_a_closed_team_shows_itself_to_nobody(town: Town) -> None:
    team = await town.new_team()
    await town.teamadmin.put(f"/teams/{team['id']}/privacy", {"privacy": "I"})
    invite_id = (await town.teamadmin.get(f"/teams/{team['id']}"))["invite_id"]
    refused = await town.anonymous.get(f"/teams/invite/{invite_id}", expect=403)
    assert refused["id"] == "api.team.get_invite_info.not_open_team"
    assert await town.stranger.get(f"/teams/name/{team['name']}/exists") == {"exists": False}
    assert team["id"] not in [one["id"] for one in await town.stranger.get("/teams?per_page=200")]
    # The link itself still lets people in.
    await town.stranger.post(f"/teams/members/invite?invite_id={invite_id}", expect=201)


async def test_many_at_once_are_one_announcement_each_and_a_fixed_number_of_statements(town: Town) -> None:
    team = await town.new_team()
    accounts = [await town.new_newcomer() for _ in range(5)]
    body = [{"user_id": account["id"]} for account in accounts]
    path = f"/teams/{team['id']}/members/batch"
    answer, told = await town.announced_by(town.teamadmin.post(path, body, expect=201))
    assert [one["user_id"] for one in answer] == [account["id"] for account in accounts]
    joined = sorted(account["id"] for account in accounts)
    assert [item.effects for item in told if item.key == "t:" + team["id"]] == [
        [JoinTeam(user_id, team["id"])] for user_id in joined
    ]
    channels = {item.key for item in told if item.key.startswith("c:")}
    assert len(channels) == 2
    for key in channels:
        mine = [item for item in told if item.key == key]
        assert [item.effects for item in mine] == [[JoinChannel(user_id, key[2:])] for user_id in joined]
        for item in mine:
            assert [event["event"] for event in item.events] == ["user_added", "user_added"]
    # Each was welcomed once, and those who were members are answered and not told again.
    again, told = await town.announced_by(town.teamadmin.post(path, body, expect=201))
    assert (again, told) == (answer, [])


async def test_graceful_additions_say_what_was_wrong_with_whom(town: Town) -> None:
    team = await town.new_team()
    ids = [town.stranger.id, town.gone.id, "x" * 26]
    body = [{"user_id": user_id} for user_id in ids]
    found = await town.teamadmin.post(f"/teams/{team['id']}/members/batch?graceful=true", body, expect=201)
    assert [(one["user_id"], (one["error"] or {}).get("id"), bool(one["member"])) for one in found] == [
        (town.stranger.id, None, True),
        (town.gone.id, "api.team.add_members.error", False),
        ("x" * 26, "api.team.user.missing_account", False),
    ]
    assert found[1]["error"]["status_code"] == 400


async def test_allowed_domains_and_guests(town: Town) -> None:
    team = await town.new_team()
    await town.teamadmin.put(f"/teams/{team['id']}/patch", {"allowed_domains": "elsewhere.org, @other.org"})
    body = {"user_id": town.stranger.id}
    refused = await town.teamadmin.post(f"/teams/{team['id']}/members", body, expect=400)
    assert refused["id"] == "api.team.join_user_to_team.allowed_domains.app_error"
    refused = await town.stranger.post(f"/teams/members/invite?invite_id={team['invite_id']}", expect=400)
    assert refused["id"] == "api.team.join_user_to_team.allowed_domains.app_error"
    # Guests come by those who may invite guests, and into no default channel.
    other = await town.teamadmin.new_team(f"guests{town.number()}")
    guest = {"user_id": town.guest.id}
    await town.teamadmin.post(f"/teams/{other['id']}/members", guest, expect=403)
    added = await town.admin.post(f"/teams/{other['id']}/members", guest, expect=201)
    assert (added["roles"], added["scheme_guest"], added["scheme_user"]) == ("team_guest", True, False)
    rows = await town.guest.get("/users/me/channels")
    assert other["id"] not in [row["team_id"] for row in rows]
    # In one channel as a guest; out of the last one is out of the team.
    channel = await town.teamadmin.new_channel(other["id"], "only")
    member = await town.teamadmin.post(f"/channels/{channel['id']}/members", guest, expect=201)
    assert (member["roles"], member["scheme_guest"]) == ("channel_guest", True)
    assert "system_add_guest_to_chan" in await system_posts(town.teamadmin, channel["id"])
    _, told = await town.announced_by(town.guest.delete(f"/channels/{channel['id']}/members/me"))
    effects = [effect for item in told for effect in item.effects]
    assert effects == [LeaveChannel(town.guest.id, channel["id"]), LeaveTeam(town.guest.id, other["id"])]
    assert other["id"] not in [one["id"] for one in await town.guest.get("/users/me/teams")]


async def test_roles_are_told_to_the_member_and_work_at_once(town: Town) -> None:
    team = await town.new_team()
    path = f"/teams/{team['id']}/members/{town.member.id}"
    _, told = await town.announced_by(
        town.teamadmin.put(path + "/roles", {"roles": "team_user team_admin team_post_all"})
    )
    assert events(told) == [("t:" + team["id"], "memberrole_updated", {"user": town.member.id})]
    row = await town.member.get(path)
    assert json.loads(told[0].events[0]["data"]["member"]) == row
    assert (row["explicit_roles"], row["scheme_admin"], row["roles"]) == (
        "team_post_all", True, "team_post_all team_user team_admin",
    )  # fmt: skip
    await town.member.put(f"/teams/{team['id']}/patch", {"description": "mine now"})
    await town.teamadmin.put(path + "/schemeRoles", {"scheme_user": True, "scheme_admin": False})
    await town.member.put(f"/teams/{team['id']}/patch", {"description": "no more"}, expect=403)
    assert (await town.member.get(path))["explicit_roles"] == "team_post_all"
    # In a channel too.
    channel = await town.new_channel()
    path = f"/channels/{channel['id']}/members/{town.member.id}"
    body = {"scheme_user": True, "scheme_admin": True}
    _, told = await town.announced_by(town.chanadmin.put(path + "/schemeRoles", body))
    assert events(told) == [("c:" + channel["id"], "channel_member_updated", {"user": town.member.id})]
    assert json.loads(told[0].events[0]["data"]["channelMember"]) == await town.member.get(path)
    await town.member.put(
        path.replace(town.member.id, town.bot.id) + "/roles", {"roles": "channel_user channel_admin"}
    )
    await town.chanadmin.put(path + "/roles", {"roles": "channel_user"})
    await town.member.put(path + "/roles", {"roles": "channel_user channel_admin"}, expect=403)


async def test_mass_assignment_changes_nothing(town: Town) -> None:
    """Security case C4: what a body may not say is ignored."""
    evil = {
        "id": "x" * 26, "user_id": town.member.id, "create_at": 1, "delete_at": 1, "update_at": 1, "creator_id": "x",
        "invite_id": "x" * 26, "group_constrained": True, "scheme_id": "x", "policy_id": "x", "roles": "system_admin",
        "total_msg_count": 9, "shared": True, "team_id": town.ids["other_team"], "props": {"a": 1}, "email": "e@e.org",
        "scheme_admin": True, "explicit_roles": "system_admin", "type": "O", "last_post_at": 99,
    }  # fmt: skip
    team = await town.new_team()
    changed = await town.teamadmin.put(f"/teams/{team['id']}/patch", {**evil, "description": "d"})
    assert {**changed, "update_at": 0, "description": ""} == {**team, "update_at": 0}
    channel = await town.new_channel()
    before = await town.member.get(f"/channels/{channel['id']}")
    after = await town.member.put(f"/channels/{channel['id']}/patch", {**evil, "header": "h"})
    assert {**after, "header": "", "update_at": 0} == {**before, "update_at": 0, "header": ""}
    body = {**evil, "team_id": team["id"], "user_id": town.stranger.id}
    added = await town.member.post(f"/teams/{team['id']}/members", body, expect=201)
    assert (added["roles"], added["delete_at"]) == ("team_user", 0)
    made = await town.member.post(
        "/channels",
        {**evil, "team_id": team["id"], "name": f"evil{town.number()}", "display_name": "E"},
        expect=201,
    )
    assert (made["creator_id"], made["delete_at"], made["props"]) == (town.member.id, 0, {})


async def test_restoring_a_channel(town: Town) -> None:
    for kind in ("O", "P"):
        channel = await town.new_channel(kind=kind)
        path = f"/channels/{channel['id']}"
        await town.chanadmin.delete(path)
        team = town.ids["team"]
        assert channel["id"] not in [one["id"] for one in await town.member.get("/users/me/channels")]
        gone = await town.member.get(f"/teams/{team}/channels/deleted?per_page=200")
        assert channel["id"] in [one["id"] for one in gone]
        others = await town.teammate.get(f"/teams/{team}/channels/deleted?per_page=200")
        assert (channel["id"] in [one["id"] for one in others]) == (kind == "O")
        row, told = await town.announced_by(town.teamadmin.post(path + "/restore"))
        assert row["delete_at"] == 0
        audience = {"team": team} if kind == "O" else {"channel": channel["id"]}
        key = ("t:" + team) if kind == "O" else ("c:" + channel["id"])
        assert events(told) == [(key, "channel_restored", audience)]
        assert told[0].events[0]["data"] == {"channel_id": channel["id"]}
        assert "system_channel_restored" in await system_posts(town.member, channel["id"])


async def test_archived_channels_since_a_time(town: Town) -> None:
    channel = await town.new_archived()
    gone = (await town.member.get(f"/channels/{channel['id']}"))["delete_at"]
    for path in ("/users/me/channels", f"/users/me/teams/{town.ids['team']}/channels"):
        for query, found in (
            ("", False),
            ("?last_delete_at=0", False),
            ("?include_deleted=true", True),
            (f"?include_deleted=true&last_delete_at={gone}", True),
            (f"?include_deleted=true&last_delete_at={gone + 1}", False),
            ("?include_deleted=true&last_delete_at=nonsense", True),
        ):
            ids = [one["id"] for one in await town.member.get(path + query)]
            assert (channel["id"] in ids) == found, query


async def test_privacy_of_a_channel(town: Town) -> None:
    channel, team = await town.new_channel(), town.ids["team"]
    path = f"/channels/{channel['id']}"
    row, told = await town.announced_by(town.teamadmin.put(path + "/privacy", {"privacy": "P"}))
    assert row["type"] == "P"
    assert sorted(events(told)) == [
        ("c:" + channel["id"], "channel_updated", {"channel": channel["id"]}),
        ("t:" + team, "channel_converted", {"team": team}),
    ]
    await town.teammate.get(path, expect=403)
    _, told = await town.announced_by(town.admin.put(path + "/privacy", {"privacy": "O"}))
    assert [event for _, event, _ in events(told)] == ["channel_updated"]
    await town.teammate.get(path)
    props = (await system_posts(town.member, channel["id"]))["system_change_chan_privacy"]
    assert props["username"] in ("teamadmin", "admin")


async def test_moving_a_channel(town: Town) -> None:
    target = await town.new_team()
    channel = await town.new_channel()
    newcomer = await town.new_newcomer()
    await town.chanadmin.post(f"/channels/{channel['id']}/members", {"user_id": newcomer["id"]}, expect=201)
    path = f"/channels/{channel['id']}"
    sidebar = f"/users/me/teams/{town.ids['team']}/channels/categories"
    await town.member.post(sidebar, {"display_name": "Moving", "channel_ids": [channel["id"]]}, expect=200)
    refused = await town.admin.post(path + "/move", {"team_id": target["id"]}, expect=400)
    assert refused["id"] == "app.channel.move_channel.members_do_not_match.error"
    row, told = await town.announced_by(
        town.admin.post(path + "/move", {"team_id": target["id"], "force": True})
    )
    assert row["team_id"] == target["id"]
    assert {key for key, _, _ in events(told)} == {"c:" + channel["id"]}
    assert [effect for item in told for effect in item.effects] == [
        LeaveChannel(newcomer["id"], channel["id"])
    ]
    names = [event for _, event, _ in events(told)]
    assert names[:3] == ["user_removed", "user_removed", "channel_updated"]
    assert set(names[3:]) == {"sidebar_category_updated"}
    assert len(names[3:]) == 4 + 0  # guest, member, bot, chanadmin
    for team_id, here in ((town.ids["team"], False), (target["id"], True)):
        found = await town.member.get(f"/users/me/teams/{team_id}/channels/categories")
        placed = [one for category in found["categories"] for one in category["channel_ids"]]
        assert (channel["id"] in placed) == here
    assert "system_move_channel" in await system_posts(town.member, channel["id"])


async def test_a_group_channel_becomes_a_private_one(town: Town) -> None:
    accounts = [await town.new_newcomer() for _ in range(2)]
    ids = [account["id"] for account in accounts]
    group = await town.member.post("/channels/group", ids, expect=201)
    path = f"/channels/{group['id']}"
    assert [team["id"] for team in await town.member.get(path + "/common_teams")] == [town.ids["team"]]
    body = {
        "channel_id": group["id"], "team_id": town.ids["team"], "name": f"once-group{town.number()}",
        "display_name": "Once a group",
    }  # fmt: skip
    row, told = await town.announced_by(town.member.post(path + "/convert_to_channel", body))
    assert (row["type"], row["team_id"], row["name"]) == ("P", town.ids["team"], body["name"])
    assert [event for _, event, _ in events(told)] == ["channel_updated"] + ["sidebar_category_updated"] * 3
    props = (await system_posts(town.member, group["id"]))["system_gm_to_channel"]
    assert sorted(props["gmMembersDuringConversionIDs"]) == sorted([*ids, town.member.id])
    assert (await town.member.get(path + "/members/me"))["roles"] == "channel_user"
    await town.member.post(path + "/convert_to_channel", body, expect=400)
    # One who is not in the team stands in the way.
    second = await town.member.post("/channels/group", [ids[0], town.stranger.id], expect=201)
    assert await town.member.get(f"/channels/{second['id']}/common_teams") == []
    body["channel_id"] = second["id"]
    await town.member.post(f"/channels/{second['id']}/convert_to_channel", body, expect=400)


async def test_additions_can_be_told_in_a_thread(town: Town) -> None:
    channel = await town.new_channel()
    root = await town.member.post("/posts", {"channel_id": channel["id"], "message": "root"}, expect=201)
    newcomer = await town.new_newcomer()
    body = {"user_id": newcomer["id"], "post_root_id": root["id"]}
    await town.member.post(f"/channels/{channel['id']}/members", body, expect=201)
    thread = await town.member.get(f"/posts/{root['id']}/thread")
    assert [post["type"] for post in thread["posts"].values() if post["root_id"]] == ["system_add_to_channel"]
    other = await town.new_channel()
    await town.member.post(f"/channels/{other['id']}/members", body, expect=400)


async def test_notify_props_change_what_they_name(town: Town) -> None:
    channel = await town.new_channel()
    path = f"/channels/{channel['id']}/members/{town.member.id}"
    before = (await town.member.get(path))["notify_props"]
    body = {"mark_unread": "mention", "user_id": town.bot.id, "channel_id": "x", "nonsense": "x"}
    _, told = await town.announced_by(town.member.put(path + "/notify_props", body))
    row = await town.member.get(path)
    assert row["notify_props"] == {**before, "mark_unread": "mention"}
    assert events(told) == [("c:" + channel["id"], "channel_member_updated", {"user": town.member.id})]
    assert json.loads(told[0].events[0]["data"]["channelMember"]) == row


async def test_lists_and_searches_never_show_what_one_may_not_know(town: Town) -> None:
    n = town.number()
    secret = await town.new_channel(f"secretword{n}", "P")
    team = town.ids["team"]
    for caller, found in ((town.teammate, False), (town.stranger, False), (town.member, True)):
        for path in ("autocomplete", "search_autocomplete"):
            answer = await caller.request("GET", f"/teams/{team}/channels/{path}?name=secretword{n}")
            ids = [one["id"] for one in answer.json()] if answer.status_code == 200 else []
            assert (secret["id"] in ids) == found, (path, caller.me["username"])
        everywhere = await caller.post(
            "/channels/search?system_console=false", {"term": "secretw"}, expect=200
        )
        assert (secret["id"] in [one["id"] for one in everywhere]) == found
    assert (
        await town.teammate.post(f"/teams/{team}/channels/search", {"term": f"secretword{n}"}, expect=200)
        == []
    )
    mine = await town.guest.post(f"/teams/{team}/channels/search", {"term": f"secretword{n}"}, expect=200)
    assert [one["id"] for one in mine] == [secret["id"]]
    by_admin = await town.admin.post(
        "/channels/search", {"term": f"secretword{n}", "page": 0, "per_page": 9}, expect=200
    )
    assert (by_admin["channels"][0]["team_name"], by_admin["total_count"]) == ("home", 1)
    page_7 = {"term": f"secretword{n}", "page": 7, "per_page": 9}
    beyond = await town.admin.post("/channels/search", page_7, expect=200)
    assert beyond == {"channels": [], "total_count": 1}
    by_id = {"term": secret["id"], "include_search_by_id": True}
    assert [one["id"] for one in await town.admin.post("/channels/search", by_id, expect=200)] == [
        secret["id"]
    ]
    public_only = {"term": f"secretword{n}", "public": True}
    assert await town.admin.post("/channels/search", public_only, expect=200) == []


async def test_terms_find_the_beginnings_of_words_only_and_mean_themselves(town: Town) -> None:
    n, team = town.number(), town.ids["team"]
    body = {"team_id": team, "name": f"plan-{n}", "display_name": "Größe 50% of_all", "type": "O"}
    made = await town.member.post("/channels", body, expect=201)

    async def found(term: str) -> bool:
        rows = await town.member.post(f"/teams/{team}/channels/search", {"term": term}, expect=200)
        return made["id"] in [row["id"] for row in rows]

    for term in ("grö", f"PLAN {n}", "50", "50%", "of_all", "all größe", f"plan-{n}"):
        assert await found(term), term
    for term in ("röße", "lan", "'", "%", "_", "\\", "plan nothing", "' | 'x", "a & b | !c", ":*"):
        assert not await found(term), term
    # Paging limits: at most 200, at least none, the default for nonsense.
    assert len(await town.member.get(f"/teams/{team}/channels?per_page=1")) == 1
    assert await town.member.get(f"/teams/{team}/channels?page=1000&per_page=9999") == []
    assert len(await town.member.get(f"/teams/{team}/channels?page=x&per_page=-1")) > 1


async def test_channels_that_a_header_names(town: Town) -> None:
    channel, team = await town.new_channel(), town.ids["team"]
    header = {"header": "see ~harbour, ~hidden, ~nothing, a~square and ~TOWN-SQUARE"}
    row, told = await town.announced_by(town.member.put(f"/channels/{channel['id']}/patch", header))
    expected = {
        "harbour": {"display_name": "Harbour", "team_name": "home"},
        "town-square": {"display_name": "Town Square", "team_name": "home"},
    }
    assert row["props"] == {"channel_mentions": expected}
    assert json.loads(told[0].events[0]["data"]["channel"]) == row
    for path in (f"/channels/{channel['id']}", f"/teams/{team}/channels/name/{channel['name']}"):
        assert (await town.member.get(path))["props"] == row["props"]
    mine = {one["id"]: one for one in await town.member.get("/users/me/channels")}
    assert mine[channel["id"]]["props"] == row["props"]
    assert mine[town.ids["channel"]]["props"] == {}


async def test_what_waits_in_a_team(town: Town) -> None:
    team = await town.new_team()
    channel = await town.new_channel(team_id=team["id"])
    # Having been added mentions one; all of that is seen.
    mine = [one["id"] for one in await town.member.get("/users/me/channels") if one["team_id"] == team["id"]]
    for channel_id in mine:
        await town.member.post("/channels/members/me/view", {"channel_id": channel_id})
    say = {"channel_id": channel["id"], "message": "hello @member"}
    root = await town.chanadmin.post("/posts", say, expect=201)
    reply = {"channel_id": channel["id"], "message": "again @member", "root_id": root["id"]}
    await town.chanadmin.post("/posts", reply, expect=201)

    async def waiting(query: str = "") -> Json:
        rows = await town.member.get("/users/me/teams/unread" + query)
        found: Json = next(row for row in rows if row["team_id"] == team["id"])
        return {name: value for name, value in found.items() if value and name != "team_id"}

    counts = {"msg_count": 2, "msg_count_root": 1, "mention_count": 2, "mention_count_root": 1}
    assert await waiting() == counts
    assert await town.member.get(f"/users/me/teams/{team['id']}/unread") == {
        "team_id": team["id"], **counts, "thread_count": 0, "thread_mention_count": 0, "thread_urgent_mention_count": 0,
    }  # fmt: skip
    assert await waiting("?include_collapsed_threads=true") == {
        "msg_count": 1, "msg_count_root": 1, "mention_count": 1, "mention_count_root": 1, "thread_count": 1,
        "thread_mention_count": 1,
    }  # fmt: skip
    rows = await town.member.get("/users/me/teams/unread?exclude_team=" + team["id"])
    assert team["id"] not in [row["team_id"] for row in rows]
    # Messages of a muted channel do not wait, mentions do.
    path = f"/channels/{channel['id']}/members/me/notify_props"
    await town.member.put(path, {"mark_unread": "mention"})
    assert await waiting() == {"mention_count": 2, "mention_count_root": 1}


async def test_one_who_left_learns_nothing_more(town: Town) -> None:
    """Security case C3: ids that one still knows are of no use."""
    account = await town.new_newcomer()
    me = await town.api.anonymous().log_in(account["username"])
    channel = await town.new_channel(kind="P")
    path = f"/channels/{channel['id']}"
    await town.member.post(path + "/members", {"user_id": me.id}, expect=201)
    post = await me.post("/posts", {"channel_id": channel["id"], "message": "pinned"}, expect=201)
    await me.post(f"/posts/{post['id']}/pin")
    root = await town.member.post("/posts", {"channel_id": channel["id"], "message": "a root"}, expect=201)
    answered = {"channel_id": channel["id"], "message": "a reply", "root_id": root["id"]}
    await me.post("/posts", answered, expect=201)
    await town.member.post(
        "/reactions", {"user_id": town.member.id, "post_id": root["id"], "emoji_name": "wave"}, expect=200
    )
    team = town.ids["team"]
    file = await me.request("POST", f"/files?channel_id={channel['id']}&filename=a.txt", content=b"abc")
    file_id = file.json()["file_infos"][0]["id"]
    await me.post("/posts", {"channel_id": channel["id"], "message": "a file", "file_ids": [file_id]}, expect=201)
    saved = {"user_id": me.id, "category": "flagged_post", "name": root["id"], "value": "true"}
    await me.put("/users/me/preferences", [saved])
    draft = {"user_id": me.id, "channel_id": channel["id"], "message": "unsaid"}
    await me.post("/drafts", draft, expect=201)
    await me.put(f"/posts/{post['id']}/patch", {"message": "pinned and edited"})
    thread = f"/users/me/teams/{team}/threads/{root['id']}"
    ways = ("", "?since=1", f"?before={root['id']}", f"?after={post['id']}")
    reads = [path + rest for rest in (
        "", "/stats", "/timezones", "/pinned", "/members", "/members/me", f"/members/{town.member.id}",
        *("/posts" + way for way in ways),
    )] + [
        f"/posts/{root['id']}", f"/posts/{root['id']}/thread", f"/posts/{root['id']}/reactions", thread,
        f"/users/me{path}/posts/unread", f"/users/me{path}/unread", f"/posts/{root['id']}/files/info",
        f"/posts/{root['id']}/info", f"/posts/{post['id']}/edit_history", f"/files/{file_id}/info",
    ]  # fmt: skip
    for read in reads:
        await me.get(read, expect=200)
    assert len(await me.get(f"/users/me/teams/{team}/drafts")) == 1
    assert (await me.get("/users/me/posts/flagged"))["order"] == [root["id"]]
    await me.delete(path + "/members/me")
    for read in reads:
        answer = await me.request("GET", read)
        assert answer.status_code in (403, 404), (read, answer.text)
    await me.post("/channels/stats/member_count", [channel["id"]], expect=403)
    await me.post(path + "/members/ids", [town.member.id], expect=403)
    assert await me.post("/posts/ids", [root["id"]], expect=200) == []
    assert await me.post("/posts/ids/reactions", [root["id"]], expect=200) == {}
    assert (await me.get(f"/users/me/teams/{team}/threads"))["threads"] == []
    assert await me.get(f"/users/me/teams/{team}/drafts") == []
    assert (await me.get("/users/me/posts/flagged"))["order"] == []
    assert (await me.request("GET", f"/files/{file_id}")).status_code == 403  # though he sent it
    for method, acts, body in (
        ("POST", "/drafts", draft),
        ("POST", f"/users/me/posts/{root['id']}/ack", None),
        ("POST", f"/users/me/posts/{root['id']}/reminder", {"target_time": 9_999_999_999}),
        ("DELETE", f"/users/me/posts/{root['id']}/reactions/wave", None),
        ("POST", "/reactions", {"user_id": me.id, "post_id": root["id"], "emoji_name": "wave"}),
        ("POST", "/posts", answered),
        ("PUT", f"/posts/{post['id']}/patch", {"message": "changed"}),
        ("DELETE", f"/posts/{post['id']}", None),
        ("POST", f"/posts/{post['id']}/pin", None),
        ("PUT", thread + "/following", None),
        ("PUT", f"{thread}/read/1", None),
        ("POST", f"/users/me/posts/{root['id']}/set_unread", {"collapsed_threads_supported": True}),
    ):
        answer = await me.request(method, acts, **({} if body is None else {"json": body}))
        assert answer.status_code in (403, 404), (method, acts, answer.text)
    await town.teamadmin.delete(f"/teams/{team}/members/{me.id}")
    reads = (
        f"/teams/{team}", f"/teams/{team}/stats", f"/teams/{team}/members", f"/teams/{team}/channels",
        f"/teams/{team}/channels/deleted", f"/teams/{team}/channels/autocomplete?name=h",
        f"/users/me/teams/{team}/channels", f"/users/me/teams/{team}/channels/members",
        f"/users/me/teams/{team}/channels/categories", f"/users/me/teams/{team}/unread",
        f"/channels/{town.ids['channel']}", f"/channels/{town.ids['square']}/stats",
    )  # fmt: skip
    for read in reads:
        answer = await me.request("GET", read)
        assert answer.status_code in (403, 404), (read, answer.text)
    found = await me.get(f"/teams/{team}/channels/search_autocomplete?name=h")
    assert found == []


async def test_a_cookie_alone_changes_nothing(town: Town) -> None:
    """Security case D4: a writing call by cookie needs the CSRF token, whatever its body's type is."""
    token = town.teamadmin.http.headers["Authorization"].split()[1]
    for method, path, body in (
        ("PUT", f"/teams/{town.ids['team']}/patch", b'{"description":"forged"}'),
        ("DELETE", f"/teams/{town.ids['team']}", b""),
        ("DELETE", f"/channels/{town.ids['channel']}", b""),
        ("POST", f"/teams/{town.ids['team']}/regenerate_invite_id", b""),
        ("PUT", f"/users/me/teams/{town.ids['team']}/channels/categories/order", b"[]"),
    ):
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            headers = {"Cookie": "MMAUTHTOKEN=" + token, "Content-Type": kind, "Origin": "https://evil.example"}
            answer = await town.anonymous.request(method, path, content=body, headers=headers)
            assert answer.status_code == 401, (method, path)
    row = await town.teamadmin.get(f"/teams/{town.ids['team']}")
    assert (row["description"] != "forged", row["delete_at"]) == (True, 0)


async def test_etags(town: Town) -> None:
    for path in (f"/users/me/teams/{town.ids['team']}/channels", f"/channels/{town.ids['channel']}/pinned"):
        first = await town.member.request("GET", path)
        tag = first.headers["ETag"]
        same = await town.member.request("GET", path, headers={"If-None-Match": tag})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
        post = await town.member.post(
            "/posts", {"channel_id": town.ids["channel"], "message": "x"}, expect=201
        )
        await town.member.post(f"/posts/{post['id']}/pin")
        again = await town.member.request("GET", path, headers={"If-None-Match": tag})
        assert again.status_code == 200
        assert again.headers["ETag"] != tag
    pinned = await town.member.get(f"/channels/{town.ids['channel']}/pinned")
    assert pinned["order"][0] == post["id"]
    assert pinned["posts"][post["id"]]["is_pinned"]


async def test_the_stream_of_memberships_comes_in_pieces_and_whole(town: Town) -> None:
    account = await town.new_newcomer()
    me = await town.api.anonymous().log_in(account["username"])
    # More than two pieces, made in the database: the API would take a while.
    await town.sql(
        "INSERT INTO channels (id, create_at, update_at, team_id, type, name) "
        "SELECT 'z' || lpad(n::text, 25, '0'), 1, 1, '', 'G', $1 || n FROM generate_series(1, 1200) n",
        "stream",
    )
    await town.sql(
        "INSERT INTO channel_members (channel_id, user_id) SELECT id, $1 FROM channels WHERE name LIKE 'stream%'",
        me.id,
    )
    try:
        async with me.http.stream("GET", "/api/v4/users/me/channel_members?page=-1") as answer:
            assert answer.headers["content-type"] == "application/x-ndjson"
            assert "content-length" not in answer.headers
            lines = [json.loads(line) async for line in answer.aiter_lines()]
    finally:
        await town.sql("DELETE FROM channel_members WHERE user_id = $1 AND channel_id LIKE 'z%'", me.id)
        await town.sql("DELETE FROM channels WHERE name LIKE 'stream%'")
    ids = [line["channel_id"] for line in lines]
    assert len(ids) == 1202
    assert ids == sorted(set(ids))


async def test_two_hundred_changes_at_once(town: Town) -> None:
    """Security case C7: joining, leaving, roles, redeeming an invite id; as if one after another, and never a 500."""
    team = await town.new_team()
    account = await town.new_newcomer()
    me = await town.api.anonymous().log_in(account["username"])
    path = f"/teams/{team['id']}/members/{me.id}"

    async def act(number: int) -> int:
        calls: list[tuple[Client, str, str, Any]] = [
            (me, "POST", f"/teams/members/invite?invite_id={team['invite_id']}", None),
            (me, "DELETE", path, None),
            (town.teamadmin, "POST", f"/teams/{team['id']}/members", {"user_id": me.id}),
            (town.teamadmin, "PUT", path + "/roles", {"roles": "team_user team_admin"}),
        ]
        caller, method, where, body = calls[number % 4]
        return (await caller.request(method, where, **({} if body is None else {"json": body}))).status_code

    statuses = await asyncio.gather(*(act(number) for number in range(200)))
    # 503: the database's four connections stayed taken for too long.
    assert {200, 201} <= set(statuses) <= {200, 201, 404, 503}, statuses
    await town.teamadmin.post(f"/teams/{team['id']}/members", {"user_id": me.id}, expect=201)
    mine = [one for one in await me.get("/users/me/channels") if one["team_id"] == team["id"]]
    assert len(mine) == 2
    members = await town.teamadmin.get(f"/teams/{team['id']}/members?per_page=200")
    assert [one["user_id"] for one in members].count(me.id) == 1


async def test_pages_of_a_search_need_both_kinds_of_teams(town: Town) -> None:
    """Who may list only one kind of teams gets no pages: 501, as of servers where that is not built."""
    role = await town.admin.get("/roles/name/system_user")
    kept = role["permissions"]
    path, body = f"/roles/{role['id']}/patch", {"term": "h", "page": 0}
    try:
        changed = [name for name in kept if name != "list_public_teams"] + ["list_private_teams"]
        await town.admin.put(path, {"permissions": changed})
        refused = await town.member.post("/teams/search", body, expect=501)
        assert refused["id"] == "api.team.search_teams.pagination_not_implemented.private_team_search"
    finally:
        await town.admin.put(path, {"permissions": kept})
    refused = await town.member.post("/teams/search", body, expect=501)
    assert refused["id"] == "api.team.search_teams.pagination_not_implemented.public_team_search"
