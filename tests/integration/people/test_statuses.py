"""Statuses: chosen by hand, by sockets, by the clock; custom ones. Source: Mattermost API v4."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.api import Client
from tests.integration.gateway.world import PATIENCE_S
from tests.integration.people.crew import Crew
from tidewire.actions.status import PROCESSES, load_presence, user_key
from tidewire.bus.redis_client import RedisClient

pytestmark = pytest.mark.asyncio(loop_scope="package")

NEVER = "0001-01-01T00:00:00Z"


async def choose(who: Client, status: str, *, ends: int = 0, expect: int = 200) -> Any:
    """Choose one's status."""
    body = {"user_id": who.id, "status": status, "dnd_end_time": ends}
    return await who.put(f"/users/{who.id}/status", body, expect=expect)


async def shown(crew: Crew, who: Client) -> str:
    """Return the status that others see."""
    status: str = (await crew.people.admin.get(f"/users/{who.id}/status"))["status"]
    return status


async def becomes(crew: Crew, who: Client, wanted: str) -> None:
    """Wait for a status."""
    async with asyncio.timeout(PATIENCE_S):
        while await shown(crew, who) != wanted:
            await asyncio.sleep(0.05)


async def row(crew: Crew, who: Client) -> dict[str, Any]:
    """Return what PostgreSQL has."""
    found = await crew.town.db.fetchrow("SELECT * FROM statuses WHERE user_id = $1", who.id)
    return dict(found) if found else {}


async def test_what_is_chosen_wins_with_and_without_sockets(crew: Crew) -> None:
    me = crew.people.owner
    await crew.town.db.execute("DELETE FROM statuses WHERE user_id = $1", me.id)
    assert await shown(crew, me) == "offline"
    for status, manual in (("away", True), ("dnd", True), ("offline", True), ("online", False)):
        answer = await choose(me, status)
        assert answer.keys() == {"user_id", "status", "manual", "last_activity_at", "dnd_end_time"}
        assert (answer["user_id"], answer["status"], answer["manual"]) == (me.id, status, manual)
        assert answer["last_activity_at"] > time.time() * 1000 - 60_000
        assert answer == await crew.people.admin.get(f"/users/{me.id}/status")
        assert (await me.post("/users/status/ids", [me.id, "x" * 26]))[0] == answer
    await choose(me, "dnd")
    socket = await crew.socket(me)
    other = await crew.socket(crew.people.admin)
    assert await shown(crew, me) == "dnd"
    await choose(me, "offline")
    async with asyncio.timeout(PATIENCE_S):
        while (event := await socket.event("status_change"))["data"]["status"] != "offline":
            pass
    assert event["data"] == {"status": "offline", "user_id": me.id}
    assert event["broadcast"]["user_id"] == me.id
    assert await shown(crew, me) == "offline"
    # Only one's own devices hear it.
    await other.quiet()
    assert [one["data"]["user_id"] for one in other.events if one["event"] == "status_change"] in (
        [], [crew.people.admin.id])  # fmt: skip
    await choose(me, "online")
    assert await shown(crew, me) == "online"
    await socket.socket.close()
    await becomes(crew, me, "offline")


async def test_online_by_rest_alone_ends_like_idleness(crew: Crew, config: dict[str, Any]) -> None:
    config["TeamSettings.UserStatusAwayTimeout"] = 1
    me = crew.people.teammate
    await choose(me, "online")
    assert await shown(crew, me) == "online"
    await becomes(crew, me, "offline")


async def test_do_not_disturb_ends_by_itself(crew: Crew) -> None:
    me = crew.people.member
    socket = await crew.socket(me)
    ends = int(time.time()) + 4  # later than the answer, on a busy machine too
    answer = await choose(me, "dnd", ends=ends)
    assert (answer["status"], answer["dnd_end_time"]) == ("dnd", ends)
    async with asyncio.timeout(PATIENCE_S):
        while (await socket.event("status_change"))["data"]["status"] != "dnd":
            pass
    async with asyncio.timeout(PATIENCE_S):
        while (await socket.event("status_change"))["data"]["status"] != "online":
            pass
    assert time.time() >= ends
    assert await shown(crew, me) == "online"
    stored = await row(crew, me)
    assert (stored["manual"], stored["dnd_end_time"]) == (False, 0)
    # What is over already never begins.
    assert (await choose(me, "dnd", ends=1))["status"] == "online"


async def test_a_status_that_cannot_be_read_holds_up_nothing(crew: Crew) -> None:
    me, other, db = crew.people.member, crew.people.owner, crew.town.db
    socket = await crew.socket(me)
    redis = RedisClient(crew.people.api.settings.redis.url)
    over = "UPDATE statuses SET dnd_end_time = 1 WHERE user_id = $1"
    try:
        for who in (other, me):
            await choose(who, "dnd", ends=int(time.time()) + 3600)
        for process in await redis.call("ZRANGE", PROCESSES, 0, -1):
            await redis.call("HSET", user_key(other.id), process, "what is this?")
        await db.execute(over, other.id)
        async with asyncio.timeout(PATIENCE_S):
            while (await row(crew, other))["manual"]:
                await asyncio.sleep(0.05)
        await redis.call("DEL", user_key(other.id))
        await db.execute(over, me.id)
        async with asyncio.timeout(PATIENCE_S):
            while (await socket.event("status_change"))["data"]["status"] != "online":
                pass
    finally:
        await redis.close()


async def test_the_sweep_is_bounded_and_one_at_a_time(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    from tidewire.store import statuses

    db, ids = crew.town.db, [f"{number:026d}" for number in range(7)]
    async with db.transaction() as tx:  # another process leads
        await tx.fetchval("SELECT pg_advisory_xact_lock(7813011338)")
        for user_id in ids:
            await db.execute(
                "INSERT INTO statuses (user_id, status, manual, dnd_end_time) VALUES ($1, 'dnd', true, 5)", user_id
            )
        assert await statuses.end_dnd(db, 100) == []
        assert await db.fetchval("SELECT count(*) FROM statuses WHERE dnd_end_time = 5") == 7
    ended: list[str] = []
    while len(ended) < 7:
        some = await statuses.end_dnd(db, 3)
        assert len(some) <= 3
        ended += some
        if not some:  # the API's own sweep had the rest
            break
    assert await db.fetchval("SELECT count(*) FROM statuses WHERE dnd_end_time = 5") == 0


async def test_presence_is_written_down_behind(crew: Crew) -> None:
    me = crew.people.stranger
    socket = await crew.socket(me)
    channel = crew.people.channel["id"]
    await socket.act("presence", {"channel_id": channel})
    started = time.time() * 1000
    async with asyncio.timeout(PATIENCE_S):
        while (await row(crew, me)).get("status") != "online":
            await asyncio.sleep(0.05)
    assert abs((await row(crew, me))["last_activity_at"] - started) < 30_000
    client = RedisClient(crew.people.api.settings.redis.url)
    async with asyncio.timeout(PATIENCE_S):
        while (await load_presence(client, [me.id], heartbeat_s=5))[0].channel_id != channel:
            await asyncio.sleep(0.05)
    await client.close()
    await socket.socket.close()
    async with asyncio.timeout(PATIENCE_S):
        while (await row(crew, me))["status"] != "offline":
            await asyncio.sleep(0.05)
    # One who is away is known to have been there.
    assert (await crew.people.admin.get(f"/users/{me.id}/status"))["last_activity_at"] > 0


async def test_away_follows_the_configuration(crew: Crew, config: dict[str, Any]) -> None:
    config["TeamSettings.UserStatusAwayTimeout"] = 7
    crew.town.gateway.on_config()
    try:
        assert crew.town.gateway.presence._away_after_ms == 7000
    finally:
        config.clear()
        crew.town.gateway.on_config()


BAD: list[tuple[Any, str]] = [
    ({"status": "busy"}, "status"),
    ({"status": "ooo"}, "status"),
    ({"status": ""}, "status"),
    ({"dnd_end_time": -1}, "status"),
    ({"dnd_end_time": 1 << 62}, "status"),
    ({"dnd_end_time": "soon"}, "status"),
    ({"status": 5}, "status"),
    ({"user_id": "x" * 26}, "user_id"),
    ({"user_id": ""}, "user_id"),
]


async def test_what_cannot_be_chosen(crew: Crew) -> None:
    me = crew.people.member
    for change, name in BAD:
        body = {"user_id": me.id, "status": "dnd", "dnd_end_time": 0} | change
        answer = await me.put("/users/me/status", body, expect=400)
        assert answer["id"] == "api.context.invalid_body_param.app_error"
        assert name in answer["message"], change
    unknown = {"user_id": "x" * 26, "status": "dnd"}
    await crew.people.admin.put(f"/users/{'x' * 26}/status", unknown, expect=404)
    missing = await me.get(f"/users/{'x' * 26}/status", expect=404)
    assert missing["id"] == "api.status.user_not_found.app_error"
    assert (await me.post("/users/status/ids", ["x" * 26])) == [
        {"user_id": "x" * 26, "status": "offline", "manual": False, "last_activity_at": 0, "dnd_end_time": 0}
    ]
    for ids in ([], ["x" * 65], [str(number) for number in range(201)]):
        await me.post("/users/status/ids", ids, expect=400)


def later(**delta: float) -> str:
    """Return a time from now, as clients write it."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def custom(who: Client) -> Any:
    """Return one's custom status as clients read it."""
    text = (await who.get("/users/me"))["props"]["customStatus"]
    return json.loads(text) if text else None


async def test_custom_status(crew: Crew) -> None:
    me = crew.people.owner
    path = "/users/me/status/custom"
    others, mine = await crew.socket(crew.people.stranger), await crew.socket(me)
    ends = later(hours=1)
    wanted = {"emoji": "calendar", "text": "In a meeting", "duration": "one_hour", "expires_at": ends}
    _, told = await crew.announced(me.put(path, wanted))
    assert [[copy.name for copy in one.copies] for one in told] == [
        ["user_updated"] * 3,
        ["sidebar_category_updated", "preferences_changed"],
    ]
    assert json.loads((await others.event("user_updated"))["data"]["user"]["props"]["customStatus"]) == wanted
    changed = json.loads((await mine.event("preferences_changed"))["data"]["preferences"])
    assert json.loads(changed[0]["value"]) == [wanted]
    assert await custom(me) == wanted
    await me.put(path, {"emoji": "", "text": "x" * 300})
    assert await custom(me) == {"emoji": "speech_balloon", "text": "x" * 100, "duration": "", "expires_at": NEVER}
    await me.put(path, {"text": "Later", "expires_at": later(days=2)})
    assert (await custom(me))["duration"] == "date_and_time"
    for number in range(5):
        await me.put(path, {"emoji": "sheep", "text": f"{number}"})
    await me.put(path, {"emoji": "ram", "text": "3"})
    preference = "/users/me/preferences/custom_status/name/recent_custom_statuses"
    recent = json.loads((await me.get(preference))["value"])
    assert [(one["emoji"], one["text"]) for one in recent] == [
        ("ram", "3"), ("sheep", "4"), ("sheep", "2"), ("sheep", "1"), ("sheep", "0")]  # fmt: skip
    await me.post(path + "/recent/delete", recent[1])
    await me.call("DELETE", path + "/recent", recent[2], expect=200)
    assert len(json.loads((await me.get(preference))["value"])) == 3
    again = await me.post(path + "/recent/delete", recent[1], expect=400)
    assert again["id"] == "api.custom_status.recent_custom_statuses.delete.app_error"
    await me.delete(path)
    assert await custom(me) is None
    assert len(json.loads((await me.get(preference))["value"])) == 3
    # Clients may write anything into their preferences; it costs nobody a 500.
    junk = {"user_id": me.id, "category": "custom_status", "name": "recent_custom_statuses", "value": "{"}
    await me.put("/users/me/preferences", [junk])
    await me.post(path + "/recent/delete", recent[1], expect=400)
    await me.put(path, {"text": "ok"})


async def test_bad_custom_statuses(crew: Crew, config: dict[str, Any]) -> None:
    me = crew.people.member
    good = {"emoji": "sheep", "text": "x", "duration": "today", "expires_at": later(hours=3)}
    bad: list[dict[str, Any]] = [
        {"emoji": "", "text": ""}, {"emoji": "no such name"}, {"emoji": "x" * 65}, {"duration": "fortnight"},
        {"expires_at": later(minutes=-1)}, {"expires_at": NEVER}, {"expires_at": "tomorrow"}, {"text": 5},
        {"expires_at": "9999-99-99T00:00:00Z"}, {"expires_at": "2040-01-01"},
        {"duration": "", "expires_at": later(hours=-2)},
    ]  # fmt: skip
    for change in bad:
        answer = await me.put("/users/me/status/custom", good | change, expect=400)
        assert answer["id"] == "api.context.invalid_body_param.app_error", change
        assert "custom_status" in answer["message"]
    config["TeamSettings.EnableCustomUserStatuses"] = False
    for method, path in (
        ("PUT", "/users/me/status/custom"),
        ("DELETE", "/users/me/status/custom"),
        ("POST", "/users/me/status/custom/recent/delete"),
    ):
        answer = await me.call(method, path, good, expect=501)
        assert answer["id"] == "api.custom_status.disabled"


async def test_who_may(crew: Crew) -> None:
    people = crew.people
    callers = (people.anonymous, crew.gone, people.stranger, crew.guest, people.member, people.owner, people.admin)
    me = people.member.id
    status = {"user_id": me, "status": "online"}
    table: list[tuple[str, str, Any, tuple[int, ...]]] = [
        ("PUT", f"/users/{me}/status", status, (401, 401, 403, 403, 200, 403, 200)),
        ("GET", f"/users/{me}/status", None, (401, 401, 200, 200, 200, 200, 200)),
        ("POST", "/users/status/ids", [me], (401, 401, 200, 200, 200, 200, 200)),
        ("PUT", f"/users/{me}/status/custom", {"text": "hi"}, (401, 401, 403, 403, 200, 403, 200)),
        ("POST", f"/users/{me}/status/custom/recent/delete", {"text": "-"}, (401, 401, 403, 403, 400, 403, 400)),
        ("DELETE", f"/users/{me}/status/custom", None, (401, 401, 403, 403, 200, 403, 200)),
    ]
    for method, path, body, expected in table:
        json_body = {} if body is None else {"json": body}
        found = [(await caller.request(method, path, **json_body)).status_code for caller in callers]
        assert tuple(found) == expected, (method, path)
