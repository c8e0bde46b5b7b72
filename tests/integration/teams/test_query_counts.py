"""What each operation asks of PostgreSQL: as many statements for two as for twenty; and searches go by an index."""

from collections.abc import Awaitable, Callable

import pytest

from tests.fixtures.statements import Statements
from tests.integration.teams.town import Town
from tidewire.store import sql

pytestmark = pytest.mark.asyncio(loop_scope="module")
# System posts go into group commits, whose number is the clock's.
POSTING = {*sql.load("post_writes").values()}


async def statements_of(statements: Statements, act: Awaitable[object]) -> list[str]:
    """Return the statements of a request, without those of posts."""
    await statements.settled()
    statements.seen.clear()
    await act
    return [query for query in statements.seen if query not in POSTING]


async def test_lists_of_many_cost_what_lists_of_few_do(statements: Statements, town: Town) -> None:
    async def additions(count: int) -> list[str]:
        team = await town.new_team()
        ids = [(await town.new_newcomer())["id"] for _ in range(count)]
        body = [{"user_id": user_id} for user_id in ids]
        path = f"/teams/{team['id']}/members/batch"
        return await statements_of(statements, town.admin.post(path, body, expect=201))

    async def channel_additions(count: int) -> list[str]:
        channel = await town.new_channel()
        body = {"user_ids": [(await town.new_newcomer())["id"] for _ in range(count)]}
        path = f"/channels/{channel['id']}/members"
        return await statements_of(statements, town.chanadmin.post(path, body, expect=201))

    async def team_leave(count: int) -> list[str]:
        team = await town.new_team()
        for _ in range(count):
            await town.new_channel(team_id=team["id"])
        path = f"/teams/{team['id']}/members/{town.member.id}"
        return await statements_of(statements, town.admin.delete(path))

    async def placing(count: int) -> list[str]:
        path = f"/users/me/teams/{town.ids['team']}/channels/categories"
        ids = [(await town.new_channel())["id"] for _ in range(count)]
        made = await town.member.post(path, {"display_name": "P"}, expect=200)
        body = [{**made, "channel_ids": ids, "muted": True}]
        return await statements_of(statements, town.member.put(path, body))

    async def move(count: int) -> list[str]:
        target = await town.new_team()
        channel = await town.new_channel()
        for _ in range(count):
            user_id = (await town.new_newcomer())["id"]
            await town.chanadmin.post(f"/channels/{channel['id']}/members", {"user_id": user_id}, expect=201)
        path = f"/channels/{channel['id']}/move"
        return await statements_of(
            statements, town.admin.post(path, {"team_id": target["id"], "force": True}, expect=200)
        )

    async def own_teams(count: int) -> list[str]:
        for _ in range(count):
            await town.stranger.new_team(f"t{town.number()}")
        return await statements_of(statements, town.stranger.get("/users/me/teams"))

    calls: list[Callable[[int], Awaitable[list[str]]]] = [
        additions, channel_additions, team_leave, placing, move, own_teams,
    ]  # fmt: skip
    for call in calls:
        few, many = len(await call(2)), await call(7)
        # Less by what the first call left in memory.
        assert len(many) <= few, (call.__name__, many)


async def test_reads_are_one_statement_each(statements: Statements, town: Town) -> None:
    team, channel = town.ids["team"], town.ids["channel"]
    reads = [
        (f"/teams/{team}/channels", 1),
        (f"/teams/{team}/channels/autocomplete?name=har", 1),
        (f"/teams/{team}/channels/search_autocomplete?name=har", 1),
        (f"/teams/{team}/channels/deleted", 1),
        (f"/users/me/teams/{team}/channels", 1),
        (f"/users/me/teams/{team}/channels/categories", 2),
        (f"/channels/{channel}/members", 1),
        (f"/channels/{channel}/timezones", 1),
        ("/users/me/channel_members?page=-1", 1),
        ("/users/me/teams/unread", 1),
    ]
    for path, expected in reads:
        await town.member.get(path) if "page=-1" not in path else await town.member.request("GET", path)
        asked = await statements_of(statements, town.member.request("GET", path))
        assert len(asked) == expected, (path, asked)


async def test_searches_go_by_the_index_of_words(town: Town) -> None:
    queries = sql.load("channel_search")
    plans = {
        "found_in_team": "EXPLAIN EXECUTE q ('t', 'word', 'u', true, true, false, true, true, 50, 0)",
        "found_anywhere": "EXPLAIN EXECUTE q ('word', '{}', true, true, true, true, false, '', '', 50, 0)",
        "listed_in_team": "EXPLAIN EXECUTE q ('t', 'u', true, true, false, true, true, 50, 0)",
    }
    await town.sql("SET enable_seqscan = off")
    try:
        for name, explain in plans.items():
            await town.sql(f"PREPARE q AS {queries[name]}")
            plan = "\n".join(row[0] for row in await town.sql(explain))
            await town.sql("DEALLOCATE q")
            assert "Seq Scan" not in plan, plan
            assert ("channels_words" in plan) == name.startswith("found"), plan
    finally:
        await town.sql("SET enable_seqscan = on")
