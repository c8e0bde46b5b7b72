"""The slash commands that every team has: what each does, and what it says where it does nothing."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import Announced
from tests.integration.programs.test_commands import run, shown
from tests.integration.programs.test_incoming import last_post, refusal
from tidewire.actions.builtin_commands import COMMANDS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_command_is_tried_here() -> None:
    tried = set(re.findall(r'"/([a-z_]+)', Path(__file__).read_text()))
    assert tried >= COMMANDS.keys()


async def test_built_in_commands(people: People, announced: Announced) -> None:
    me, owner, channel = people.member, people.owner, people.channel["id"]
    await run(me, people, "/me waves")
    post = await last_post(people)
    assert (post["type"], post["message"]) == ("me", "*waves*")
    await run(me, people, "/shrug so")
    assert (await last_post(people))["message"] == "so ¯\\\\\\_(ツ)\\_/¯"
    await run(me, people, "/code a\nb")
    assert (await last_post(people))["message"] == "    a\n    b"
    for command in ("/away", "/dnd", "/offline", "/online"):
        await run(me, people, command)
        assert (await me.get("/users/me/status"))["manual"] == (command != "/online")
    answer = await run(me, people, "/msg @owner psst")
    assert answer["goto_location"] == "/seagulls/messages/@owner"
    direct = await me.post("/channels/direct", [me.id, owner.id])
    assert (await last_post(people, direct["id"]))["message"] == "psst"
    room = await owner.new_channel(people.team["id"], "room", "O")
    assert (await run(me, people, "/join ~room"))["goto_location"] == "/seagulls/channels/room"
    assert (await run(me, people, "/leave", channel_id=room["id"]))["goto_location"].endswith("/town-square")
    await run(owner, people, "/invite @member ~room")
    assert await me.get(f"/channels/{room['id']}/members/me")
    await run(owner, people, "/remove @member", channel_id=room["id"])
    assert (await refusal(me, "GET", f"/channels/{room['id']}/members/me"))[0] in (403, 404)
    await run(me, people, "/mute")
    assert (await me.get(f"/channels/{channel}/members/me"))["notify_props"]["mark_unread"] == "mention"
    await run(me, people, "/mute")
    await run(owner, people, "/header new words")
    assert (await owner.get(f"/channels/{channel}"))["header"] == "new words"
    await run(me, people, "/status :tada: at sea")
    custom = msgspec.json.decode((await me.get("/users/me"))["props"]["customStatus"])
    assert (custom["emoji"], custom["text"]) == ("tada", "at sea")
    await announced.copies()
    await run(me, people, "/help")
    [event] = await announced.events()
    assert "/away" in shown(event)["message"]
    await run(me, people, "/join nowhere-at-all")
    [event] = await announced.events()
    assert "Could not find" in shown(event)["message"]
    leaver = await people.api.user("guest-of-an-hour")
    await owner.add_to_team(people.team["id"], leaver)
    await owner.post(f"/channels/{channel}/members", {"user_id": leaver.id}, expect=201)
    await run(leaver, people, "/logout")
    assert (await leaver.request("GET", "/users/me")).status_code == 401


async def test_what_channels_and_groups_become(people: People) -> None:
    me, owner, team = people.member, people.owner, people.team["id"]
    await run(me, people, "/echo as I said")
    assert (await last_post(people))["message"] == "as I said"
    room = await owner.new_channel(team, "cabin", "O")
    here = {"channel_id": room["id"]}
    await run(owner, people, "/purpose sleep", **here)
    await run(owner, people, "/rename The cabin", **here)
    changed = await owner.get(f"/channels/{room['id']}")
    assert (changed["purpose"], changed["display_name"], changed["name"]) == ("sleep", "The cabin", "cabin")
    assert (await run(me, people, "/open cabin"))["goto_location"] == "/seagulls/channels/cabin"
    await run(owner, people, "/kick @member", **here)
    assert (await refusal(me, "GET", f"/channels/{room['id']}/members/me"))[0] in (403, 404)
    answer = await run(me, people, "/groupmsg @owner,@teammate all hands")
    group = await me.post("/channels/group", [me.id, owner.id, people.teammate.id])
    assert answer["goto_location"] == f"/seagulls/channels/{group['name']}"
    assert (await last_post(people, group["id"]))["message"] == "all hands"
    await run(me, people, "/status :tada: at sea")
    await run(me, people, "/clear")
    assert not (await me.get("/users/me"))["props"].get("customStatus")


async def test_previews_collapse_on_all_devices(people: People, announced: Announced) -> None:
    await announced.copies()
    for command, value in (("/collapse", "true"), ("/expand", "false")):
        await run(people.member, people, command)
        changed, said = await announced.events()
        expected = {
            "user_id": people.member.id, "category": "display_settings", "name": "collapse_previews", "value": value
        }  # fmt: skip
        told = msgspec.json.decode(changed["data"]["preference"])
        assert (changed["event"], told) == ("preference_changed", expected)
        assert changed["broadcast"]["user_id"] == people.member.id
        assert command[1:] in shown(said)["message"]
        assert await people.member.get("/users/me/preferences/display_settings/name/collapse_previews") == expected


async def test_what_a_command_cannot_do_is_said_to_its_user(people: People, announced: Announced) -> None:
    room = await people.owner.new_channel(people.team["id"], "locked", "P")
    square = await people.member.get(f"/teams/{people.team['id']}/channels/name/town-square")
    for command, words, where in (
        ("/leave", "default", square["id"]),
        ("/purpose " + "x" * 251, "purpose", people.channel["id"]),
        ("/kick @nobody-at-all", "Unable to find", people.channel["id"]),
        ("/invite @nobody-at-all", "Unable to find", people.channel["id"]),
        ("/groupmsg @nobody-at-all hi", "Unable to find", people.channel["id"]),
        ("/join ~locked", "Could not find", people.channel["id"]),
        ("/invite_people somebody", "email addresses", people.channel["id"]),
        ("/invite_people a@example.org", "disabled", people.channel["id"]),
        ("/search words", "not supported", people.channel["id"]),
        ("/settings", "not supported", people.channel["id"]),
        ("/shortcuts", "not supported", people.channel["id"]),
    ):
        await announced.copies()
        answer: dict[str, Any] = await run(people.member, people, command, channel_id=where)
        assert answer["response_type"] == "ephemeral", command
        [event] = await announced.events()
        assert words in shown(event)["message"], command
    await people.member.get(f"/channels/{room['id']}", expect=403)
