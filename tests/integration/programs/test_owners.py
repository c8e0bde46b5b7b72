"""Programs whose owners lost their rights: webhooks and commands may no more than their owners may themselves."""

import re
from typing import Any

import pytest

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import say
from tests.integration.programs.conftest import Program
from tests.integration.programs.test_incoming import last_post, send

pytestmark = pytest.mark.asyncio(loop_scope="module")
MAY_NOT = (403, "web.incoming_webhook.permissions.app_error")
NO_CHANNEL = (404, "web.incoming_webhook.channel.app_error")
NO_USER = (400, "web.incoming_webhook.user.app_error")
LOCKED = (403, "web.incoming_webhook.channel_locked.app_error")


async def new_owner(people: People, name: str) -> Client:
    """Make one who manages programs in the team, is in its two channels, and is trusted to leave."""
    made = await people.api.user(name)
    team = people.team["id"]
    await people.owner.add_to_team(team, made)
    for channel in (people.channel, people.private):
        await people.owner.post(f"/channels/{channel['id']}/members", {"user_id": made.id}, expect=201)
    roles = {"scheme_admin": True, "scheme_user": True, "scheme_guest": False}
    await people.owner.put(f"/teams/{team}/members/{made.id}/schemeRoles", roles)
    return made


async def leave_team(people: People, who: Client) -> None:
    """Take somebody out of the team."""
    await people.owner.delete(f"/teams/{people.team['id']}/members/{who.id}")


async def make_guest(people: People, who: Client) -> None:
    """Make a guest of somebody; he stays in his channels."""
    await people.admin.put("/config/patch", {"GuestAccountsSettings": {"Enable": True}})
    await people.admin.post(f"/users/{who.id}/demote")


async def answer(people: People, hook: dict[str, Any], **payload: Any) -> tuple[int, str]:
    """Send something to a webhook; return (status, error id), "" for none."""
    got = await send(people, hook["id"], json={"text": "x", **payload})
    return got.status_code, "" if got.status_code == 200 else got.json()["id"]


OK = (200, "")


async def test_an_incoming_webhook_is_silent_where_its_owner_would_be(people: People) -> None:
    owner = await new_owner(people, "mover")
    path = "/hooks/incoming"
    private, public = [
        await owner.post(path, {"channel_id": channel["id"], "channel_locked": locked}, expect=201)
        for channel, locked in ((people.private, True), (people.channel, False))
    ]
    hidden = {"channel": people.private["name"]}
    assert [await answer(people, private), await answer(people, public, **hidden)] == [OK, OK]
    # Out of the private channel: neither there nor from elsewhere, and as if it were not there.
    await people.owner.delete(f"/channels/{people.private['id']}/members/{owner.id}")
    assert await answer(people, private) == MAY_NOT
    for name in (people.private["name"], "no-such-channel"):
        assert await answer(people, public, channel=name) == NO_CHANNEL
        assert await answer(people, private, channel=name) == (MAY_NOT if name in hidden.values() else LOCKED)
    # Out of the public channel, which he may still read.
    await people.owner.delete(f"/channels/{people.channel['id']}/members/{owner.id}")
    assert await answer(people, public) == OK
    # Out of the team: nowhere, nor to anybody in his name; and back again.
    await leave_team(people, owner)
    before = await last_post(people)
    for payload in ({}, {"channel": "@member"}, {"channel": "@nobody"}, {"channel": "no-such-channel"}):
        assert await answer(people, public, **payload) == MAY_NOT
    assert (await last_post(people))["id"] == before["id"]
    await people.owner.add_to_team(people.team["id"], owner)
    assert await answer(people, public) == OK


async def test_a_guests_webhook_posts_where_he_is_and_to_whom_he_knows(people: People) -> None:
    owner = await new_owner(people, "soon-guest")
    other = await people.owner.new_channel(people.team["id"], "not-for-guests", "O")
    hook, there = [
        await owner.post("/hooks/incoming", {"channel_id": channel["id"]}, expect=201)
        for channel in (people.channel, other)
    ]
    await people.api.user("far-away")
    for payload in ({}, {"channel": other["name"]}, {"channel": "@far-away"}):
        assert await answer(people, hook, **payload) == OK
    await make_guest(people, owner)
    assert [await answer(people, hook), await answer(people, there)] == [OK, MAY_NOT]
    for name in (other["name"], "no-such-channel"):
        assert await answer(people, hook, channel=name) == NO_CHANNEL
    await people.api.user("stranger-yet")  # he has no direct channel with him
    for name in ("@stranger-yet", "@nobody"):
        assert await answer(people, hook, channel=name) == NO_USER
    assert await answer(people, hook, channel="@member") == OK


async def test_a_locked_webhook_opens_no_direct_channel(people: People) -> None:
    owner = await new_owner(people, "locked-in")
    body = {"channel_id": people.channel["id"], "channel_locked": True}
    hook = await owner.post("/hooks/incoming", body, expect=201)
    assert await answer(people, hook, channel="@member") == await answer(people, hook, channel="@nobody") == LOCKED
    mine = await owner.get(f"/users/me/teams/{people.team['id']}/channels")
    assert not [one for one in mine if one["type"] == "D"]


async def test_an_outgoing_webhook_hears_no_more_than_its_creator(people: People, program: Program) -> None:
    """He who left the team, was deactivated, or is a guest elsewhere is told nothing; who stays is, after them."""
    quiet = await people.owner.new_channel(people.team["id"], "quiet-room", "O", people.member)
    losses = {
        "left": lambda who: leave_team(people, who),
        "inactive": lambda who: people.admin.put(f"/users/{who.id}/active", {"active": False}),
        "guest": lambda who: make_guest(people, who),
    }
    body = {"team_id": people.team["id"], "trigger_words": ["news"]}
    owners = {name: await new_owner(people, name + "-hearer") for name in losses}
    for name, who in owners.items():
        await who.post("/hooks/outgoing", {**body, "callback_urls": [f"{program.url}/{name}"]}, expect=201)
    await people.owner.post("/hooks/outgoing", {**body, "callback_urls": [program.url + "/stays"]}, expect=201)
    program.expect({"text": "heard"})

    async def told(channel_id: str) -> list[str]:
        """Return who was told of a post, in the order in which the webhooks were made: the last one stays."""
        await say(people.member, channel_id, "news")
        found = []
        while not found or found[-1] != "stays":
            found.append((await program.next()).path.removeprefix("/"))
        return found

    assert await told(quiet["id"]) == [*losses, "stays"]
    for name, lose in losses.items():
        await lose(owners[name])
    assert await told(quiet["id"]) == ["stays"]
    assert await told(people.channel["id"]) == ["guest", "stays"]  # in which the guest is


@pytest.mark.parametrize("loss", ["left", "inactive", "guest"])
async def test_a_command_goes_with_its_creator(people: People, program: Program, loss: str) -> None:
    owner = await new_owner(people, f"{loss}-commander")
    team = people.team["id"]
    body = {"team_id": team, "trigger": f"run-{loss}", "method": "P", "url": program.url, "auto_complete": True}
    command = await owner.post("/commands", body, expect=201)
    typed = {"command": f"/run-{loss}", "channel_id": people.channel["id"], "team_id": team}
    lists = (f"/commands?team_id={team}", f"/teams/{team}/commands/autocomplete")

    async def listed() -> list[bool]:
        return [f"run-{loss}" in [one["trigger"] for one in await people.member.get(path)] for path in lists]

    program.expect({})
    await people.member.post("/commands/execute", typed, expect=200)
    reply_id = re.sub(r".*/hooks/commands/", "", (await program.next()).form["response_url"])
    assert await listed() == [True, True]
    if loss == "left":
        await leave_team(people, owner)
    elif loss == "inactive":
        await people.admin.put(f"/users/{owner.id}/active", {"active": False})
    else:
        await make_guest(people, owner)
    refused = await people.member.request("POST", "/commands/execute", json=typed)
    assert (refused.status_code, refused.json()["id"]) == (404, "api.command.execute_command.not_found.app_error")
    late = await people.anonymous.http.post(f"{people.api.url}/hooks/commands/{reply_id}", json={"text": "late"})
    assert (late.status_code, late.json()["id"]) == (404, "web.command_webhook.invalid.app_error")
    assert program.told == [] and await listed() == [False, False]
    # Who manages the team's commands sees it, and may delete it.
    assert command["id"] in [one["id"] for one in await people.owner.get(lists[0] + "&custom_only=true")]
    assert await people.owner.delete(f"/commands/{command['id']}") == {"status": "OK"}
