"""Counts for administrators. Each call may read much: ask rarely."""

from tidewire.store import sql
from tidewire.store.db import Database

_Q = sql.load("statistics")


async def people(db: Database, team_id: str, day_ms: int, month_ms: int) -> dict[str, int]:
    """Return users, inactive (deactivated), daily and monthly (active since). team_id: "" is everybody."""
    row = await db.fetchrow(_Q["people"], team_id, day_ms, month_ms)
    return dict(row.items()) if row is not None else {}


async def places(db: Database, team_id: str, now_ms: int) -> dict[str, int]:
    """Return teams, sessions, open_channels and private_channels."""
    row = await db.fetchrow(_Q["places"], team_id, now_ms)
    return dict(row.items()) if row is not None else {}


async def posts(db: Database, team_id: str) -> int:
    """Return how many posts there are."""
    count: int = await db.fetchval(_Q["posts"], team_id)
    return count


async def post_estimate(db: Database) -> int:
    """Return about how many posts there are, without counting them."""
    count: int = await db.fetchval(_Q["post_estimate"])
    return count


async def posts_by_day(
    db: Database, team_id: str, since_ms: int, *, bots_only: bool
) -> list[tuple[str, int, int]]:
    """Return (day as YYYY-MM-DD in UTC, posts, users who posted), newest first, at most 31."""
    rows = await db.fetch(_Q["posts_by_day"], team_id, since_ms, bots_only)
    return [(row["day"], row["posts"], row["users"]) for row in rows]


async def posts_with(db: Database, team_id: str) -> tuple[int, int]:
    """Return (posts with files, posts with hashtags)."""
    row = await db.fetchrow(_Q["posts_with"], team_id)
    return (row["files"], row["hashtags"]) if row is not None else (0, 0)


async def integrations(db: Database, team_id: str) -> dict[str, int]:
    """Return how many incoming and outgoing webhooks and commands there are."""
    row = await db.fetchrow(_Q["integrations"], team_id)
    return dict(row.items()) if row is not None else {}


async def storage(db: Database) -> int:
    """Return how many bytes the files have together. Cost: a look at every file."""
    size: int = await db.fetchval(_Q["storage"])
    return size
