"""Seeding: the counts, the spread and the rows, in a real PostgreSQL."""

import hashlib
from collections import Counter

import asyncpg
import pytest

from loadtest.seed import Plan, seed
from loadtest.shapes import deal_members
from tidewire.store.db import Database


@pytest.mark.parametrize(
    ("users", "channels", "members"), [(10, 1, 10), (10, 7, 3), (10, 3, 10), (7, 20, 5), (5, 2, 1), (3, 0, 3)]
)
def test_members_are_spread_evenly(users: int, channels: int, members: int) -> None:
    hands = list(deal_members(users, channels, members, seed=1))
    assert [len(hand) for hand in hands] == [members] * channels
    assert all(len(set(hand)) == members for hand in hands)
    counts = Counter(number for hand in hands for number in hand)
    each = [counts[number] for number in range(users)]
    assert max(each) - min(each) <= 1
    assert hands == list(deal_members(users, channels, members, seed=1))


async def test_rows_and_tokens(database_url: str) -> None:
    progress: list[tuple[int, int]] = []
    seeded = await seed(
        Database(database_url),
        Plan(users=30, channels=4, channel_members=6),
        lambda *rows: progress.append(rows),
    )
    assert progress[-1] == (119, 119)  # users, sessions, team members, 1 team, 4 channels, 24 memberships
    connection = await asyncpg.connect(database_url)
    try:
        for user in seeded:
            row = await connection.fetchrow(
                """SELECT u.username, u.roles, m.team_id, array_agg(c.channel_id) AS channels
                   FROM sessions s JOIN users u ON u.id = s.user_id JOIN team_members m ON m.user_id = u.id
                   LEFT JOIN channel_members c ON c.user_id = u.id
                   WHERE s.token_hash = $1 AND s.expires_at > u.create_at GROUP BY 1, 2, 3""",
                hashlib.sha256(user.token.encode()).digest(),
            )
            assert row is not None
            assert (row["username"], row["roles"], row["team_id"]) == (
                user.username,
                "system_user",
                user.team_id,
            )
            assert (
                (user.channel_id in row["channels"]) if user.channel_id != "-" else row["channels"] == [None]
            )
            assert len(user.line().split()) == 5
        sizes = await connection.fetch("SELECT count(*) FROM channel_members GROUP BY channel_id")
        assert [size["count"] for size in sizes] == [6] * 4
        admins = await connection.fetchval(
            """SELECT count(*) FROM channels c JOIN channel_members m ON m.channel_id = c.id
               AND m.user_id = c.creator_id WHERE m.scheme_admin"""
        )
        assert admins == 4
    finally:
        await connection.close()


async def test_again_in_the_same_database(database_url: str) -> None:
    database = Database(database_url)
    first = await seed(database, Plan(users=5))
    second = await seed(database, Plan(users=5))
    assert not {user.team_id for user in first} & {user.team_id for user in second}
