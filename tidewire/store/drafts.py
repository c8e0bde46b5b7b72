"""Rows of drafts: what users have begun to write."""

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.models import Draft

_Q = sql.load("drafts")


async def put(tx: Transaction, draft: Draft, *, now_ms: int, most: int, most_bytes: int) -> bool:
    """Store a draft over the one in its place and set its times.

    False if the user has `most` others, or others of more text and props than most_bytes, or if the channel is gone.
    """
    row = await tx.fetchrow(
        _Q["put_draft"], draft.user_id, draft.channel_id, draft.root_id, now_ms, draft.message, draft.type,
        draft.props, draft.file_ids, draft.priority, most, most_bytes,
    )  # fmt: skip
    if row is None:
        return False
    draft.create_at, draft.update_at = row["create_at"], row["update_at"]
    return True


async def has(db: Database, user_id: str, channel_id: str, root_id: str) -> bool:
    """Tell whether there is a draft in this place."""
    return bool(await db.fetchval(_Q["has_draft"], user_id, channel_id, root_id))


async def delete(tx: Transaction, user_id: str, channel_id: str, root_id: str) -> Draft | None:
    """Delete a draft and return it; None if there is none."""
    row = await tx.fetchrow(_Q["delete_draft"], user_id, channel_id, root_id)
    return None if row is None else Draft(**row)


async def of_user(db: Database, user_id: str, team_id: str) -> list[Draft]:
    """Return a user's drafts in a team and in his direct and group channels, the newest first."""
    return [Draft(**row) for row in await db.fetch(_Q["drafts_of"], user_id, team_id)]
