"""Seeded rows are the API's: every column that is no id, name, time or secret is the same."""

from typing import Any

import asyncpg

from loadtest.seed import Plan, seed
from tests.fixtures.api import People
from tidewire.store.db import Database

OWN = {  # what differs from row to row by nature
    "users": "id username email create_at update_at password_hash last_password_update event_n",
    "sessions": "id token_hash user_id create_at expires_at last_activity_at props",
    "teams": "id name display_name email invite_id create_at update_at event_n",
    "team_members": "team_id user_id create_at",
    "channels": "id team_id name display_name creator_id create_at update_at last_post_at last_root_post_at event_n",
    # Who was added is mentioned by the post that says so; who is seeded came by himself.
    "channel_members": "channel_id user_id last_update_at last_viewed_at mention_count mention_count_root",
}


async def rows_of(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, where: str, *args: Any
) -> dict[str, Any]:
    row = await connection.fetchrow(f"SELECT * FROM {table} WHERE {where}", *args)
    assert row is not None
    return {name: value for name, value in row.items() if name not in OWN[table].split()}


async def test_seeded_rows_are_the_apis(people: People, database_url: str) -> None:
    first, second, *_ = await seed(Database(database_url), Plan(users=4, seed=3))
    connection = await asyncpg.connect(database_url)
    try:
        owner = await connection.fetchval("SELECT creator_id FROM channels WHERE id = $1", first.channel_id)
        plain = second.user_id if second.user_id != owner else first.user_id
        pairs: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [
            ("users", "id = $1", (people.member.id,), (first.user_id,)),
            ("sessions", "user_id = $1", (people.member.id,), (first.user_id,)),
            ("teams", "id = $1", (people.team["id"],), (first.team_id,)),
            (
                "team_members",
                "team_id = $1 AND user_id = $2",
                (people.team["id"], people.owner.id),
                (first.team_id, first.user_id),
            ),
            (
                "team_members",
                "team_id = $1 AND user_id = $2",
                (people.team["id"], people.member.id),
                (first.team_id, second.user_id),
            ),
            ("channels", "id = $1", (people.channel["id"],), (first.channel_id,)),
            (
                "channel_members",
                "channel_id = $1 AND user_id = $2",
                (people.channel["id"], people.owner.id),
                (first.channel_id, owner),
            ),
            (
                "channel_members",
                "channel_id = $1 AND user_id = $2",
                (people.channel["id"], people.member.id),
                (first.channel_id, plain),
            ),
        ]
        for table, where, made, seeded in pairs:
            assert await rows_of(connection, table, where, *seeded) == await rows_of(
                connection, table, where, *made
            ), table
        names = (
            "SELECT array_agg(k ORDER BY k) FROM sessions s, jsonb_object_keys(s.props) k WHERE user_id = $1"
        )
        assert await connection.fetchval(names, first.user_id) == await connection.fetchval(
            names, people.member.id
        )
    finally:
        await connection.close()
