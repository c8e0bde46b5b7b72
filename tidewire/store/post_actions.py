"""What the buttons and menus of posts call. Clients never see it, so it stands beside the posts."""

from typing import Any, NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database

_Q = sql.load("post_actions")


class Action(NamedTuple):
    """What one of them calls: {"url": …, "context": {…}}. user_id: who alone sees the post, or ""."""

    channel_id: str
    user_id: str
    integration: dict[str, Any]


async def put(
    db: Database,
    post_id: str,
    channel_id: str,
    integrations: dict[str, dict[str, Any]],
    *,
    user_id: str = "",
    now_ms: int,
    expires_at: int,
) -> None:
    """Store what a post's actions call. user_id: who alone sees it, for a while. expires_at: unless it is written."""
    names = list(integrations)
    await db.execute(_Q["delete_old_actions"], now_ms)
    await db.execute(
        _Q["put_actions"], post_id, channel_id, user_id, expires_at, names, [integrations[name] for name in names]
    )  # fmt: skip


async def get(db: Database, post_id: str, action_id: str, *, now_ms: int) -> Action | None:
    """Return what an action calls, or None."""
    row = await db.fetchrow(_Q["post_action"], post_id, action_id, now_ms)
    return None if row is None else Action(row["channel_id"], row["user_id"], row["integration"])
