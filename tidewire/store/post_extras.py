"""What stands beside posts: their old versions, who saved them, who wants to be reminded of them."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.store.posts import decode_post
from tidewire.wire.models import Post

_Q = sql.load("post_extras")


class Reminder(NamedTuple):
    """Who wants to be reminded of which post, and when (s since 1970)."""

    user_id: str
    post_id: str
    target_time: int


async def versions(db: Database, post_id: str, limit: int) -> list[Post]:
    """Return old versions of a post, the newest first."""
    return [decode_post(row) for row in await db.fetch(_Q["versions_of"], post_id, limit)]


async def version(source: Database | Transaction, post_id: str, version_id: str) -> Post | None:
    """Return one old version of a post, or None."""
    row = await source.fetchrow(_Q["version"], version_id, post_id)
    return None if row is None else decode_post(row)


async def saved(
    db: Database, user_id: str, *, team_id: str, channel_id: str, limit: int, offset: int
) -> list[Post]:
    """Return posts that a user saved, newest first. team_id and channel_id narrow it, "" does not."""
    rows = await db.fetch(_Q["saved_posts"], user_id, team_id, channel_id, limit, offset)
    return [decode_post(row) for row in rows]


async def put_reminder(db: Database, reminder: Reminder, *, most: int) -> bool:
    """Store a reminder over the one of this post; False if the user has `most` others, or either is gone."""
    return await db.fetchval(_Q["put_reminder"], *reminder, most) is not None


async def claim_reminders(db: Database, *, now_ms: int, until_ms: int, limit: int) -> list[Reminder]:
    """Return reminders that are due; no other worker gets them before until_ms."""
    rows = await db.fetch(_Q["claim_reminders"], now_ms // 1000, now_ms, until_ms, limit)
    return [Reminder(row["user_id"], row["post_id"], row["target_time"]) for row in rows]


async def delete_reminder(db: Database, reminder: Reminder) -> None:
    """Forget a reminder that has been given."""
    await db.execute(_Q["delete_reminder"], *reminder)
