"""The rows of table.py, asked of a running API."""

import json
from typing import Any

import pytest

from tests.integration.people.crew import Crew
from tests.integration.people.table import ADMIN_FAULTS, CALLERS, FAULTS, MAY, SHAPES

pytestmark = pytest.mark.asyncio(loop_scope="package")


def names(crew: Crew) -> dict[str, str]:
    """Return what the table's braces stand for."""
    people = crew.people
    users = {name: getattr(people, name).id for name in ("owner", "teammate", "stranger", "admin")}
    places = {"team": people.team["id"], "channel": people.channel["id"], "private": people.private["id"]}
    return {**users, **places, "me": people.member.id, "guest": crew.guest.id, "unknown": "x" * 26}


def filled(value: Any, ids: dict[str, str]) -> Any:
    """Return a path or a body with its braces filled."""
    text = json.dumps(value)
    for name, one in ids.items():
        text = text.replace("{" + name + "}", one)
    return json.loads(text)


async def test_who_may(crew: Crew) -> None:
    ids = names(crew)
    callers = [getattr(crew, name, None) or getattr(crew.people, name) for name in CALLERS]
    for method, path, body, expected in MAY:
        found = []
        for caller in callers:
            sent = {} if body is None else {"json": filled(body, ids)}
            found.append((await caller.request(method, filled(path, ids), **sent)).status_code)
        assert tuple(found) == expected, (method, path, body)


async def test_faults(crew: Crew) -> None:
    ids = names(crew)
    for caller, rows in ((crew.people.member, FAULTS), (crew.people.admin, ADMIN_FAULTS)):
        for method, path, body, status, error_id in rows:
            answer = await caller.call(method, filled(path, ids), filled(body, ids), expect=status)
            assert answer["id"] == error_id, (method, path, body)
            assert answer.keys() == {"id", "message", "detailed_error", "request_id", "status_code"}
            assert answer["status_code"] == status


async def test_shapes(crew: Crew) -> None:
    ids = names(crew)
    for method, path, body, expected in SHAPES:
        answer = await crew.people.member.call(method, filled(path, ids), filled(body, ids), expect=200)
        if isinstance(expected, set):
            assert answer, path
            for one in answer:
                assert one.keys() >= expected, path
                assert not one.keys() & {"password", "password_hash", "mfa_secret"}, path
        else:
            assert answer == filled(expected, ids), path


async def test_pages(crew: Crew) -> None:
    me = crew.people.member
    everybody = [user["username"] for user in await me.get("/users")]
    assert everybody == sorted(everybody)
    assert len(everybody) >= 8
    for query, expected in (
        ("per_page=3", everybody[:3]),
        ("page=1&per_page=3", everybody[3:6]),
        ("page=-1&per_page=-1", everybody),
        ("page=x&per_page=x", everybody),
        ("per_page=100000", everybody),
        ("per_page=0", []),
    ):
        assert [user["username"] for user in await me.get(f"/users?{query}")] == expected, query
