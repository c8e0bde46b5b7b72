"""Lists and searches: who is found, by whom, in which order, and at what cost. Source: Mattermost API v4."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.api import Client
from tests.integration.people.crew import Crew
from tidewire.store import people, sql

pytestmark = pytest.mark.asyncio(loop_scope="package")

CREW = {"admin", "gone", "guest", "member", "owner", "robot", "stranger", "teammate"}
NAMES = {
    "member": {"first_name": "Åsa", "last_name": "Berg", "nickname": "Gullwing"},
    "owner": {"first_name": "Ola", "last_name": "Nordmann", "nickname": ""},
    "teammate": {"first_name": "Tove", "last_name": "Berglund", "nickname": "ola"},
    "stranger": {"first_name": "Olaf", "last_name": "Stranger", "nickname": "50% off_"},
}


@pytest_asyncio.fixture(loop_scope="package")
async def named(crew: Crew) -> AsyncIterator[Crew]:
    """The crew with names."""
    for who, names in NAMES.items():
        await getattr(crew.people, who).put("/users/me/patch", names)
    yield crew
    for who in NAMES:
        blank = {"first_name": "", "last_name": "", "nickname": ""}
        await getattr(crew.people, who).put("/users/me/patch", blank)


def crew_of(users: list[dict[str, Any]]) -> list[str]:
    """Return the usernames among these that every test of the folder has; others make more people."""
    return [user["username"] for user in users if user["username"] in CREW]


async def find(who: Client, term: str, **more: Any) -> list[str]:
    """Search; return usernames."""
    return crew_of(await who.post("/users/search", {"term": term, **more}))


async def listed(who: Client, query: str) -> list[str]:
    """List; return usernames."""
    return crew_of(await who.get(f"/users?{query}"))


@pytest.mark.parametrize("few", [5000, 1], ids=["member by member", "by the indexes"])
async def test_words_and_fields(named: Crew, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(people, "FEW_MAX", few)
    me, team, channel = named.people.member, named.people.team["id"], named.people.channel["id"]
    assert await find(me, "ola") == ["owner", "stranger", "teammate"]
    assert await find(me, "OLA") == ["owner", "stranger", "teammate"]
    assert await find(me, "@ow") == ["owner"]
    assert await find(me, "ola nord") == ["owner"]
    assert await find(me, "nord ola") == ["owner"]
    assert await find(me, "ola xyz") == []
    assert await find(me, "åsa") == ["member"]
    assert await find(me, "Berg") == ["member", "teammate"]
    assert await find(me, "stranger@example") == ["stranger"]
    assert await find(me, "mann") == []  # beginnings only
    assert await find(me, "ola", limit=1) == ["owner"]
    for odd in ("%", "_", "50%", "\\", "'", "ola*", "o%a", "a" * 5000, "\U0010ffff", "a b c d e f g h i j"):
        assert await find(me, odd) == (["stranger"] if odd == "50%" else []), odd
    assert await find(me, "ola", team_id=team) == ["owner", "teammate"]
    assert await find(me, "ola", in_channel_id=channel) == ["owner"]
    assert await find(me, "ola", team_id=team, not_in_channel_id=channel) == ["teammate"]
    assert await find(me, "ola", not_in_team_id=team) == ["stranger"]
    assert await find(me, "gone") == []
    assert await find(me, "gone", allow_inactive=True) == ["gone"]
    assert await find(me, "adm", role="system_admin") == ["admin"]
    assert await find(me, "o", roles=["system_admin"]) == []
    assert await find(me, "o", team_id=team, team_roles=["team_admin"]) == ["owner"]
    assert await find(me, "m", in_channel_id=channel, channel_roles=["channel_user"]) == ["member"]
    assert await find(me, "gu", in_channel_id=channel, channel_roles=["channel_guest"]) == ["guest", "member"][:1]
    assert await find(named.people.admin, "ro", without_team=True) == ["robot"]


async def test_what_is_hidden_is_not_found(named: Crew, config: dict[str, Any]) -> None:
    me, admin = named.people.member, named.people.admin
    config["PrivacySettings.ShowEmailAddress"] = False
    config["PrivacySettings.ShowFullName"] = False
    assert await find(me, "stranger@example") == []
    assert await find(me, "nordmann") == []
    assert await find(me, "ola") == ["teammate"]
    assert await find(admin, "stranger@example") == ["stranger"]
    assert await find(admin, "nordmann") == ["owner"]
    refused = await me.get("/users/email/stranger@example.org", expect=403)
    assert refused["id"] == "api.user.get_user_by_email.permissions.app_error"
    assert (await admin.get("/users/email/stranger@example.org"))["username"] == "stranger"
    for one in await me.get("/users"):
        if one["id"] != me.id:
            assert (one["email"], one["first_name"], one["last_name"]) == ("", "", "")


async def test_autocomplete(named: Crew) -> None:
    me, team, channel = named.people.member, named.people.team["id"], named.people.channel["id"]

    async def complete(query: str) -> dict[str, list[str]]:
        answer = await me.get(f"/users/autocomplete?{query}")
        return {key: crew_of(found) for key, found in answer.items()}

    assert await complete("name=ola") == {"users": ["owner", "stranger", "teammate"]}
    assert await complete(f"name=ola&in_team={team}") == {"users": ["owner", "teammate"]}
    inside = {"users": ["owner"], "out_of_channel": ["teammate"]}
    assert await complete(f"name=ola&in_team={team}&in_channel={channel}") == inside
    assert await complete(f"name=ola&in_channel={channel}") == inside
    assert (await complete(f"in_channel={channel}"))["users"] == ["guest", "member", "owner"]
    assert await complete("name=ola&limit=1") == {"users": ["owner"]}
    assert await complete("name=stranger@example") == {"users": []}  # no addresses here
    assert await complete("name=gone") == {"users": []}
    direct = await me.post("/channels/direct", [me.id, named.people.stranger.id])
    assert await complete(f"in_channel={direct['id']}") == {"users": ["member", "stranger"]}
    wrong = await me.get(f"/users/autocomplete?in_team={team}&in_channel={'x' * 26}", expect=403)
    assert wrong["id"] == "api.context.permissions.app_error"


async def test_lists_and_their_orders(named: Crew) -> None:
    me, team, channel = named.people.member, named.people.team["id"], named.people.channel["id"]
    assert await listed(me, f"in_team={team}") == ["guest", "member", "owner", "teammate"]
    assert await listed(me, f"in_team={team}&roles=system_guest") == ["guest"]
    assert await listed(me, f"in_team={team}&team_roles=team_admin,team_guest") == ["guest", "owner"]
    assert await listed(me, f"in_team={team}&roles=system_guest&team_roles=team_admin") == ["guest", "owner"]
    assert await listed(me, f"in_channel={channel}&channel_roles=channel_admin") == ["owner"]
    assert await listed(me, f"in_channel={channel}&sort=admin") == ["owner", "guest", "member"]
    assert await listed(me, f"in_team={team}&not_in_channel={channel}") == ["teammate"]
    assert "stranger" in await listed(me, f"not_in_team={team}")
    assert await listed(me, "inactive=true") == ["gone"]
    assert "gone" not in await listed(me, "active=true")
    assert await listed(me, "roles=system_admin") == ["admin"]
    assert "admin" not in await listed(me, "roles=system_user")
    # Member's nickname is Gullwing, owner's names are Ola Nordmann, teammate's nickname is ola; guest has none.
    assert sorted(await listed(me, f"in_team={team}&sort=display_name")) == await listed(me, f"in_team={team}")
    assert (await listed(me, f"in_channel={channel}&sort=display_name"))[:2] == ["member", "owner"]
    made = [user["create_at"] for user in await me.get(f"/users?in_team={team}&sort=create_at")]
    assert made == sorted(made, reverse=True)
    await named.town.db.execute("DELETE FROM statuses")
    for who, status in ((named.people.owner, "dnd"), (named.people.member, "away")):
        await who.put("/users/me/status", {"user_id": who.id, "status": status})
    assert await listed(me, f"in_channel={channel}&sort=status") == ["member", "owner", "guest"]
    assert (await listed(me, f"in_team={team}&sort=last_activity_at"))[:2] == ["member", "owner"]
    first = await me.request("GET", f"/users?in_team={team}")
    again = {"If-None-Match": first.headers["ETag"]}
    assert (await me.request("GET", f"/users?in_team={team}", headers=again)).status_code == 304
    await named.people.owner.put("/users/me/patch", {"position": "Bosun"})
    assert (await me.request("GET", f"/users?in_team={team}", headers=again)).status_code == 200


@pytest.mark.parametrize("few", [5000, 1], ids=["one by one", "by the indexes"])
async def test_guests_see_only_people_who_share_a_channel(
    named: Crew, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(people, "FEW_MAX", few)
    guest, everyone = named.guest, named.people
    near, far = everyone.member, everyone.stranger
    assert await listed(guest, "") == ["guest", "member", "owner"]
    assert await listed(guest, f"in_team={everyone.team['id']}") == ["guest", "member", "owner"]
    assert await find(guest, "ola") == ["owner"]
    assert await find(guest, "guest") == ["guest"]
    found = await guest.post("/users/ids", [near.id, far.id, guest.id, "x" * 26])
    assert {user["id"] for user in found} == {near.id, guest.id}
    assert [user["username"] for user in await guest.post("/users/usernames", ["member", "stranger"])] == ["member"]
    known = set(await guest.get("/users/known"))
    assert {near.id, everyone.owner.id} <= known
    assert not known & {far.id, guest.id, everyone.teammate.id}
    seen = await guest.get("/users?active=true&per_page=200")
    assert await guest.get("/users/stats") == {"total_users_count": len(seen)}
    answers = [await guest.get(f"/users/{path}", expect=403) for path in (far.id, "x" * 26)]
    answers += [await guest.get(f"/users/username/{name}", expect=403) for name in ("stranger", "nobody")]
    assert len({(one["id"], one["message"]) for one in answers}) == 1


async def test_known_and_stats(named: Crew) -> None:
    everyone = named.people
    known = await everyone.member.get("/users/known")
    assert everyone.member.id not in known
    assert {everyone.owner.id, everyone.teammate.id, named.guest.id} <= set(known)  # town-square
    assert await named.bot.get("/users/known") == []
    active = await named.town.db.fetchval("SELECT count(*) FROM users WHERE delete_at = 0")
    assert await everyone.member.get("/users/stats") == {"total_users_count": active}


OURS = {query for family in ("people", "users", "preferences", "pictures", "members", "teams") for query in
        sql.load(family).values()}  # fmt: skip


@contextmanager
def statements(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note the statements of this folder's subjects."""
    seen: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        method = getattr(asyncpg.Connection, name)

        def noting(self: Any, query: str, *args: Any, _method: Any = method, **options: Any) -> Any:
            if query in OURS:
                seen.append(query)
            return _method(self, query, *args, **options)

        patch.setattr(asyncpg.Connection, name, noting)
    yield seen


async def test_statements_do_not_grow_with_what_is_asked(named: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    everyone, guest = named.people, named.guest
    me, team = everyone.member, everyone.team["id"]
    rows = await named.town.db.fetch("SELECT id, username FROM users ORDER BY id")
    ids, usernames = [row["id"] for row in rows], [row["username"] for row in rows]
    group = await me.post("/channels/group", [me.id, everyone.owner.id, everyone.teammate.id])
    items = [{"user_id": me.id, "category": "count", "name": str(number), "value": "x"} for number in range(50)]
    asked: list[tuple[Client, str, str, Any, int]] = [
        (me, "GET", "/users", None, 1),
        (me, "GET", f"/users?in_team={team}", None, 2),
        (guest, "GET", "/users", None, 2),
        (me, "POST", "/users/usernames", usernames, 1),
        (guest, "POST", "/users/usernames", usernames, 2),
        (me, "POST", "/users/search", {"term": "o"}, 1),
        (me, "GET", f"/users/autocomplete?in_channel={everyone.channel['id']}", None, 4),
        (me, "GET", "/users/known", None, 1),
        (me, "GET", "/users/stats", None, 1),
        (me, "POST", "/users/ids?since=1", ids, 1),
        (me, "PUT", "/users/me/preferences", items, 3),  # his row, what he has, the write
        (me, "POST", "/users/me/preferences/delete", items, 2),
        (me, "PUT", "/users/me/patch", {"position": "x"}, 3),
    ]
    with statements(monkeypatch) as seen:
        await me.post("/users/group_channels", [group["id"]])
        for who, method, path, body, most in asked:
            await who.call(method, path, body)  # what is cached is cached now
            seen.clear()
            await who.call(method, path, body)
            assert 0 < len(seen) <= most, (path, seen)
        seen.clear()
        await me.post("/users/group_channels", [group["id"], everyone.channel["id"], *ids])
        assert len(seen) <= 2, seen
