"""What each change announces: key, effects, audience and the words of the event. Source: Mattermost API v4, events."""

import json
from collections.abc import Awaitable
from typing import Any

from tests.fixtures.announced import Announced, announced
from tests.fixtures.api import Api, People
from tidewire.bus.envelope import (
    EndSessions,
    JoinChannel,
    JoinTeam,
    LeaveChannel,
    LeaveTeam,
    Only,
)

SYSTEM_POSTS = ("posted",)


async def during(database_url: str, act: Awaitable[Any]) -> tuple[Any, list[Announced]]:
    """Return (the answer, what was announced meanwhile, without posts)."""
    _, before = await announced(database_url)
    answer = await act
    found, _ = await announced(database_url, after=before)
    return answer, [item for item in found if not any(copy.name in SYSTEM_POSTS for copy in item.copies)]


def broadcast(event: dict[str, Any]) -> dict[str, Any]:
    """Return the broadcast members that are set."""
    return {name: value for name, value in event["broadcast"].items() if value}


async def test_new_user_goes_to_everybody(api: Api, database_url: str) -> None:
    body = {"username": "ann", "email": "ann@example.org", "password": "correct horse"}
    user, found = await during(database_url, api.anonymous().post("/users", body))
    [item] = found
    assert item.key == "u:" + user["id"]
    assert item.copies[0].everyone
    assert item.events == [
        {
            "event": "new_user",
            "data": {"user_id": user["id"]},
            "broadcast": {
                "omit_users": None, "user_id": "", "channel_id": "", "team_id": "", "connection_id": "",
                "omit_connection_id": "",
            },
        }
    ]  # fmt: skip


async def test_user_updated_has_a_copy_for_admins_for_others_and_for_oneself(
    people: People, database_url: str
) -> None:
    me = people.member
    _, found = await during(
        database_url, me.put("/users/me/patch", {"nickname": "Gull", "notify_props": {"email": "false"}})
    )
    [item] = found
    assert item.key == "u:" + me.id
    assert item.invalidates[0] == "user:" + me.id
    admins, others, own = item.events
    assert [copy.only for copy in item.copies] == [Only.ADMINS, Only.NON_ADMINS, Only.ANY]
    assert [copy.everyone for copy in item.copies] == [True, True, False]
    assert broadcast(admins) == {"omit_users": {me.id: True}, "contains_sensitive_data": True}
    assert broadcast(others) == {"omit_users": {me.id: True}, "contains_sanitized_data": True}
    assert broadcast(own) == {"user_id": me.id}
    assert own["data"]["user"]["notify_props"] == {"email": "false"}
    assert admins["data"]["user"]["notify_props"] == {"email": "false"}
    assert "notify_props" not in others["data"]["user"]
    assert {copy["data"]["user"]["nickname"] for copy in (admins, others, own)} == {"Gull"}


async def test_creating_a_team_lets_its_maker_in(people: People, database_url: str) -> None:
    owner = people.owner
    team, found = await during(database_url, owner.new_team("terns"))
    assert [item.key[:2] for item in found] == ["t:", "c:", "c:"]
    assert found[0].effects == [JoinTeam(owner.id, team["id"])]
    assert found[0].events[0]["event"] == "added_to_team"
    assert found[0].events[0]["data"] == {"team_id": team["id"], "user_id": owner.id}
    assert broadcast(found[0].events[0]) == {"user_id": owner.id}
    for item in found[1:]:
        assert item.effects == [JoinChannel(owner.id, item.key[2:])]


async def test_leaving_a_team_leaves_each_channel_in_its_own_order(people: People, database_url: str) -> None:
    member, team = people.member, people.team
    _, found = await during(database_url, people.owner.delete(f"/teams/{team['id']}/members/{member.id}"))
    *channels, last = found
    left = {item.key[2:] for item in channels}
    assert {people.channel["id"], people.private["id"]} < left
    assert len(left) == 4
    for item in channels:
        assert item.effects == [LeaveChannel(member.id, item.key[2:])]
        [event] = item.events
        assert event["event"] == "user_removed"
        assert broadcast(event) == {"channel_id": item.key[2:]}
        assert event["data"] == {"user_id": member.id, "remover_id": people.owner.id}
        assert f"member:{item.key[2:]}:{member.id}" in item.invalidates
    assert last.key == "t:" + team["id"]
    assert last.effects == [LeaveTeam(member.id, team["id"])]
    to_team, to_self = last.events
    assert to_team["event"] == to_self["event"] == "leave_team"
    assert broadcast(to_team) == {"team_id": team["id"], "omit_users": {member.id: True}}
    assert broadcast(to_self) == {"user_id": member.id}
    assert to_team["data"] == to_self["data"] == {"user_id": member.id, "team_id": team["id"]}


async def test_channel_created_direct_added_and_group_added(people: People, database_url: str) -> None:
    owner, member, teammate = people.owner, people.member, people.teammate
    made, [item] = await during(database_url, owner.new_channel(people.team["id"], "pier"))
    assert item.key == "c:" + made["id"]
    assert item.effects == [JoinChannel(owner.id, made["id"])]
    assert item.events[0]["event"] == "channel_created"
    assert item.events[0]["data"] == {"channel_id": made["id"], "team_id": people.team["id"]}
    assert broadcast(item.events[0]) == {"user_id": owner.id}

    direct, [item] = await during(database_url, owner.post("/channels/direct", [owner.id, member.id]))
    assert item.effects == [JoinChannel(one, direct["id"]) for one in sorted([owner.id, member.id])]
    assert item.events[0]["event"] == "direct_added"
    assert item.events[0]["data"] == {"creator_id": owner.id, "teammate_id": member.id}
    assert broadcast(item.events[0]) == {"channel_id": direct["id"]}
    again, found = await during(database_url, member.post("/channels/direct", [member.id, owner.id]))
    assert (again["id"], found) == (direct["id"], [])

    group, [item] = await during(database_url, owner.post("/channels/group", [member.id, teammate.id]))
    ids = sorted([owner.id, member.id, teammate.id])
    assert item.effects == [JoinChannel(one, group["id"]) for one in ids]
    assert [event["event"] for event in item.events] == ["group_added"] * 3
    assert [broadcast(event) for event in item.events] == [
        {"user_id": one, "channel_id": group["id"]} for one in ids
    ]
    assert json.loads(item.events[0]["data"]["teammate_ids"]) == ids


async def test_channel_updated_carries_the_row(people: People, database_url: str) -> None:
    path = f"/channels/{people.channel['id']}"
    answer, [item] = await during(database_url, people.member.put(path + "/patch", {"header": "high tide"}))
    assert item.key == "c:" + people.channel["id"]
    assert item.invalidates == ["channel:" + people.channel["id"]]
    assert broadcast(item.events[0]) == {"channel_id": people.channel["id"]}
    assert json.loads(item.events[0]["data"]["channel"]) == answer


async def test_channel_deleted_tells_the_team_or_the_members(people: People, database_url: str) -> None:
    cases = [
        (people.channel, "t:" + people.team["id"], {"team_id": people.team["id"]}),
        (people.private, "c:" + people.private["id"], {"channel_id": people.private["id"]}),
    ]
    for channel, key, audience in cases:
        _, [item] = await during(database_url, people.owner.delete(f"/channels/{channel['id']}"))
        assert item.key == key
        [event] = item.events
        assert event["event"] == "channel_deleted"
        assert broadcast(event) == audience
        row = await people.owner.get(f"/channels/{channel['id']}")
        assert event["data"] == {"channel_id": channel["id"], "delete_at": row["delete_at"]}


async def test_user_added_and_removed_tell_the_channel_and_the_user(
    people: People, database_url: str
) -> None:
    channel, teammate, owner = people.channel, people.teammate, people.owner
    path = f"/channels/{channel['id']}/members"
    _, [item] = await during(database_url, owner.post(path, {"user_id": teammate.id}))
    assert item.effects == [JoinChannel(teammate.id, channel["id"])]
    others, own = item.events
    assert others["data"] == own["data"] == {"user_id": teammate.id, "team_id": people.team["id"]}
    assert broadcast(others) == {"channel_id": channel["id"], "omit_users": {teammate.id: True}}
    assert broadcast(own) == {"channel_id": channel["id"], "user_id": teammate.id}
    _, found = await during(database_url, owner.post(path, {"user_id": teammate.id}))
    assert found == []

    _, [item] = await during(database_url, owner.delete(f"{path}/{teammate.id}"))
    assert item.effects == [LeaveChannel(teammate.id, channel["id"])]
    others, own = item.events
    assert others["data"] == {"user_id": teammate.id, "remover_id": owner.id}
    assert broadcast(others) == {"channel_id": channel["id"]}
    assert own["data"] == {"channel_id": channel["id"], "remover_id": owner.id}
    assert broadcast(own) == {"user_id": teammate.id}


async def test_viewing_tells_the_users_other_devices(people: People, database_url: str) -> None:
    view = {"channel_id": people.channel["id"], "prev_channel_id": people.private["id"]}
    answer, [item] = await during(database_url, people.member.post("/channels/members/me/view", view))
    assert item.key == "u:" + people.member.id
    assert item.copies[0].droppable
    assert item.events[0]["event"] == "multiple_channels_viewed"
    assert item.events[0]["data"] == {"channel_times": answer["last_viewed_at_times"]}
    assert answer["last_viewed_at_times"].keys() == {people.channel["id"], people.private["id"]}
    assert broadcast(item.events[0]) == {"user_id": people.member.id}


async def test_preferences_tell_of_categories_first(people: People, database_url: str) -> None:
    me = people.member
    item = {"user_id": me.id, "category": "theme", "name": "", "value": "{}"}
    for path, method, event in (
        ("/users/me/preferences", me.put, "preferences_changed"),
        ("/users/me/preferences/delete", me.post, "preferences_deleted"),
    ):
        _, [announcement] = await during(database_url, method(path, [item]))
        first, second = announcement.events
        assert (first["event"], first["data"]) == ("sidebar_category_updated", {})
        assert second["event"] == event
        assert json.loads(second["data"]["preferences"]) == [item]
        assert broadcast(first) == broadcast(second) == {"user_id": me.id}


async def test_the_end_of_sessions_is_an_effect(people: People, database_url: str) -> None:
    me = await people.api.anonymous().log_in("member")
    older, own = sorted(item["id"] for item in await me.get("/users/me/sessions"))  # ids sort by time
    _, [item] = await during(database_url, me.post("/users/me/sessions/revoke", {"session_id": older}))
    assert item.key == "u:" + me.id
    assert item.effects == [EndSessions(me.id, [older])]
    assert len(item.invalidates) == 1
    assert item.invalidates[0].startswith("session:")
    await people.member.get("/users/me", expect=401)
    _, [item] = await during(database_url, me.post("/users/me/sessions/revoke/all"))
    assert item.effects == [EndSessions(me.id, [own])]
    await me.get("/users/me", expect=401)
