"""The tables of rows.py, each row by HTTP."""

from typing import Any

import pytest

from tests.integration.teams.more_rows import MORE, PAGED, WRONG
from tests.integration.teams.program_rows import PROGRAMS
from tests.integration.teams.rows import ERRORS, NOBODY, PERMISSIONS, SHAPES
from tests.integration.teams.town import CALLERS, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


def label(value: object) -> str:
    """Return what pytest shows of a parameter."""
    return str(value)[:60]


async def send(town: Town, caller: str, method: str, path: str, body: Any) -> Any:
    """Send a request with the braces filled."""
    given: dict[str, Any] = {}
    if isinstance(body, bytes):
        given["content"] = body
    elif body is not None:
        given["json"] = await town.fill_in(body)
    return await town.callers[caller].request(method, await town.fill(path), **given)


@pytest.mark.parametrize(("method", "path", "body", "expected"), [*PERMISSIONS, *MORE, *PROGRAMS], ids=label)
async def test_who_may(town: Town, method: str, path: str, body: Any, expected: tuple[int, ...]) -> None:
    found = []
    callers = CALLERS[: 2 + len(expected)]  # what ends every log-in is asked by those who may not
    for caller in callers:
        answer = await send(town, caller, method, path, body)
        found.append((caller, answer.status_code))
        if method == "HEAD":
            assert answer.content == b""
        elif answer.status_code >= 400:
            assert answer.json()["status_code"] == answer.status_code
        elif not path.endswith("/reactions"):  # the contract's one list that is null when it is empty
            assert answer.content != b"null"
    assert found == list(zip(callers, (*NOBODY, *expected), strict=True))


@pytest.mark.parametrize("path", PAGED)
async def test_pages(town: Town, path: str) -> None:
    first = (await send(town, "admin", "GET", path, None)).json()
    for query, expected in (
        ("page=-1&per_page=-1", first), ("page=x&per_page=x", first), ("page=0&per_page=60", first),
        ("page=0&per_page=0", []), ("page=100000", []), ("page=1e9&per_page=0x10", first),
        ("page=0&per_page=1", first[:1]),
    ):  # fmt: skip
        if query.startswith("page=-1") and path.endswith("/channel_members"):
            continue  # there it means all of them, one a line
        answer = await send(town, "admin", "GET", f"{path}?{query}", None)
        assert (answer.status_code, _same(answer.json())) == (200, _same(expected)), query
    assert len((await send(town, "admin", "GET", path + "?per_page=100000", None)).json()) <= 200


def _same(value: Any) -> Any:
    """Return ids, or what else tells rows apart: audits grow while they are asked for."""
    return [one.get("id") or (one.get("channel_id"), one.get("user_id")) for one in value]


@pytest.mark.parametrize(("caller", "method", "path", "body", "status", "error"), [*ERRORS, *WRONG], ids=label)
async def test_what_goes_wrong(
    town: Town, caller: str, method: str, path: str, body: Any, status: int, error: str
) -> None:
    answer = await send(town, caller, method, path, body)
    assert (answer.status_code, answer.json().get("id") if error else "") == (status, error), answer.text


@pytest.mark.parametrize(("caller", "method", "path", "body", "status", "members"), SHAPES, ids=label)
async def test_what_is_answered(
    town: Town, caller: str, method: str, path: str, body: Any, status: int, members: str
) -> None:
    answer = await send(town, caller, method, path, body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    value = answer.json()
    if members == "[]":
        assert value == []
        return
    value = value[0] if isinstance(value, list) else value
    assert sorted(value.keys() - {"last_team_icon_update"}) == sorted(members.split())
