"""Requests whose channel, team, user or post is deleted for good between their checks and their write leave no row."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import httpx
import pytest

from tests.integration.teams.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="module")
Make = Callable[[Town], Awaitable[str]]
Ask = Callable[[Town, str], Awaitable[httpx.Response]]
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
PATIENCE_S = 30
REPLY_URL = "http://x.example/"


async def channel(town: Town) -> str:
    return str((await town.new_channel())["id"])


async def team(town: Town) -> str:
    return str((await town.new_team())["id"])


async def user(town: Town) -> str:
    return str((await town.new_newcomer())["id"])


async def post(town: Town) -> str:
    return str((await town.new_post(metadata={"priority": {"requested_ack": True}}))["id"])


async def upload(town: Town, channel_id: str) -> httpx.Response:
    path = f"/files?channel_id={channel_id}&filename=x.txt"
    return await town.member.request("POST", path, content=b"three")


async def finish_upload(town: Town, channel_id: str) -> httpx.Response:
    begun = {"channel_id": channel_id, "filename": "a", "file_size": 3}
    made = await town.member.post("/uploads", begun, expect=201)
    return await town.member.request("POST", f"/uploads/{made['id']}", content=b"abc")


async def draft(town: Town, channel_id: str) -> httpx.Response:
    return await town.member.request("POST", "/drafts", json={"channel_id": channel_id, "message": "not yet"})


async def incoming(town: Town, channel_id: str) -> httpx.Response:
    return await town.teamadmin.request("POST", "/hooks/incoming", json={"channel_id": channel_id})


async def moved_incoming(town: Town, channel_id: str) -> httpx.Response:
    hook = await town.new_incoming()
    return await town.teamadmin.request(
        "PUT", f"/hooks/incoming/{hook['id']}", json={**hook, "channel_id": channel_id}
    )


async def outgoing(town: Town, channel_id: str) -> httpx.Response:
    body = {"team_id": town.ids["team"], "channel_id": channel_id, "callback_urls": [REPLY_URL]}
    return await town.teamadmin.request("POST", "/hooks/outgoing", json=body)


async def moved_outgoing(town: Town, channel_id: str) -> httpx.Response:
    hook = await town.new_outgoing()
    return await town.teamadmin.request(
        "PUT", f"/hooks/outgoing/{hook['id']}", json={**hook, "channel_id": channel_id}
    )


async def command(town: Town, team_id: str) -> httpx.Response:
    body = {"team_id": team_id, "trigger": "word", "method": "P", "url": REPLY_URL}
    return await town.teamadmin.request("POST", "/commands", json=body)


async def moved_command(town: Town, team_id: str) -> httpx.Response:
    made = await town.new_command()
    return await town.teamadmin.request("PUT", f"/commands/{made['id']}/move", json={"team_id": team_id})


async def moved_channel(town: Town, team_id: str) -> httpx.Response:
    made = await town.new_channel()
    body = {"team_id": team_id, "force": True}
    return await town.admin.request("POST", f"/channels/{made['id']}/move", json=body)


async def category(town: Town, team_id: str) -> httpx.Response:
    body = {"user_id": town.member.id, "team_id": team_id, "display_name": "Mine"}
    path = f"/users/{town.member.id}/teams/{team_id}/channels/categories"
    return await town.member.request("POST", path, json=body)


async def token(town: Town, user_id: str) -> httpx.Response:
    return await town.admin.request("POST", f"/users/{user_id}/tokens", json={"description": "x"})


async def status(town: Town, user_id: str) -> httpx.Response:
    body = {"user_id": user_id, "status": "dnd"}
    return await town.admin.request("PUT", f"/users/{user_id}/status", json=body)


async def addition(town: Town, user_id: str) -> httpx.Response:
    path = f"/channels/{town.ids['channel']}/members"
    return await town.chanadmin.request("POST", path, json={"user_id": user_id})


async def reminder(town: Town, post_id: str) -> httpx.Response:
    path = f"/users/{town.member.id}/posts/{post_id}/reminder"
    return await town.member.request("POST", path, json={"target_time": 1 << 34})


async def follow(town: Town, post_id: str) -> httpx.Response:
    path = f"/users/me/teams/{town.ids['team']}/threads/{post_id}/following"
    return await town.member.request("PUT", path)


async def reading(town: Town, post_id: str) -> httpx.Response:
    path = f"/users/me/teams/{town.ids['team']}/threads/{post_id}/read/{1 << 40}"
    return await town.member.request("PUT", path)


async def reaction(town: Town, post_id: str) -> httpx.Response:
    body = {"user_id": town.member.id, "post_id": post_id, "emoji_name": "wave"}
    return await town.member.request("POST", "/reactions", json=body)


async def acknowledgement(town: Town, post_id: str) -> httpx.Response:
    return await town.member.request("POST", f"/users/{town.member.id}/posts/{post_id}/ack")


# What is asked, what it needs, where it would leave a row, the answer.
CASES: list[tuple[Ask, Make, str, int]] = [
    (upload, channel, "files", 404),
    (finish_upload, channel, "files", 404),
    (draft, channel, "drafts", 404),
    (incoming, channel, "incoming_webhooks", 404),
    (moved_incoming, channel, "incoming_webhooks", 404),
    (outgoing, channel, "outgoing_webhooks", 404),
    (moved_outgoing, channel, "outgoing_webhooks", 404),
    (command, team, "commands", 404),
    (moved_command, team, "commands", 404),
    (moved_channel, team, "channels", 404),
    (category, team, "sidebar_categories", 403),
    (token, user, "user_access_tokens", 404),
    (status, user, "statuses", 200),
    (addition, user, "channel_members", 404),
    (reminder, post, "post_reminders", 404),
    (follow, post, "thread_members", 404),
    (reading, post, "thread_members", 404),
    (reaction, post, "reactions", 404),
    (acknowledgement, post, "post_acknowledgements", 404),
]


@pytest.mark.parametrize(("ask", "make", "table", "answer"), CASES, ids=[case[0].__name__ for case in CASES])
async def test_deleted_in_between(town: Town, ask: Ask, make: Make, table: str, answer: int) -> None:
    parent_id = await make(town)
    column = {channel: "channel_id", team: "team_id", user: "user_id", post: "post_id"}[make]
    if table == "thread_members":
        column = "root_id"
    rows = f"SELECT count(*) FROM {table} WHERE {column} = $1"
    before = await town.sql(rows, parent_id)
    connection = await asyncpg.connect(town.url)
    try:
        async with asyncio.timeout(PATIENCE_S):
            async with connection.transaction():
                await connection.execute(f"DELETE FROM {make.__name__}s WHERE id = $1", parent_id)
                task = asyncio.ensure_future(ask(town, parent_id))
                while not task.done() and not await connection.fetchval(WAITS):
                    await asyncio.sleep(0.01)
                waited = not task.done()
            found = await task
    finally:
        await connection.close()
    assert await town.sql(rows, parent_id) == before, table
    assert waited
    assert found.status_code == answer, found.text
