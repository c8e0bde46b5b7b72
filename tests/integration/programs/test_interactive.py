"""Buttons, menus and dialogs: nobody sees what they call, a click is passed on, the answer changes the post."""

import asyncio
import json
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import Announced, say
from tests.integration.programs.conftest import Program, silent_program
from tests.integration.programs.test_commands import new_command, run, shown
from tests.integration.programs.test_incoming import refusal
from tidewire.outbound.client import AT_ONCE_PER_USER
from tidewire.store.migrate import migrations
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
ACTION = "api.post.do_action.action_integration.app_error"
NO_ACTION = "api.post.do_action.action_id.app_error"


def attachments(url: str) -> list[dict[str, Any]]:
    """Return a button and a menu."""
    return [
        {
            "text": "Ship it?",
            "actions": [
                {"id": "yes", "name": "Yes", "type": "button", "integration": {"url": url, "context": {"pr": 7}}},
                {
                    "name": "Where",
                    "type": "select",
                    "options": [{"text": "A", "value": "a"}],
                    "integration": {"url": url},
                },
            ],
        }
    ]


async def test_what_a_button_calls_stays_here(people: People, program: Program, announced: Announced) -> None:
    await announced.copies()
    post = await say(people.owner, people.channel["id"], props={"attachments": attachments(program.url + "/go")})
    listed = await people.member.get(f"/channels/{people.channel['id']}/posts?per_page=1")
    [event] = await announced.events()
    alone = await people.member.get(f"/posts/{post['id']}")
    for seen in (post, event["data"]["post"], listed["posts"][post["id"]], alone):
        button, menu = seen["props"]["attachments"][0]["actions"]
        assert button == {"id": "yes", "name": "Yes", "type": "button"}
        assert menu["options"] == [{"text": "A", "value": "a"}] and len(menu["id"]) == 26
        assert "integration" not in json.dumps(seen) and program.url not in json.dumps(seen)
    # An edit that sends back what clients see leaves the buttons as they are.
    await people.owner.put(f"/posts/{post['id']}/patch", {"message": "now?", "props": post["props"]})
    program.expect({})
    chosen = {"selected_option": "not for a button"}
    clicked = await people.member.post(f"/posts/{post['id']}/actions/yes", chosen, expect=200)
    told = (await program.next()).json
    assert clicked["status"] == "OK" and told.pop("trigger_id") == clicked["trigger_id"]
    assert told == {
        "user_id": people.member.id, "user_name": "member", "channel_id": people.channel["id"],
        "channel_name": "harbour", "team_id": people.team["id"], "team_domain": "seagulls", "post_id": post["id"],
        "type": "button", "data_source": "", "context": {"pr": 7},
    }  # fmt: skip
    await people.member.post(f"/posts/{post['id']}/actions/{menu['id']}", {"selected_option": "a"}, expect=200)
    told = (await program.next()).json
    assert (told["type"], told["data_source"], told["context"]) == ("select", "", {"selected_option": "a"})
    whom = {"id": "whom", "name": "Whom", "type": "select", "data_source": "users", "integration": {"url": program.url}}
    asked = await say(people.owner, people.channel["id"], props={"attachments": [{"text": "x", "actions": [whom]}]})
    assert asked["props"]["attachments"][0]["actions"][0]["data_source"] == "users"
    chosen = {"selected_option": people.teammate.id}
    await people.member.post(f"/posts/{asked['id']}/actions/whom", chosen, expect=200)
    told = (await program.next()).json
    assert (told["type"], told["data_source"], told["context"]) == ("select", "users", chosen)


async def test_an_answer_changes_the_post_and_speaks_to_the_user(
    people: People, program: Program, announced: Announced
) -> None:
    post = await say(people.owner, people.channel["id"], "ask", props={"attachments": attachments(program.url), "x": 1})
    await announced.copies()
    program.expect({"update": {"message": "asked", "props": {}}, "ephemeral_text": "thanks"})
    await people.member.post(f"/posts/{post['id']}/actions/yes", {}, expect=200)
    edited, said = await announced.events()
    assert (edited["event"], edited["data"]["post"]["message"]) == ("post_edited", "asked")
    assert edited["data"]["post"]["props"] == {}
    assert (shown(said)["message"], shown(said)["root_id"]) == ("thanks", post["id"])
    # The program has taken the buttons away: nobody who still shows them calls it.
    program.expect({"ephemeral_text": "again"})
    assert await refusal(people.member, "POST", f"/posts/{post['id']}/actions/yes", {}) == (404, NO_ACTION)
    assert program.told == []
    post = await say(people.owner, people.channel["id"], "ask", props={"attachments": attachments(program.url)})
    program.expect({"update": {"message": "without props"}})
    await people.member.post(f"/posts/{post['id']}/actions/yes", {}, expect=200)
    forged = {"from_webhook": "true", "attachments": attachments(program.url)}
    program.expect({"update": {"message": "x", "props": forged}})
    await people.member.post(f"/posts/{post['id']}/actions/yes", {}, expect=200)
    stored = await people.member.get(f"/posts/{post['id']}")
    assert "from_webhook" not in stored["props"] and "integration" not in json.dumps(stored)


async def test_what_a_post_that_was_sent_twice_called_goes_away(people: People, program: Program) -> None:
    owner, room = people.owner, people.channel["id"]
    body = {
        "channel_id": room,
        "pending_post_id": f"{owner.id}:{new_id()}",
        "props": {"attachments": attachments(program.url)},
    }
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        await connection.execute("DELETE FROM post_actions")
        first, again = [await owner.post("/posts", body, expect=201) for _ in range(2)]
        assert first["id"] == again["id"]
        assert await connection.fetchval("SELECT count(DISTINCT post_id) FROM post_actions") == 2
        await connection.execute("UPDATE post_actions SET expires_at = 1")  # a day later
        for _ in range(2):  # before and after what is old is deleted
            program.expect({})
            await people.member.post(f"/posts/{first['id']}/actions/yes", {}, expect=200)
            await program.next()
            other = await say(owner, room, props={"attachments": attachments(program.url)})
        rows = await connection.fetch("SELECT post_id, max(expires_at) AS until FROM post_actions GROUP BY post_id")
    finally:
        await connection.close()
    kept = {row["post_id"]: row["until"] for row in rows}
    assert len(kept) == 3 and kept.keys() > {first["id"], other["id"]} and kept[first["id"]] == 0


async def test_what_posts_of_long_ago_called_that_were_never_written_goes_away(
    people: People, program: Program
) -> None:
    """Rows from before they could expire: by a migration, in a day, unless their post is there by then."""
    [upgrade] = [sql for _, name, sql in migrations() if name == "unwritten_actions"]
    owner, room = people.owner, people.channel["id"]
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        await connection.execute("DELETE FROM post_actions")
        first = await say(owner, room, props={"attachments": attachments(program.url)})
        never, soon = new_id(), new_id()
        await connection.execute("UPDATE post_actions SET expires_at = 0")
        for post_id in (never, soon):
            await connection.execute(
                "INSERT INTO post_actions SELECT $1, action_id, channel_id, user_id, integration FROM post_actions"
                " WHERE post_id = $2", post_id, first["id"],
            )  # fmt: skip
        await connection.execute(upgrade)
        left = await connection.fetch("SELECT DISTINCT post_id, expires_at > 0 AS ends FROM post_actions")
        assert {row["post_id"]: row["ends"] for row in left} == {first["id"]: False, never: True, soon: True}
        written = "SELECT (jsonb_populate_record(p, jsonb_build_object('id', $1::text))).* FROM posts p WHERE id = $2"
        await connection.execute("INSERT INTO posts " + written, soon, first["id"])
        await connection.execute("UPDATE post_actions SET expires_at = 1 WHERE expires_at > 0")  # a day later
        other = await say(owner, room, props={"attachments": attachments(program.url)})
        left = await connection.fetch("SELECT DISTINCT post_id FROM post_actions")
        assert {row["post_id"] for row in left} == {first["id"], soon, other["id"]}
    finally:
        await connection.close()


async def test_clicks_that_are_refused(people: People, program: Program) -> None:
    post = await say(people.owner, people.private["id"], props={"attachments": attachments(program.url)})
    path = f"/posts/{post['id']}/actions"
    assert (await refusal(people.stranger, "POST", path + "/yes", {}))[0] == 404
    assert (await refusal(people.teammate, "POST", path + "/yes", {}))[0] == 404
    assert (await refusal(people.member, "POST", path + "/no", {}))[0] == 404
    assert (await refusal(people.member, "POST", f"/posts/{new_id()}/actions/yes", {}))[0] == 404
    for answer, raw in (
        ([], b""),
        ({"update": {"props": []}}, b""),
        ({"ephemeral_text": 1}, b""),
        (None, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
    ):
        program.expect(answer, raw)
        assert await refusal(people.member, "POST", path + "/yes", {}) == (400, ACTION)
    for url in (program.url.replace("127.0.0.1", "127.0.0.2"), "/plugins/x", "../../api/v4/users/me", "", "file:///x"):
        inside = await say(people.owner, people.private["id"], props={"attachments": attachments(url)})
        assert await refusal(people.member, "POST", f"/posts/{inside['id']}/actions/yes", {}) == (400, ACTION)
    for wrong in ({}, [[]], [{"actions": {}}], [{"actions": [1]}], [{"actions": [{"name": []}]}], [{}] * 101):
        body = {"channel_id": people.channel["id"], "message": "x", "props": {"attachments": wrong}}
        assert (await refusal(people.member, "POST", "/posts", body))[0] == 400


async def test_a_button_of_a_commands_answer_is_its_users_alone(
    people: People, program: Program, announced: Announced
) -> None:
    await new_command(people, program, "choose")
    program.expect({"attachments": attachments(program.url)})
    await announced.copies()
    await run(people.member, people, "/choose")
    [event] = await announced.events()
    post = shown(event)
    assert post["props"]["attachments"][0]["actions"][0]["id"] == "yes"
    # Nor does the answer to the request say what the buttons call.
    program.expect({"text": "x", "extra_responses": [None, {"attachments": attachments(program.url)}]})
    answer = await run(people.member, people, "/choose")
    assert program.url not in json.dumps(answer) and "integration" not in json.dumps(answer)
    assert answer["extra_responses"][0]["attachments"][0]["actions"][0]["id"] == "yes"
    program.expect({"ephemeral_text": "ok"})
    assert (await refusal(people.owner, "POST", f"/posts/{post['id']}/actions/yes", {}))[0] == 404
    await people.member.post(f"/posts/{post['id']}/actions/yes", {}, expect=200)


async def test_buttons_that_a_bot_shows_to_one_user(people: People, program: Program, announced: Announced) -> None:
    await announced.copies()
    post = {"channel_id": people.channel["id"], "message": "m", "props": {"attachments": attachments(program.url)}}
    made = await people.admin.post("/posts/ephemeral", {"user_id": people.member.id, "post": post}, expect=201)
    [event] = await announced.events()
    for seen in (made, shown(event)):
        assert seen["props"]["attachments"][0]["actions"][0] == {"id": "yes", "name": "Yes", "type": "button"}
        assert "integration" not in json.dumps(seen)
    program.expect({})
    assert (await refusal(people.owner, "POST", f"/posts/{made['id']}/actions/yes", {}))[0] == 404
    await people.member.post(f"/posts/{made['id']}/actions/yes", {}, expect=200)
    assert (await program.next()).json["context"] == {"pr": 7}
    wrong = {"user_id": people.member.id, "post": {**post, "props": {"attachments": [1]}}}
    assert (await refusal(people.admin, "POST", "/posts/ephemeral", wrong))[0] == 400


async def test_a_dialog_is_opened_by_a_trigger_and_submitted(
    people: People, program: Program, announced: Announced
) -> None:
    await new_command(people, program, "form")
    program.expect({})
    trigger = (await run(people.member, people, "/form"))["trigger_id"]
    element = {"display_name": "Name", "name": "name", "type": "text", "max_length": 10}
    request = {
        "trigger_id": trigger,
        "url": program.url + "/filled",
        "dialog": {"callback_id": "c", "title": "Hello", "elements": [element], "state": "s"},
    }
    await announced.copies()
    assert await people.anonymous.post("/actions/dialogs/open", request, expect=200) == {"status": "OK"}
    [copy] = await announced.copies()
    event = msgspec.json.decode(copy.body + b"}}")
    assert (event["event"], copy.user_id) == ("open_dialog", people.member.id)
    opened = msgspec.json.decode(event["data"]["dialog"])
    assert (opened["trigger_id"], opened["url"], opened["dialog"]["title"]) == (trigger, request["url"], "Hello")
    filled = {
        "url": request["url"], "callback_id": "c", "state": "s", "channel_id": people.channel["id"],
        "team_id": people.team["id"], "submission": {"name": "Ann"}, "user_id": people.owner.id,
    }  # fmt: skip
    program.expect({"errors": {"name": "too short"}})
    verdict = await people.member.post("/actions/dialogs/submit", filled, expect=200)
    assert verdict == {"errors": {"name": "too short"}}
    told = (await program.next()).json
    assert (told["user_id"], told["submission"]) == (people.member.id, {"name": "Ann"})
    assert told["type"] == "dialog_submission"
    program.expect(b"")
    assert await people.member.post("/actions/dialogs/submit", filled, expect=200) == {}
    elsewhere = {**filled, "channel_id": people.private["id"]}
    assert (await refusal(people.stranger, "POST", "/actions/dialogs/submit", elsewhere))[0] == 403
    assert (await refusal(people.member, "POST", "/actions/dialogs/submit", {**filled, "url": "x"}))[0] == 400


async def test_every_kind_of_element_and_the_next_form(people: People, program: Program, announced: Announced) -> None:
    await new_command(people, program, "steps")
    program.expect({})
    trigger = (await run(people.member, people, "/steps"))["trigger_id"]
    given: list[dict[str, Any]] = [
        {"type": "text", "subtype": "email", "min_length": 3, "max_length": 9, "default": "a@b", "placeholder": "p"},
        {"type": "textarea", "help_text": "h", "optional": True},
        {"type": "select", "data_source": "users", "multiselect": True},
        {"type": "select", "data_source": "dynamic", "data_source_url": program.url + "/look", "refresh": True},
        {"type": "bool"},
        {"type": "radio", "options": [{"text": "A", "value": "a"}]},
        {"type": "date", "min_date": "today", "max_date": "+7d"},
        {"type": "datetime", "time_interval": 30, "datetime_config": {"time_interval": 30}},
    ]
    elements = [{"name": f"e{number}", **one} for number, one in enumerate(given)]
    form = {"title": "One", "source_url": program.url, "elements": elements}
    await announced.copies()
    await people.anonymous.post(
        "/actions/dialogs/open", {"trigger_id": trigger, "url": program.url, "dialog": form}, expect=200
    )
    [event] = await announced.events()
    shown_form = msgspec.json.decode(event["data"]["dialog"])["dialog"]
    assert shown_form["source_url"] == program.url
    optional = {"data_source_url", "refresh", "datetime_config", "min_date", "max_date", "time_interval"}
    for wanted, element in zip(elements, shown_form["elements"], strict=True):
        assert wanted.items() <= element.items()
        assert element.keys() - optional == shown_form["elements"][0].keys()
    filled = {"url": program.url, "channel_id": people.channel["id"], "submission": {"e0": "x"}}
    program.expect({"type": "form", "form": {**form, "title": "Two"}})
    verdict = await people.member.post("/actions/dialogs/submit", filled, expect=200)
    assert verdict["type"] == "form" and verdict["form"]["title"] == "Two"
    assert verdict["form"]["elements"][3]["data_source_url"] == program.url + "/look"
    program.expect({"items": [{"text": "A", "value": "a"}, {"text": "B"}], "more": 1})
    asked = {**filled, "url": program.url + "/look", "submission": {"query": "x"}}
    found = await people.member.post("/actions/dialogs/lookup", asked, expect=200)
    assert found == {"items": [{"text": "A", "value": "a"}, {"text": "B", "value": ""}]}
    told = (await program.next()).json
    assert (told["type"], told["user_id"], told["submission"]) == ("dialog_lookup", people.member.id, {"query": "x"})
    assert (await refusal(people.stranger, "POST", "/actions/dialogs/lookup", asked))[0] == 403
    for wrong in ({"items": [{"text": 1}]}, {"items": [{"text": "x"}] * 1001}):
        program.expect(wrong)
        assert (await refusal(people.member, "POST", "/actions/dialogs/lookup", asked))[0] == 400
    program.expect({"type": "form", "form": {"title": ""}})
    error = "app.submit_interactive_dialog.json_error"
    assert await refusal(people.member, "POST", "/actions/dialogs/submit", filled) == (400, error)


async def test_slow_programs_of_one_user_hold_up_nobody_else(people: People, program: Program) -> None:
    submit, filled = "/actions/dialogs/submit", {"channel_id": people.channel["id"]}
    async with asyncio.TaskGroup() as group, silent_program(people, AT_ONCE_PER_USER) as (url, full):
        slow = {**filled, "url": url}  # more than there are places for requests
        many = [group.create_task(people.member.request("POST", submit, json=slow)) for _ in range(80)]
        async with asyncio.timeout(30):
            await full.wait()
            program.expect({"error": "quick"})
            given = await people.owner.post(submit, {**filled, "url": program.url}, expect=200)
        assert given == {"error": "quick"} and not any(one.done() for one in many)
    assert {one.result().status_code for one in many} == {400}


async def test_trigger_ids_are_not_forged_and_do_not_last(people: People, program: Program) -> None:
    dialog = {"url": program.url, "dialog": {"title": "x"}}
    await new_command(people, program, "trigger")
    program.expect({})
    trigger = (await run(people.member, people, "/trigger"))["trigger_id"]
    for forged in ("", "x", "🙂", trigger[:-8] + "AAAAAAA=", trigger[4:]):
        body = {**dialog, "trigger_id": forged}
        assert (await refusal(people.anonymous, "POST", "/actions/dialogs/open", body))[0] == 400
    for wrong in ({"title": ""}, {"title": "x" * 25}, {"title": "x", "elements": [{}] * 51}):
        body = {"url": program.url, "trigger_id": trigger, "dialog": wrong}
        assert (await refusal(people.anonymous, "POST", "/actions/dialogs/open", body))[0] == 400
    await people.admin.put("/config/patch", {"ServiceSettings": {"OutgoingIntegrationRequestsTimeout": 1}})
    await asyncio.sleep(1.1)
    error = (400, "interactive_message.decode_trigger_id.expired.app_error")
    assert await refusal(people.anonymous, "POST", "/actions/dialogs/open", {**dialog, "trigger_id": trigger}) == error
    await people.admin.put("/config/patch", {"ServiceSettings": {"OutgoingIntegrationRequestsTimeout": 3}})
