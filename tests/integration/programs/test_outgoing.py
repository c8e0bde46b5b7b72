"""Outgoing webhooks: who may have them, which posts call them, what becomes of the answer."""

import asyncio
from typing import Any

import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import say
from tests.integration.programs.conftest import Program, silent_program
from tests.integration.programs.test_incoming import new_hook as new_incoming
from tests.integration.programs.test_incoming import refusal, send
from tidewire.actions.hook_calls import TEAM_AT_ONCE

pytestmark = pytest.mark.asyncio(loop_scope="module")
NO = "api.context.permissions.app_error"


async def new_hook(people: People, program: Program, **members: Any) -> dict[str, Any]:
    """Make a webhook of the team admin's."""
    body = {"team_id": people.team["id"], "callback_urls": [program.url + "/told"], **members}
    made: dict[str, Any] = await people.owner.post("/hooks/outgoing", body, expect=201)
    return made


async def answers(people: People, root_id: str = "") -> list[dict[str, Any]]:
    """Return what webhooks have written into the channel, when there is something."""
    async with asyncio.timeout(30):
        while True:
            listed = await people.owner.get(f"/channels/{people.channel['id']}/posts?per_page=5")
            posts = [listed["posts"][post_id] for post_id in listed["order"]]
            found = [one for one in posts if one["props"].get("from_webhook") and one["root_id"] == root_id]
            if found:
                return found
            await asyncio.sleep(0.02)


async def test_a_word_calls_and_the_answer_is_posted(people: People, program: Program) -> None:
    hook = await new_hook(people, program, trigger_words=["build"], username="ci")
    program.expect({"text": "on <http://x.example|it>", "response_type": "comment"})
    post = await say(people.member, people.channel["id"], "build the thing")
    told = (await program.next()).form
    assert told == {
        "token": hook["token"], "team_id": people.team["id"], "team_domain": "seagulls",
        "channel_id": people.channel["id"], "channel_name": "harbour", "timestamp": str(post["create_at"]),
        "user_id": people.member.id, "user_name": "member", "post_id": post["id"], "text": "build the thing",
        "trigger_word": "build",
    }  # fmt: skip
    [answer] = await answers(people, post["id"])
    assert (answer["message"], answer["user_id"]) == ("on [it](http://x.example)", people.owner.id)
    assert answer["props"]["override_username"] == "ci"
    # Not for other words, for words further on, for other places, nor for what webhooks say.
    incoming = await new_incoming(people)
    for text in ("builder", "please build"):
        await say(people.member, people.channel["id"], text)
    await say(people.member, people.private["id"], "build")
    assert (await send(people, incoming["id"], json={"text": "build"})).text == "ok"
    program.expect(b"")
    await say(people.member, people.channel["id"], "build again")  # the calls come in the order of posts
    assert (await program.next()).form["text"] == "build again"
    assert program.told == []
    await people.owner.delete(f"/hooks/outgoing/{hook['id']}")


async def test_beginnings_channels_and_json(people: People, program: Program) -> None:
    begins = await new_hook(
        people, program, trigger_words=["ab"], trigger_when=1, content_type="application/json"
    )
    program.expect(b"<html>not for posting")
    await say(people.member, people.channel["id"], "abc d")
    told = await program.next()
    assert told.headers["content-type"] == "application/json"
    assert (told.json["text"], told.json["trigger_word"], told.json["file_ids"]) == ("abc d", "ab", "")
    await people.owner.delete(f"/hooks/outgoing/{begins['id']}")
    everything = await new_hook(people, program, channel_id=people.channel["id"])
    await say(people.member, people.channel["id"], "anything")
    assert (await program.next()).form["text"] == "anything"
    renewed = await people.owner.post(f"/hooks/outgoing/{everything['id']}/regen_token", expect=200)
    assert renewed["token"] != everything["token"]
    await say(people.member, people.channel["id"], "more")
    assert (await program.next()).form["token"] == renewed["token"]
    changed = await people.owner.put(
        f"/hooks/outgoing/{everything['id']}", {**everything, "trigger_words": ["only"]}
    )
    assert (changed["trigger_words"], changed["token"]) == (["only"], renewed["token"])
    await say(people.member, people.channel["id"], "anything")
    await say(people.member, people.channel["id"], "only this")
    assert (await program.next()).form["text"] == "only this"
    path = f"/hooks/outgoing/{everything['id']}"
    assert await people.owner.get(path) == changed
    assert changed in await people.owner.get(f"/hooks/outgoing?team_id={people.team['id']}")
    assert changed in await people.owner.get(f"/hooks/outgoing?channel_id={people.channel['id']}")
    for method, given in (("GET", None), ("PUT", changed), ("DELETE", None)):
        assert await refusal(people.member, method, path, given) == (403, NO)
    mismatch = (400, "api.webhook.team_mismatch.app_error")
    assert await refusal(people.owner, "PUT", path, {**changed, "team_id": people.other_team["id"]}) == mismatch
    await people.owner.delete(path)
    assert (await refusal(people.owner, "GET", path))[0] == 404


async def test_addresses_inside_are_not_called(people: People, program: Program) -> None:
    inside = program.url.replace("127.0.0.1", "127.0.0.2")
    hook = await new_hook(people, program, trigger_words=["probe"], callback_urls=[inside, program.url + "/out"])
    program.expect(b"")
    await say(people.member, people.channel["id"], "probe")
    assert (await program.next()).path == "/out"  # the first address was refused, the second was not
    await people.owner.delete(f"/hooks/outgoing/{hook['id']}")


async def test_a_program_that_hangs_holds_up_its_own_team_only(people: People, program: Program) -> None:
    team = await people.admin.new_team("quick-team")
    room = await people.admin.new_channel(team["id"], "quick-room", "O")
    quick = {"team_id": team["id"], "trigger_words": ["quick"], "callback_urls": [program.url]}
    await people.admin.post("/hooks/outgoing", quick, expect=201)
    program.expect(b"")
    async with silent_program(people, TEAM_AT_ONCE) as (url, full):
        hook = await new_hook(people, program, trigger_words=["slow"], callback_urls=[url])
        for _ in range(40):
            await say(people.member, people.channel["id"], "slow")
        await say(people.admin, room["id"], "quick")
        assert (await program.next()).form["text"] == "quick"
        async with asyncio.timeout(30):
            await full.wait()
    await people.owner.delete(f"/hooks/outgoing/{hook['id']}")


@pytest.mark.parametrize(
    ("members", "status", "error"),
    [
        ({}, 400, "api.webhook.create_outgoing.triggers.app_error"),
        ({"trigger_words": [" "]}, 400, "model.outgoing_hook.is_valid.trigger_words.app_error"),
        ({"trigger_words": ["x" * 1025]}, 400, "model.outgoing_hook.is_valid.trigger_words.app_error"),
        ({"trigger_words": ["x"], "trigger_when": 2}, 400, "api.context.invalid_body_param.app_error"),
        ({"trigger_words": ["x"], "callback_urls": []}, 400, "model.outgoing_hook.is_valid.callback.app_error"),
        ({"trigger_words": ["x"], "callback_urls": ["x"]}, 400, "model.outgoing_hook.is_valid.url.app_error"),
        ({"trigger_words": ["x"], "username": "x" * 65}, 400, "model.outgoing_hook.is_valid.username.app_error"),
        ({"channel_id": "private"}, 403, "api.webhook.create_outgoing.not_open.app_error"),
    ],
)
async def test_webhooks_that_are_refused(
    people: People, members: dict[str, Any], status: int, error: str
) -> None:
    body = {"team_id": people.team["id"], "callback_urls": ["http://x.example/"], **members}
    if body.get("channel_id") == "private":
        body["channel_id"] = people.private["id"]
    assert await refusal(people.owner, "POST", "/hooks/outgoing", body) == (status, error)
    assert (await refusal(people.member, "POST", "/hooks/outgoing", body)) == (403, NO)
