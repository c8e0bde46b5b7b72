"""Slash commands: managed, completed, run; what their addresses are asked and what becomes of their answers."""

import re
from typing import Any

import pytest

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced
from tests.integration.programs.conftest import Program
from tests.integration.programs.test_incoming import last_post, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")
NO = "api.context.permissions.app_error"


async def new_command(people: People, program: Program, trigger: str, **members: Any) -> dict[str, Any]:
    """Make a command of the team admin's."""
    body = {"team_id": people.team["id"], "trigger": trigger, "method": "P", "url": program.url + "/run?a=b", **members}
    made: dict[str, Any] = await people.owner.post("/commands", body, expect=201)
    return made


async def run(who: Client, people: People, text: str, **members: Any) -> dict[str, Any]:
    """Run a command in the channel."""
    body = {"command": text, "channel_id": people.channel["id"], "team_id": people.team["id"], **members}
    answer: dict[str, Any] = await who.post("/commands/execute", body, expect=200)
    return answer


def shown(event: dict[str, Any]) -> dict[str, Any]:
    """Return the post of an ephemeral_message."""
    assert event["event"] == "ephemeral_message"
    post: dict[str, Any] = event["data"]["post"]
    return post


async def test_a_command_is_managed_by_who_may(people: People, program: Program) -> None:
    owner, team = people.owner, people.team["id"]
    command = await new_command(people, program, "Weather", auto_complete=True, auto_complete_hint="[city]")
    path = f"/commands/{command['id']}"
    assert command["trigger"] == "weather" and len(command["token"]) == 26 and command["creator_id"] == owner.id
    assert await owner.get(path) == command
    assert command in await owner.get(f"/commands?team_id={team}&custom_only=true")
    assert command in await owner.get(f"/commands?team_id={team}")
    [seen] = [one for one in await people.member.get(f"/commands?team_id={team}") if one["trigger"] == "weather"]
    [offered] = [
        one for one in await people.member.get(f"/teams/{team}/commands/autocomplete") if one["trigger"] == "weather"
    ]
    assert seen == offered and (seen["token"], seen["url"], seen["creator_id"]) == ("", "", "")
    suggested = await people.member.get(f"/teams/{team}/commands/autocomplete_suggestions?user_input=/wea")
    assert suggested == [
        {"Complete": "weather", "Suggestion": "weather", "Hint": "[city]", "Description": "", "IconData": ""}
    ]
    changed = await owner.put(path, {**command, "display_name": "W", "token": "forged"})
    assert (changed["display_name"], changed["token"]) == ("W", command["token"])
    renewed = await owner.put(path + "/regen_token")
    assert renewed["token"] != command["token"]
    taken = (400, "api.command.duplicate_trigger.app_error")
    for trigger in ("weather", "away"):
        again = {"team_id": team, "trigger": trigger, "method": "P", "url": program.url}
        assert await refusal(owner, "POST", "/commands", again) == taken
    for method, given in (("GET", None), ("PUT", command), ("DELETE", None)):
        assert await refusal(people.member, method, path, given) == (403, NO)
        assert (await refusal(people.stranger, method, path, given))[0] == 404
    assert await refusal(people.member, "POST", "/commands", again) == (403, NO)
    mismatch = (400, "api.command.team_mismatch.app_error")
    assert await refusal(owner, "PUT", path, {**command, "team_id": people.other_team["id"]}) == mismatch
    assert await refusal(owner, "PUT", path + "/move", {"team_id": people.other_team["id"]}) == (403, NO)
    cannot = (400, "api.command.move_command.creator_no_permission.app_error")
    assert await refusal(people.admin, "PUT", path + "/move", {"team_id": people.other_team["id"]}) == cannot
    assert await owner.delete(path) == {"status": "OK"}
    assert (await refusal(owner, "GET", path))[0] == 404


async def test_commands_and_webhooks_of_others(people: People, program: Program) -> None:
    """Who manages his own alone makes none for others, and sees no secrets of theirs."""
    admin, member, team = people.admin, people.member, people.team["id"]
    command = {"team_id": team, "trigger": "for-you", "method": "P", "url": program.url, "auto_complete": True}
    hook = {"team_id": team, "trigger_words": ["for-you"], "callback_urls": [program.url]}
    incoming = {"channel_id": people.channel["id"]}
    for path, owner, body in (
        ("/commands", "creator_id", command),
        ("/hooks/outgoing", "creator_id", hook),
        ("/hooks/incoming", "user_id", incoming),
    ):
        made = await admin.post(path, {**body, owner: member.id}, expect=201)
        assert made[owner] == member.id
        await admin.delete(f"{path}/{made['id']}")
        unknown = await refusal(admin, "POST", path, {**body, owner: "x" * 26})
        assert unknown[0] == 404
        # One who founds a team lets none speak who is not in it: neither there nor to others in direct messages.
        for who in (admin, people.owner):
            assert await refusal(who, "POST", path, {**body, owner: people.stranger.id}) == unknown
    theirs = await new_command(people, program, "theirs", auto_complete=True)
    role = await admin.get("/roles/name/team_user")
    more = ["manage_own_slash_commands", "manage_own_outgoing_webhooks"]
    await admin.put(f"/roles/{role['id']}/patch", {"permissions": role["permissions"] + more})
    try:
        for path, body in (("/commands", command), ("/hooks/outgoing", hook)):
            assert await refusal(member, "POST", path, {**body, "creator_id": people.owner.id}) == (403, NO)
        mine = await member.post("/commands", command, expect=201)
        listed = {one["trigger"]: one for one in await member.get(f"/commands?team_id={team}")}
        assert listed["for-you"] == mine
        assert (listed["theirs"]["token"], listed["theirs"]["url"], listed["theirs"]["creator_id"]) == ("", "", "")
        await member.delete(f"/commands/{mine['id']}")
    finally:
        await admin.put(f"/roles/{role['id']}/patch", {"permissions": role["permissions"]})
    await people.owner.delete(f"/commands/{theirs['id']}")


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"trigger": ""}, "model.command.is_valid.trigger.app_error"),
        ({"trigger": "a b"}, "model.command.is_valid.trigger.app_error"),
        ({"trigger": "/a"}, "model.command.is_valid.trigger.app_error"),
        ({"method": "X"}, "model.command.is_valid.method.app_error"),
        ({"url": "ftp://x/"}, "model.command.is_valid.url_http.app_error"),
        ({"url": "http://me:pass@x/"}, "model.command.is_valid.url_http.app_error"),
        ({"description": "x" * 129}, "model.command.is_valid.description.app_error"),
    ],
)
async def test_commands_that_are_refused(people: People, members: dict[str, Any], error: str) -> None:
    body = {"team_id": people.team["id"], "trigger": "ok", "method": "P", "url": "http://x.example/", **members}
    assert await refusal(people.owner, "POST", "/commands", body) == (400, error)


async def test_what_a_command_asks_and_answers(
    people: People, program: Program, announced: Announced
) -> None:
    command = await new_command(people, program, "deploy", username="deployer")
    program.expect({"response_type": "in_channel", "text": "done <http://x.example|here>", "props": {"a": 1}})
    answer = await run(people.member, people, "/deploy  now please")
    told = await program.next()
    assert (told.method, told.path) == ("POST", "/run?a=b")
    assert told.headers["authorization"] == f"Token {command['token']}"
    form = told.form
    expected = {
        "token": command["token"], "team_id": people.team["id"], "team_domain": "seagulls",
        "channel_id": people.channel["id"], "channel_name": "harbour", "user_id": people.member.id,
        "user_name": "member", "command": "/deploy", "text": "now please",
    }  # fmt: skip
    assert expected.items() <= form.items()
    assert form["trigger_id"] == answer["trigger_id"]
    post = await last_post(people)
    assert (post["message"], post["user_id"]) == ("done [here](http://x.example)", people.member.id)
    assert post["props"] == {"a": 1, "from_webhook": "true", "override_username": "deployer"}
    # Later answers, five of them, in half an hour.
    reply_id = re.sub(r".*/hooks/commands/", "", form["response_url"])
    late = f"{people.api.url}/hooks/commands/{reply_id}"
    for number in range(5):
        sent = await people.anonymous.http.post(late, json={"text": f"late {number}", "response_type": "in_channel"})
        assert sent.text == "ok"
    assert (await last_post(people))["message"] == "late 4"
    assert (await people.anonymous.http.post(late, json={"text": "x"})).status_code == 404
    # For the user alone; further answers; plain text.
    await announced.copies()
    program.expect({"text": "only you", "extra_responses": [{"text": "and this"}, None]})
    await run(people.member, people, "/deploy")
    assert [shown(event)["message"] for event in await announced.events()] == ["only you", "and this"]
    for typed in ("/deploy\tnow", "/deploy\n now ", "/DEPLOY now"):
        program.expect({})
        await run(people.member, people, typed)
        assert (await program.next()).form["text"] == "now"
    program.expect(b"plain words")
    await run(people.member, people, "/deploy")
    assert [shown(event)["message"] for event in await announced.events()] == ["plain words"]


async def test_a_forged_host_is_in_no_address_and_no_login_goes_out(people: People, program: Program) -> None:
    command = await new_command(people, program, "where")
    program.expect({})
    forged = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "Cookie": "MMUSERID=x"}
    body = {"command": "/where", "channel_id": people.channel["id"]}
    await people.admin.put("/config/patch", {"ServiceSettings": {"SiteURL": "https://chat.example.org"}})
    try:
        answer = await people.member.request("POST", "/commands/execute", json=body, headers=forged)
        assert answer.status_code == 200, answer.text
    finally:
        await people.admin.put("/config/patch", {"ServiceSettings": {"SiteURL": people.api.url}})
    told = await program.next()
    assert told.form["response_url"].startswith("https://chat.example.org/hooks/commands/")
    login = people.member.http.headers["Authorization"].removeprefix("Bearer ")
    for text in (str(told.headers), told.path, told.body.decode()):
        assert "evil.example" not in text and login not in text
    assert told.headers["authorization"] == f"Token {command['token']}" and "cookie" not in told.headers


async def test_a_command_by_get_carries_all_in_its_address(people: People, program: Program) -> None:
    await new_command(people, program, "look", method="G")
    program.expect({})
    await run(people.member, people, "/look a&b")
    told = await program.next()
    assert told.method == "GET" and told.path.startswith("/run?a=b&token=") and "text=a%26b" in told.path


async def test_answers_that_no_program_should_give(people: People, program: Program) -> None:
    await new_command(people, program, "bad")
    body = {"command": "/bad", "channel_id": people.channel["id"]}
    failed = "api.command.execute_command.failed.app_error"
    big = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'"' + b"x" * 2_000_000
    for answer, raw, error in (
        ({"text": 7}, b"", failed),
        ([1], b"", failed),
        ({"attachments": [[]]}, b"", "api.webhook.attachments.app_error"),
        ({"attachments": {}}, b"", failed),
        ({"extra_responses": [{"text": []}]}, b"", failed),
        ({"text": "\0"}, b"", failed),
        (None, big, failed),
        (None, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", failed),
        (None, b"nonsense", failed),
    ):
        program.expect(answer, raw)
        assert await refusal(people.member, "POST", "/commands/execute", body) == (400, error)


async def test_what_is_no_command(people: People) -> None:
    channel = people.channel["id"]
    start = (400, "api.command.execute_command.start.app_error")
    for body in ({"command": "hi", "channel_id": channel}, {"command": "/", "channel_id": channel}, {"command": "/me"}):
        assert await refusal(people.member, "POST", "/commands/execute", body) == start
    assert await refusal(people.member, "GET", "/commands") == (400, "api.context.invalid_body_param.app_error")
    unknown = (404, "api.command.execute_command.not_found.app_error")
    body = {"command": "/nothing-like-it", "channel_id": channel}
    assert await refusal(people.member, "POST", "/commands/execute", body) == unknown
    assert await refusal(people.stranger, "POST", "/commands/execute", body) == (403, NO)
    await people.admin.put("/config/patch", {"ServiceSettings": {"EnableCommands": False}})
    try:
        off = (501, "api.command.disabled.app_error")
        assert await refusal(people.member, "POST", "/commands/execute", body) == off
        for who, method, path in (
            (people.member, "GET", f"/teams/{people.team['id']}/commands/autocomplete"),
            (people.member, "GET", f"/commands?team_id={people.team['id']}"),
            (people.owner, "POST", "/commands"),
        ):
            assert await refusal(who, method, path, {} if method == "POST" else None) == off
    finally:
        await people.admin.put("/config/patch", {"ServiceSettings": {"EnableCommands": True}})
