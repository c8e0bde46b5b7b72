"""A seeded history: its counters are what one would count, the API goes on from it, and it can be purged."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from loadtest import history
from loadtest.purge import purge
from loadtest.seed import Plan, SeededUser, World, seed
from tests.fixtures.api import Client, People
from tests.integration.gateway.world import World as Town
from tests.integration.gateway.world import world
from tidewire.store.db import Database

PLAN = Plan(users=40, channels=6, teams=2, posts=600, skewed=True, seed=5)

# What each stored counter would be if it were counted: rows in which the two differ.
RECOUNTS = {
    "channels": """
        SELECT c.id FROM channels c LEFT JOIN LATERAL (
            SELECT count(*) AS posts, count(*) FILTER (WHERE root_id = '') AS roots,
                coalesce(max(create_at), 0) AS last,
                coalesce(max(create_at) FILTER (WHERE root_id = ''), 0) AS last_root
            FROM posts WHERE channel_id = c.id) p ON true
        WHERE c.team_id = ANY($1) AND (c.total_msg_count, c.total_msg_count_root, c.last_post_at, c.last_root_post_at,
                c.event_n)
            <> (p.posts, p.roots, p.last, p.last_root,
                p.posts + (SELECT count(*) FROM reactions r WHERE r.channel_id = c.id))""",
    "channel_members": """
        SELECT m.user_id FROM channel_members m JOIN channels c ON c.id = m.channel_id, LATERAL (
            SELECT count(*) AS posts, count(*) FILTER (WHERE root_id = '') AS roots FROM posts
            WHERE channel_id = c.id AND create_at <= m.last_viewed_at) p
        WHERE c.team_id = ANY($1) AND (m.msg_count, m.msg_count_root) <> (p.posts, p.roots)""",
    "read what one wrote": """
        SELECT p.id FROM posts p JOIN channels c ON c.id = p.channel_id
            LEFT JOIN channel_members m ON m.channel_id = p.channel_id AND m.user_id = p.user_id
        WHERE c.team_id = ANY($1) AND p.root_id = '' AND coalesce(m.last_viewed_at, 0) < p.create_at""",
    "threads": """
        SELECT t.root_id FROM threads t JOIN channels c ON c.id = t.channel_id, LATERAL (
            SELECT sum(n) AS replies, max(last) AS last, array_agg(user_id ORDER BY first) AS users FROM (
                SELECT user_id, count(*) AS n, min(create_at) AS first, max(create_at) AS last FROM posts
                WHERE root_id = t.root_id GROUP BY user_id) u) p
        WHERE c.team_id = ANY($1)
            AND (t.reply_count, t.last_reply_at, t.participants) <> (p.replies, p.last, p.users)""",
    "threads of all roots": """
        SELECT p.root_id FROM posts p JOIN channels c ON c.id = p.channel_id
            LEFT JOIN threads t ON t.root_id = p.root_id
        WHERE c.team_id = ANY($1) AND p.root_id <> '' AND t.channel_id IS DISTINCT FROM p.channel_id""",
    "followers": """
        SELECT 1 FROM (
            SELECT t.root_id, u FROM threads t JOIN channels c ON c.id = t.channel_id JOIN posts p ON p.id = t.root_id,
                unnest(t.participants || p.user_id) u WHERE c.team_id = ANY($1) GROUP BY 1, 2) x
        FULL JOIN (SELECT m.root_id, m.user_id FROM thread_members m JOIN channels c ON c.id = m.channel_id
            WHERE c.team_id = ANY($1)) y ON (y.root_id, y.user_id) = (x.root_id, x.u)
        WHERE x.u IS NULL OR y.user_id IS NULL""",
    "thread read": """
        SELECT m.root_id FROM thread_members m JOIN channels c ON c.id = m.channel_id
        WHERE c.team_id = ANY($1) AND m.last_viewed_at <> coalesce(
            (SELECT max(create_at) FROM posts p WHERE p.root_id = m.root_id AND p.user_id = m.user_id), 0)""",
    "posts": """
        SELECT p.id FROM posts p JOIN channels c ON c.id = p.channel_id LEFT JOIN threads t ON t.root_id = p.id
        WHERE c.team_id = ANY($1) AND (
            p.has_reactions <> EXISTS (SELECT FROM reactions r WHERE r.post_id = p.id)
            OR p.update_at <> greatest(p.create_at, t.last_reply_at,
                (SELECT max(r.create_at) FROM reactions r WHERE r.post_id = p.id))
            OR (p.root_id <> '' AND NOT EXISTS (SELECT FROM posts r WHERE r.id = p.root_id AND r.root_id = ''
                AND r.channel_id = p.channel_id AND r.create_at < p.create_at)))""",
}  # fmt: skip


def as_seeded(people: People, user: SeededUser) -> Client:
    return Client(people.api.anonymous(Authorization=f"Bearer {user.token}").http, {"id": user.user_id})


async def eventually(ask: Any) -> Any:
    """Ask until there is an answer."""
    async with asyncio.timeout(20):
        while not (found := await ask()):
            await asyncio.sleep(0.1)
    return found


async def rows_naming(
    connection: "asyncpg.Connection[asyncpg.Record]", ids: set[str]
) -> dict[str, list[str]]:
    """Return the rows that name one of these, by table; without those that are on their way out."""
    passing = ("outbox", "search_state", "doomed_objects", "post_search_todo")
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found: dict[str, list[str]] = {}
    for (name,) in tables:
        if name not in passing:
            rows = [row for (row,) in await connection.fetch(f"SELECT t::text FROM {name} t")]
            if named := [row for row in rows if ids & set(re.findall(r"\b[a-z0-9]{26}\b", row))]:
                found[name] = named
    return found


@pytest_asyncio.fixture
async def town(database_url: str, redis_url: str) -> AsyncIterator[Town]:
    async with world(database_url, redis_url) as running:
        yield running


async def test_counted_read_continued_and_purged(people: People, town: Town, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    database = Database(database_url)
    try:
        seeded = await seed(database, PLAN)
        teams = list({user.team_id: None for user in seeded})
        assert len(teams) == 2
        for what, query in RECOUNTS.items():
            assert await connection.fetch(query, teams) == [], what
        assert await connection.fetchval("SELECT count(*) FROM thread_members WHERE last_viewed_at > 0") > 50

        user = seeded[0]
        client = as_seeded(people, user)
        channels = {one["name"]: one for one in await client.get(f"/users/me/teams/{user.team_id}/channels")}
        assert {"town-square", "off-topic"} <= set(channels)
        channel = max(channels.values(), key=lambda one: one["total_msg_count"])
        page = await client.get(f"/channels/{channel['id']}/posts?per_page=200")
        assert len(page["order"]) == min(200, channel["total_msg_count"])
        root = next(post for post in page["posts"].values() if not post["root_id"] and post["reply_count"])
        thread = await client.get(f"/posts/{root['id']}/thread")
        assert len(thread["order"]) == root["reply_count"] + 1

        # The search index's worker finds what came with ids of the past.
        newest = page["posts"][page["order"][0]]
        word = newest["message"].split()[-1]

        async def search() -> Any:
            return (await client.post(f"/teams/{user.team_id}/posts/search", {"terms": word}, expect=200))["order"]

        assert await eventually(search) == [newest["id"]]

        socket, neighbour = [
            await town.open(token)
            for token in (user.token, people.member.http.headers["Authorization"].removeprefix("Bearer "))
        ]
        await socket.event("hello")
        await neighbour.event("hello")
        n = await connection.fetchval("SELECT event_n FROM channels WHERE id = $1", channel["id"])
        reply = {"channel_id": channel["id"], "root_id": root["id"], "message": "and now"}
        await client.post("/posts", reply, expect=201)
        assert "and now" in (await socket.event("posted"))["data"]["post"]  # the numbers go on without a gap
        await people.admin.post(
            f"/teams/{user.team_id}/members", {"team_id": user.team_id, "user_id": people.member.id}, expect=201
        )
        assert await connection.fetchval("SELECT event_n FROM channels WHERE id = $1", channel["id"]) == n + 1
        for what in ("threads", "followers", "channels"):
            wrong = await connection.fetch(RECOUNTS[what], teams)
            assert {row[0] for row in wrong} <= {one["id"] for one in channels.values() if "-" in one["name"]}, what

        assert (await people.member.get("/users/me/teams"))[-1]["id"] in {*teams, people.team["id"]}
        inside = """
            SELECT id FROM channels WHERE team_id = ANY($1)
            UNION ALL SELECT p.id FROM posts p JOIN channels c ON c.id = p.channel_id WHERE c.team_id = ANY($1)"""
        ids = {*teams, *(one.user_id for one in seeded), *(row["id"] for row in await connection.fetch(inside, teams))}
        assert {"users", "sessions", "teams", "channels", "posts"} <= set(await rows_naming(connection, ids))
        found = await purge(database)
        assert (len(found.users), sorted(found.teams), found.posts >= 601) == (40, sorted(teams), True)

        assert (await socket.closed())[0] == 1008
        assert (await neighbour.event("leave_team"))["data"]["team_id"] == user.team_id

        async def logged_out() -> bool:
            return (await client.request("GET", "/users/me")).status_code == 401

        assert await eventually(logged_out)
        assert [one["id"] for one in await people.member.get("/users/me/teams")] == [people.team["id"]]

        left: dict[str, list[str]] = {}

        async def nothing_left() -> bool:
            left.clear()
            left.update(await rows_naming(connection, ids))
            return not left

        try:
            await eventually(nothing_left)
        except TimeoutError:
            assert left == {}
    finally:
        await connection.close()
        await database.close()


def test_the_same_seed_makes_the_same_shapes_with_new_ids() -> None:
    one, same, other = World(PLAN), World(PLAN), World(Plan(**{**vars(PLAN), "seed": 6}))
    assert one.places == same.places
    assert one.history == same.history
    assert one.places != other.places
    assert one.history != other.history
    messages = [[row[6] for row in world.posts()] for world in (one, same)]
    assert messages[0] == messages[1]
    ids = [set(world.post_ids + world.user_ids + world.channel_ids + world.team_ids) for world in (one, same)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("teams", [1, 3])
def test_sizes_and_activity_are_skewed(teams: int) -> None:
    places = Plan(users=300, channels=30 * teams, teams=teams, skewed=True).places()
    own = [len(place.members) for place in places if place.team == 0 and not place.is_default]
    assert own[0] == 300 // teams // 2
    assert own == sorted(own, reverse=True)
    assert min(own) >= 3
    made = history.write(places, 5000, 1)
    busy = sorted((sums.posts for sums in made.sums), reverse=True)
    assert sum(busy) == 5000
    assert busy[0] > 5000 / 6 / teams
    assert sum(busy[:5]) > sum(busy[5:]) / teams
    assert Counter(made.roots)[-1] > 3000
