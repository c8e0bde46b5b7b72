"""What administrators list of accounts: columns, both directions, filters; each account once, whatever the order."""

from typing import Any

import pytest

from tests.integration.people.crew import Crew

pytestmark = pytest.mark.asyncio(loop_scope="package")
PATH = "/reports/users"


async def walk(crew: Crew, query: str, column: str, key: str) -> list[dict[str, Any]]:
    """Return all pages of two, one after another."""
    found: list[dict[str, Any]] = []
    after = ""
    while page := await crew.people.admin.get(f"{PATH}?page_size=2&sort_column={column}{query}{after}"):
        found += page
        after = f"&from_id={page[-1]['id']}&from_column_value={page[-1].get(key, '')}"
    return found


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("Username", "username"),
        ("Email", "email"),
        ("CreateAt", "create_at"),
        ("Nickname", "nickname"),
        ("Roles", "roles"),
    ],
)
async def test_every_account_is_on_one_page(crew: Crew, column: str, key: str) -> None:
    total = await crew.people.admin.get(PATH + "/count")
    up = await walk(crew, "", column, key)
    assert len({one["id"] for one in up}) == len(up) == total
    assert [(one[key], one["id"]) for one in up] == sorted((one[key], one["id"]) for one in up)
    down = await walk(crew, "&sort_direction=desc", column, key)
    ids = [one["id"] for one in up]  # when one was last seen may change meanwhile
    assert [one["id"] for one in down] == ids[::-1]
    # The page before the last account ends with its neighbour.
    last = f"&from_id={up[-1]['id']}&from_column_value={up[-1][key]}"
    back = await crew.people.admin.get(f"{PATH}?page_size=2&sort_column={column}&direction=prev{last}")
    assert [one["id"] for one in back] == ids[-3:-1]


async def test_filters_and_what_is_shown(crew: Crew) -> None:
    people, admin = crew.people, crew.people.admin

    async def names(query: str) -> list[str]:
        found = [one["username"] for one in await admin.get(f"{PATH}?{query}")]
        assert await admin.get(f"{PATH}/count?{query}") == len(found)
        return found

    everybody = await names("page_size=100")
    assert {"admin", "guest", "gone", "member"} <= set(everybody)
    assert crew.bot.me["username"] not in everybody
    guests = [one["username"] for one in await admin.get("/users?role=system_guest")]
    assert await names("role_filter=system_guest") == guests != []
    inactive = [one["username"] for one in await admin.get("/users?inactive=true")]
    assert {"gone"} <= set(await names("hide_active=true")) <= set(inactive)
    assert "gone" not in await names("hide_inactive=true")
    assert {"guest", "member", "owner"} <= set(members := await names(f"team_filter={people.team['id']}"))
    assert not {"stranger", "admin"} & set(members)
    assert "admin" in await names("has_no_team=true") and "member" not in await names("has_no_team=true")
    assert await names("search_term=@MEMB") == ["member"]
    assert await names("search_term=nobody-here") == []
    [member] = await admin.get(f"{PATH}?search_term=member")
    assert member["email"] == "member@example.org"
    assert not member.keys() & {"password", "mfa_secret", "last_password_update"}


async def test_what_is_refused(crew: Crew) -> None:
    admin, url = crew.people.admin, "api.context.invalid_url_param.app_error"
    for query, error in (
        ("page_size=0", "api.getUsersForReporting.invalid_page_size"),
        ("page_size=101", "api.getUsersForReporting.invalid_page_size"),
        ("page_size=x", "api.getUsersForReporting.invalid_page_size"),
        ("sort_column=password", "model.user_report_options.is_valid.invalid_sort_column"),
        ("date_range=ever", "model.reporting_base_options.is_valid.bad_date_range"),
        ("team_filter=x", url),
        ("role_filter=A%20B", url),
        ("from_id=x", url),
        ("hide_active=true&hide_inactive=true", url),
    ):
        assert (await admin.get(f"{PATH}?{query}", expect=400))["id"] == error, query
