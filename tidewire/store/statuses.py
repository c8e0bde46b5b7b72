"""Statuses that users chose themselves. Presence (who has a socket) is not here: tidewire/actions/status.py."""

from collections.abc import Sequence

from tidewire.store import sql
from tidewire.store.db import Database
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Status

_Q = sql.load("statuses")


async def load_manual(db: Database, user_ids: Sequence[str]) -> list[Status]:
    """Return the manual statuses among the users' that have not run out, unordered. Raises: Unavailable."""
    rows = await db.fetch(_Q["manual_statuses"], user_ids, now_ms() // 1000)
    return [
        Status(row["user_id"], row["status"], True, row["last_activity_at"], row["dnd_end_time"])
        for row in rows
    ]


async def save_manual(db: Database, user_id: str, status: str) -> None:
    """Let the user's status be this one until he chooses another. Raises: Unavailable."""
    await db.execute(_Q["save_manual_status"], user_id, status, now_ms())


async def clear_manual(db: Database, user_id: str) -> None:
    """Let presence decide the user's status again. Raises: Unavailable."""
    await db.execute(_Q["clear_manual_status"], user_id)
