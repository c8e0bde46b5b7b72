"""Users become guests and guests users: roles, events, logins, what they may see from then on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fixtures.api import Client
from tests.integration.accounts.office import Office, log_in
from tests.integration.accounts.test_sockets import listener
from tests.integration.gateway.world import Client as Socket

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def roles_of(office: Office, user: Client) -> tuple[str, set[str], set[str]]:
    """Return a user's system roles and those of all of his teams and channels."""
    admin = office.crew.people.admin
    teams = await admin.get(f"/users/{user.id}/teams/members")
    channels = await admin.get(f"/users/{user.id}/channel_members")
    everywhere = ({one["roles"] for one in kind} for kind in (teams, channels))
    found = await admin.get(f"/users/{user.id}")
    return (found["roles"], *everywhere)


async def told(socket: Socket, office: Office, user: Client) -> None:
    """Check that what the socket was told of its user's rows is what a new client reads."""
    await socket.quiet()
    heard: dict[str, dict[str, Any]] = {"user": {}, "team": {}, "channel": {}}
    for event in socket.events:
        data = event["data"]
        if event["event"] == "user_updated" and data["user"]["id"] == user.id:
            heard["user"][user.id] = data["user"]
        elif event["event"] == "memberrole_updated":
            member = json.loads(data["member"])
            heard["team"][member["team_id"]] = member
        elif event["event"] == "channel_member_updated":
            member = json.loads(data["channelMember"])
            heard["channel"][member["channel_id"]] = member
    assert heard["user"][user.id] == await user.get("/users/me")
    for member in await user.get("/users/me/teams/members"):
        assert heard["team"].pop(member["team_id"]) == member
    for member in await user.get("/users/me/channel_members"):
        for key in ("team_display_name", "team_name", "team_update_at"):
            del member[key]
        if member["channel_id"] in heard["channel"]:
            assert heard["channel"].pop(member["channel_id"]) == member
    assert not heard["team"]
    assert not heard["channel"]


async def test_there_and_back(office: Office) -> None:
    people = office.crew.people
    user = await listener(office, "commuter")
    team, private = people.team["id"], people.private["id"]
    await user.post("/channels/direct", [user.id, people.member.id], expect=201)
    await people.owner.put(f"/teams/{team}/members/{user.id}/roles", {"roles": "team_user team_admin"})
    before = await user.get("/users/me/channel_members")
    await user.get(f"/users/{people.stranger.id}")
    socket = await office.crew.socket(user)
    await people.admin.post(f"/users/{user.id}/demote")
    # At once, for the login that was there before: no stranger, no public channel that he is not in, no team's rights.
    await user.get(f"/users/{people.stranger.id}", expect=403)
    await user.get("/teams", expect=403)
    await user.put(f"/teams/{team}/patch", {"description": "x"}, expect=403)
    await user.post("/channels", {"team_id": team, "name": "own", "display_name": "O", "type": "O"}, expect=403)
    assert await roles_of(office, user) == ("system_guest", {"team_guest"}, {"channel_guest"})
    after = await user.get("/users/me/channel_members")
    assert [one["channel_id"] for one in after] == [one["channel_id"] for one in before]  # he stays where he is
    await told(socket, office, user)
    [login] = await office.crew.town.db.fetch("SELECT props FROM sessions WHERE user_id = $1", user.id)
    assert login["props"]["is_guest"] == "true"
    # Of people whom he does not see, and of a channel made for everybody, his socket hears nothing any more.
    await people.stranger.put("/users/me/patch", {"nickname": "nobody's business"})
    await people.admin.put("/users/me/patch", {"nickname": "boss"})
    new = await people.owner.new_channel(team, "guestless")
    await people.member.put("/users/me/patch", {"nickname": "seen"})
    seen: list[str] = []
    while people.member.id not in seen:
        seen.append((await socket.event("user_updated"))["data"]["user"]["id"])
    assert people.stranger.id not in seen
    assert new["id"] not in json.dumps(socket.events)
    await user.get(f"/channels/{new['id']}", expect=403)
    # A guest who leaves the default channels comes back into them when he is promoted.
    square = await people.member.get(f"/teams/{team}/channels/name/town-square")
    await user.delete(f"/channels/{square['id']}/members/{user.id}")
    await socket.quiet()
    socket.events.clear()
    await people.admin.post(f"/users/{user.id}/promote")
    assert await roles_of(office, user) == ("system_user", {"team_user"}, {"channel_user"})
    await user.get(f"/users/{people.stranger.id}")
    await user.get(f"/channels/{new['id']}")
    assert (await socket.event("posted"))["data"]["channel_name"] == "town-square"
    await told(socket, office, user)
    added = [event for event in socket.events if event["event"] == "user_added"]
    assert [event["broadcast"]["channel_id"] for event in added] == [square["id"]]
    posts = (await user.get(f"/channels/{square['id']}/posts"))["posts"].values()
    assert {one["type"] for one in posts if one["props"].get("addedUserId") == user.id} == {"system_add_to_team"}
    assert private not in {one["channel_id"] for one in await user.get("/users/me/channel_members")}


async def test_there_and_back_by_roles(office: Office) -> None:
    """PUT /users/{id}/roles with and without system_guest changes teams and channels as demotion and promotion do."""
    admin, user = office.crew.people.admin, await listener(office, "switcher")
    team = office.crew.people.team["id"]
    square = await user.get(f"/teams/{team}/channels/name/town-square")
    await office.crew.people.owner.put(f"/teams/{team}/members/{user.id}/roles", {"roles": "team_user team_admin"})
    socket = await office.crew.socket(user)
    path = f"/users/{user.id}/roles"
    await admin.put(path, {"roles": "system_guest"})
    assert await roles_of(office, user) == ("system_guest", {"team_guest"}, {"channel_guest"})
    assert (await socket.event("user_role_updated"))["data"] == {"user_id": user.id, "roles": "system_guest"}
    await told(socket, office, user)
    await user.get("/teams", expect=403)
    await user.delete(f"/channels/{square['id']}/members/{user.id}")
    await socket.quiet()
    socket.events.clear()
    await admin.put(path, {"roles": "system_user system_user_access_token"})
    roles = "system_user system_user_access_token"
    assert await roles_of(office, user) == (roles, {"team_user"}, {"channel_user"})
    await user.get(f"/channels/{square['id']}/members/me")  # back in the default channel
    assert (await socket.event("posted"))["data"]["channel_name"] == "town-square"
    await told(socket, office, user)
    await office.fails(
        office.crew.people.owner, "PUT", path, {"roles": "system_guest"}, 403, "api.context.permissions.app_error"
    )


async def test_who_may_and_who_cannot(office: Office) -> None:
    people = office.crew.people
    admin, user = people.admin, await office.newcomer("stayer")
    twice = "api.user.demote_user_to_guest.already_guest.app_error"
    none = "api.user.promote_guest_to_user.no_guest.app_error"
    unknown = "x" * 26
    for verb in ("promote", "demote"):
        path = f"/users/{user.id}/{verb}"
        for caller in (people.stranger, people.owner, office.crew.guest, user, office.bot):
            await office.fails(caller, "POST", path, None, 403, "api.context.permissions.app_error")
        await people.anonymous.post(path, expect=401)
        await office.crew.gone.post(path, expect=401)
        await office.fails(admin, "POST", f"/users/{unknown}/{verb}", None, 404, "app.user.missing_account.const")
        await office.fails(
            admin, "POST", f"/users/x/{verb}", None, 400, "api.context.invalid_url_param.app_error"
        )
    await office.fails(admin, "POST", f"/users/{user.id}/promote", None, 501, none)
    await office.fails(admin, "POST", f"/users/{office.crew.guest.id}/demote", None, 501, twice)


async def test_somebody_is_added_meanwhile(office: Office) -> None:
    """Whoever is added to teams and channels while he changes is everywhere what he is in the end."""
    people, user = office.crew.people, await office.newcomer("everywhere")
    made = [await people.owner.new_team(f"mixed{n}") for n in range(3)]
    channels = [await people.owner.new_channel(team["id"], "place") for team in made]

    async def add(team: dict[str, Any], channel: dict[str, Any]) -> None:
        await people.admin.post(f"/teams/{team['id']}/members", {"team_id": team["id"], "user_id": user.id})
        await people.admin.post(f"/channels/{channel['id']}/members", {"user_id": user.id}, expect=201)

    for verb, roles in (("demote", "guest"), ("promote", "user"), ("demote", "guest")):
        for team in made:
            await people.admin.request("DELETE", f"/teams/{team['id']}/members/{user.id}")
        places = [add(team, channel) for team, channel in zip(made, channels, strict=True)]
        await asyncio.gather(*places, people.admin.post(f"/users/{user.id}/{verb}"))
        assert await roles_of(office, user) == (f"system_{roles}", {f"team_{roles}"}, {f"channel_{roles}"})


@asynccontextmanager
async def without_guests(office: Office) -> AsyncIterator[None]:
    """Switch guests off, and at the end on again for the folder's world."""
    rows = await office.crew.town.db.fetch("SELECT id FROM users WHERE roles = 'system_guest' AND delete_at = 0")
    await office.configure(GuestAccountsSettings__Enable=False)
    try:
        yield
    finally:
        await office.configure(GuestAccountsSettings__Enable=True)
        for row in rows:
            await office.operator.put(f"/users/{row['id']}/active", {"active": True})
        office.crew.guest = await office.api.anonymous().log_in("guest")


async def test_guests_are_switched_off(office: Office) -> None:
    people = office.crew.people
    user, other = await listener(office, "lodger"), await office.newcomer("resident")
    await people.admin.post(f"/users/{user.id}/demote")
    socket, watcher = await office.crew.socket(user), await office.crew.socket(other)
    async with without_guests(office):
        assert (await socket.closed())[0] == 1008
        await user.get("/users/me", expect=401)
        await watcher.event("guests_deactivated")
        assert (await people.admin.get(f"/users/{user.id}"))["delete_at"] > 0
        await other.get("/users/me")
        disabled = "api.team.demote_user_to_guest.disabled.error"
        await office.fails(people.admin, "POST", f"/users/{other.id}/demote", None, 501, disabled)
        refused = "api.user.update_active.cannot_enable_guest_when_guest_feature_is_disabled.app_error"
        path = f"/users/{user.id}/active"
        await office.fails(people.admin, "PUT", path, {"active": True}, 403, refused)
    assert (await log_in(people.anonymous, "lodger")).status_code == 200


async def test_no_guest_logs_in_where_there_are_none(office: Office) -> None:
    user = await office.newcomer("late_guest")
    async with without_guests(office):
        # One who became a guest by a role while guests were off: nobody deactivated him.
        await office.crew.people.admin.put(f"/users/{user.id}/roles", {"roles": "system_guest"})
        answer = await log_in(office.crew.people.anonymous, "late_guest")
        assert (answer.status_code, answer.json()["id"]) == (401, "api.user.login.guest_accounts.disabled.error")
