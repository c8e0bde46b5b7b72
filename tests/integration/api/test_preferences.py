"""Preferences: one's own list, its limits, and saved posts."""

import asyncio
from typing import Any

import pytest

from tests.fixtures.api import People
from tidewire.actions import preferences

PATH = "/users/me/preferences"


async def test_put_list_and_delete(people: People) -> None:
    me = people.member

    def item(category: str, name: str, value: str = "true") -> dict[str, Any]:
        return {"user_id": me.id, "category": category, "name": name, "value": value}

    assert await me.get(PATH) == []
    assert await me.put(PATH, [item("a", "x", "1"), item("a", "y"), item("b", "x"), item("a", "x", "2")]) == {
        "status": "OK"
    }
    assert await me.get(PATH) == [item("a", "x", "2"), item("a", "y"), item("b", "x")]
    assert await me.get(PATH + "/a") == [item("a", "x", "2"), item("a", "y")]
    assert await me.get(PATH + "/b/name/x") == item("b", "x")
    await me.get(PATH + "/none", expect=404)
    await me.get(PATH + "/a/name/none", expect=404)
    await me.post(PATH + "/delete", [item("a", "x", ""), item("zzz", "x")])
    assert await me.get(PATH) == [item("a", "y"), item("b", "x")]


async def test_limits_and_owners(people: People) -> None:
    me, other = people.member, people.owner
    good = {"user_id": me.id, "category": "c", "name": "n", "value": "v"}
    cases: list[tuple[Any, int, str]] = [
        ([], 400, "api.context.invalid_body_param.app_error"),
        ([good] * 101, 400, "api.context.invalid_body_param.app_error"),
        ({}, 400, "api.context.invalid_body_param.app_error"),
        ([{**good, "user_id": other.id}], 403, "api.preference.update_preferences.set.app_error"),
        ([{**good, "category": ""}], 400, "model.preference.is_valid.category.app_error"),
        ([{**good, "category": "x" * 33}], 400, "model.preference.is_valid.category.app_error"),
        ([{**good, "name": "x" * 33}], 400, "model.preference.is_valid.name.app_error"),
        ([{**good, "value": "x" * 20_001}], 400, "model.preference.is_valid.value.app_error"),
        ([{**good, "value": 1}], 400, "api.context.invalid_body_param.app_error"),
        ([{**good, "value": "a\0b"}], 400, "api.context.invalid_body_param.app_error"),
    ]
    for body, status, error_id in cases:
        assert (await me.put(PATH, body, expect=status))["id"] == error_id
    await me.put(PATH, [{**good, "value": "x" * 20_000}])
    await other.get(f"/users/{me.id}/preferences", expect=403)
    await other.put(f"/users/{me.id}/preferences", [good], expect=403)
    assert len(await people.admin.get(f"/users/{me.id}/preferences")) == 1


async def test_only_readable_posts_can_be_saved(people: People) -> None:
    post = await people.member.post("/posts", {"channel_id": people.private["id"], "message": "x"})
    for caller, status in ((people.member, 200), (people.teammate, 403), (people.stranger, 403)):
        item = {"user_id": caller.id, "category": "flagged_post", "name": post["id"], "value": "true"}
        await caller.put(PATH, [item], expect=status)
        unknown = {**item, "name": "x" * 26}
        await caller.put(PATH, [unknown], expect=403)
        await caller.put(PATH, [{**item, "name": "x"}], expect=400)


async def test_crossing_writes_do_not_deadlock(people: People) -> None:
    me = people.member
    items = [{"user_id": me.id, "category": f"c{i}", "name": "n", "value": "v"} for i in range(20)]
    turns = [me.put(PATH, items if number % 2 else items[::-1], expect=200) for number in range(12)]
    turns += [me.post(PATH + "/delete", items, expect=200) for _ in range(4)]
    await asyncio.gather(*turns)


async def test_a_users_preferences_have_an_end(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are loaded at once, at each start of a client: without an end one user filled the memory."""
    me = people.teammate
    monkeypatch.setattr(preferences, "ALL_BYTES", len(await me.get(PATH)) * 1000 + 30_000)
    long = [{"user_id": me.id, "category": "long", "name": name, "value": "x" * 20_000} for name in ("a", "b")]
    await me.put(PATH, long[:1])
    full = await me.put(PATH, long[1:], expect=400)
    assert full["id"] == "api.preference.update_preferences.too_many.app_error"
    await me.put(PATH, [{**long[0], "value": "y" * 20_000}])
    assert [(one["name"], one["value"][:1]) for one in await me.get(PATH + "/long")] == [("a", "y")]
    await me.post(PATH + "/delete", long[:1])
    await me.put(PATH, long[1:])
    await me.post(PATH + "/delete", long[1:])
