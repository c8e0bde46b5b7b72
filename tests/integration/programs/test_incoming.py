"""Incoming webhooks: who may have them, and the posts that Slack's and our own payloads become."""

import json
from typing import Any

import httpx
import pytest

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
NO = "api.context.permissions.app_error"


async def refusal(who: Client, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Return (status, error id) of a request that is refused."""
    answer = await who.request(method, path, **({} if body is None else {"json": body}))
    return answer.status_code, answer.json()["id"]


async def new_hook(people: People, **members: Any) -> dict[str, Any]:
    """Make a webhook of the team admin's."""
    body = {"channel_id": people.channel["id"], "display_name": "Build", **members}
    made: dict[str, Any] = await people.owner.post("/hooks/incoming", body, expect=201)
    return made


async def send(people: People, hook_id: str, **request: Any) -> httpx.Response:
    """Send something to a webhook, as a stranger."""
    return await people.anonymous.http.post(f"{people.api.url}/hooks/{hook_id}", **request)


async def last_post(people: People, channel_id: str = "") -> dict[str, Any]:
    """Return the newest post of the channel."""
    listed = await people.owner.get(f"/channels/{channel_id or people.channel['id']}/posts?per_page=1")
    post: dict[str, Any] = listed["posts"][listed["order"][0]]
    return post


async def test_a_webhook_is_made_listed_changed_and_deleted(people: People) -> None:
    owner, team = people.owner, people.team["id"]
    hook = await new_hook(people, description="d", username="builder")
    assert hook["user_id"] == owner.id and hook["team_id"] == team and hook["create_at"] == hook["update_at"]
    assert await owner.get(f"/hooks/incoming/{hook['id']}") == hook
    assert hook in await owner.get(f"/hooks/incoming?team_id={team}")
    counted = await people.admin.get(f"/hooks/incoming?team_id={team}&include_total_count=true")
    assert counted["total_count"] == len(counted["incoming_webhooks"]) >= 1
    changed = await owner.put(f"/hooks/incoming/{hook['id']}", {**hook, "display_name": "New"}, expect=201)
    assert changed["display_name"] == "New" and changed["update_at"] > hook["update_at"]
    assert (await send(people, hook["id"], json={"text": "x"})).text == "ok"
    assert await owner.delete(f"/hooks/incoming/{hook['id']}") == {"status": "OK"}
    assert (await refusal(owner, "GET", f"/hooks/incoming/{hook['id']}"))[0] == 404
    gone = await send(people, hook["id"], json={"text": "x"})
    assert (gone.status_code, gone.json()["id"]) == (400, "web.incoming_webhook.invalid.app_error")


async def test_who_may_have_webhooks(people: People) -> None:
    body = {"channel_id": people.channel["id"]}
    for who, status in ((people.anonymous, 401), (people.member, 403), (people.stranger, 403), (people.admin, 201)):
        assert (await who.request("POST", "/hooks/incoming", json=body)).status_code == status
    hook = await new_hook(people)
    for method in ("GET", "PUT", "DELETE"):
        given = hook if method == "PUT" else None
        assert await refusal(people.member, method, f"/hooks/incoming/{hook['id']}", given) == (403, NO)
    assert await refusal(people.member, "GET", f"/hooks/incoming?team_id={people.team['id']}") == (403, NO)
    assert await refusal(people.owner, "GET", "/hooks/incoming") == (403, NO)  # of all teams
    other = {**hook, "team_id": people.other_team["id"]}
    mismatch = (400, "api.webhook.team_mismatch.app_error")
    assert await refusal(people.owner, "PUT", f"/hooks/incoming/{hook['id']}", other) == mismatch
    assert (await refusal(people.owner, "POST", "/hooks/incoming", {"channel_id": "x"}))[0] == 400
    for member in ("display_name", "description", "username", "icon_url"):
        wrong = await refusal(people.owner, "POST", "/hooks/incoming", {**body, member: "x" * 1025})
        assert wrong == (400, f"model.incoming_hook.{member}.app_error")
    await people.admin.put("/config/patch", {"ServiceSettings": {"EnableIncomingWebhooks": False}})
    try:
        off = (501, "api.incoming_webhook.disabled.app_error")
        assert await refusal(people.owner, "POST", "/hooks/incoming", body) == off
        assert (await send(people, hook["id"], json={"text": "x"})).status_code == 501
        assert (await people.owner.get("/config/client?format=old"))["EnableIncomingWebhooks"] == "false"
    finally:
        await people.admin.put("/config/patch", {"ServiceSettings": {"EnableIncomingWebhooks": True}})


async def test_what_is_sent_is_posted(people: People) -> None:
    hook = await new_hook(people, username="builder", icon_url="http://x.example/i.png")
    names = {"text": f"built <https://ci.example/1|#1> for <!channel> by <@{people.member.id}>"}
    assert (await send(people, hook["id"], json=names)).text == "ok"
    post = await last_post(people)
    assert post["message"] == "built [#1](https://ci.example/1) for @channel by @member"
    assert post["user_id"] == people.owner.id
    props = {
        "from_webhook": "true",
        "webhook_display_name": "Build",
        "override_username": "builder",
        "override_icon_url": "http://x.example/i.png",
    }
    assert post["props"] == props
    member = await people.member.get(f"/channels/{people.channel['id']}/members/me")
    assert member["mention_count"] >= 1
    nul = await send(people, hook["id"], data={"payload": json.dumps({"text": "a \0"})})
    assert (nul.status_code, nul.json()["id"]) == (400, "web.incoming_webhook.parse.app_error")
    forms: list[dict[str, Any]] = [
        {"data": {"payload": json.dumps({"text": "form", "username": "u", "icon_emoji": "tada"})}},
        {"files": {"payload": (None, json.dumps({"text": "multipart"}))}},
        {"content": json.dumps({"text": "no type"})},
        {"content": json.dumps({"text": "how to write NUL: \\u0000"})},
    ]
    texts = ("form", "multipart", "no type", "how to write NUL: \\u0000")
    for request, text in zip(forms, texts, strict=True):
        assert (await send(people, hook["id"], **request)).text == "ok"
        post = await last_post(people)
        assert post["message"] == text
        if text == "form":
            assert (post["props"]["override_username"], post["props"]["override_icon_emoji"]) == ("u", "tada")


async def test_a_webhook_made_for_another_stays_in_its_channel(people: People) -> None:
    """Else who founds a team writes direct messages in the name of everybody whom he adds to it."""
    owner, admin, member, path = people.owner, people.admin, people.member, "/hooks/incoming"
    hook = await new_hook(people, user_id=member.id)
    assert hook["channel_locked"] is True
    opened = {**hook, "channel_locked": False}
    assert (await owner.put(f"{path}/{hook['id']}", opened, expect=201))["channel_locked"] is True
    elsewhere = {"text": "x", "channel": "@teammate"}
    refused = await send(people, hook["id"], json=elsewhere)
    assert (refused.status_code, refused.json()["id"]) == (403, "web.incoming_webhook.channel_locked.app_error")
    assert (await send(people, hook["id"], json={"text": "here"})).text == "ok"
    assert (await admin.put(f"{path}/{hook['id']}", opened, expect=201))["channel_locked"] is False
    assert (await owner.put(f"{path}/{hook['id']}", opened, expect=201))["channel_locked"] is False
    assert (await send(people, hook["id"], json=elsewhere)).text == "ok"


async def test_who_knows_no_webhook_is_told_nothing_else(people: People) -> None:
    for payload in ({"text": "x"}, {"text": ""}, {"text": "x", "attachments": [1]}, {"channel": "#harbour"}):
        answer = await send(people, new_id(), json=payload)
        assert (answer.status_code, answer.json()["id"]) == (400, "web.incoming_webhook.invalid.app_error")


async def test_events_name_who_speaks(people: People, announced: Announced) -> None:
    hook = await new_hook(people)
    body = {"text": "x", "username": "Builder Bob"}
    for more, name in (({}, "Builder Bob"), ({"channel": "@member"}, "@owner"), ({"username": ""}, "@owner")):
        await announced.copies()
        assert (await send(people, hook["id"], json={**body, **more})).text == "ok"
        [event] = [one for one in await announced.events() if one["event"] == "posted"]
        assert event["data"]["sender_name"] == name


async def test_what_is_sent_may_be_urgent(people: People) -> None:
    hook = await new_hook(people)
    await send(people, hook["id"], json={"text": "x" * 20_000, "priority": {"priority": "urgent"}})
    first, second = (await people.member.get(f"/channels/{people.channel['id']}/posts"))["order"][:2][::-1]
    marks = [(await people.member.get(f"/posts/{post_id}"))["metadata"].get("priority") for post_id in (first, second)]
    assert marks == [{"priority": "urgent", "requested_ack": False, "persistent_notifications": False}, None]
    refused = await send(people, hook["id"], json={"text": "x", "priority": {"persistent_notifications": True}})
    assert refused.status_code == 403


async def test_slack_attachments_are_posted(people: People) -> None:
    hook = await new_hook(people)
    sample = {
        "text": None,
        "attachments": [
            None,
            {
                "fallback": "Required plain-text summary",
                "color": "#36a64f",
                "pretext": "Optional <http://x.example|text>",
                "author_name": "Bobby Tables",
                "title": "Slack API Documentation",
                "title_link": "https://api.slack.example/",
                "text": "Optional text",
                "fields": [
                    {"title": "Priority", "value": 7, "short": True}, None, {"title": "x", "value": None},
                    {"value": True},
                ],
                "ts": 123456789,
            },
        ],
    }
    assert (await send(people, hook["id"], json=sample)).text == "ok"
    post = await last_post(people)
    [attachment] = post["props"]["attachments"]
    assert (post["type"], post["message"]) == ("slack_attachment", "")
    assert attachment["pretext"] == "Optional [text](http://x.example)" and attachment["ts"] == 123456789
    assert attachment["fields"] == [
        {"title": "Priority", "value": "7", "short": True},
        {"title": "x", "value": "", "short": False},
        {"title": "", "value": "true", "short": False},
    ]


async def test_where_a_webhook_may_post(people: People) -> None:
    hook, locked = await new_hook(people), await new_hook(people, channel_locked=True)
    other = await people.owner.new_channel(people.team["id"], "releases", "O")
    hidden = await people.member.new_channel(people.team["id"], "own-room", "P")
    for name in ("releases", "#releases"):
        assert (await send(people, hook["id"], json={"text": name, "channel": name})).text == "ok"
        assert (await last_post(people, other["id"]))["message"] == name
    assert (await send(people, hook["id"], json={"text": "dm", "channel": "@member"})).text == "ok"
    direct = await people.owner.post("/channels/direct", [people.owner.id, people.member.id])
    assert (await last_post(people, direct["id"]))["message"] == "dm"
    for hook_id, name, status in (
        (hook["id"], "nowhere", 404),
        (hook["id"], "@nobody", 400),
        (hook["id"], hidden["name"], 404),  # its owner is no member: as if it were not there
        (locked["id"], "releases", 403),
        (locked["id"], "nowhere", 403),
        (locked["id"], "@nobody", 403),
        (locked["id"], "#Harbour", 200),
        (new_id(), "releases", 400),
        ("x", "releases", 400),
    ):
        assert (await send(people, hook_id, json={"text": "x", "channel": name})).status_code == status
    await people.owner.delete(f"/channels/{other['id']}")
    assert (await send(people, hook["id"], json={"text": "x", "channel": "releases"})).status_code == 404


async def test_long_texts_become_several_posts(people: People) -> None:
    hook = await new_hook(people)
    text = "\n".join("x" * 999 for _ in range(40))
    assert (await send(people, hook["id"], json={"text": text, "attachments": [{"text": "end"}]})).text == "ok"
    listed = await people.owner.get(f"/channels/{people.channel['id']}/posts?per_page=3")
    posts = [listed["posts"][post_id] for post_id in reversed(listed["order"])]
    assert "\n".join(post["message"] for post in posts) == text
    assert ["attachments" in post["props"] for post in posts] == [False, False, True]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"text": 1}', b'{"text": "\\u0000"}', b'{"text": "x", "attachments": {}}',
     b'{"text": "x", "attachments": [1]}', b'{"text": "x", "attachments": [{"fields": 1}]}',
     b'{"text": "x", "attachments": [{"text": {}}]}', b'{"text": "x", "attachments": [{"actions": [[]]}]}',
     b'{"text": "x", "props": []}', b'{"text": "x", "type": "system_join_channel"}', b"{}", b'{"text": ""}',
     b'{"attachments": [null]}', b'{"text": "x", "attachments": [%s]}' % b",".join([b"{}"] * 101),
     b'{"text": "x", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}", b"\xff\xfe"],
)  # fmt: skip
async def test_what_no_program_should_send_is_refused(people: People, body: bytes) -> None:
    hook = await new_hook(people)
    answer = await send(people, hook["id"], content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["status_code"] == 400 and "Traceback" not in answer.text


async def test_a_deactivated_owners_webhook_is_silent(people: People) -> None:
    gone = await people.api.user("leaver")
    await people.owner.add_to_team(people.team["id"], gone)
    await people.owner.put(
        f"/teams/{people.team['id']}/members/{gone.id}/schemeRoles",
        {"scheme_admin": True, "scheme_user": True, "scheme_guest": False},
    )
    hook = await gone.post("/hooks/incoming", {"channel_id": people.channel["id"]}, expect=201)
    assert (await send(people, hook["id"], json={"text": "x"})).text == "ok"
    await people.admin.put(f"/users/{gone.id}/active", {"active": False})
    assert (await send(people, hook["id"], json={"text": "x"})).status_code == 403
