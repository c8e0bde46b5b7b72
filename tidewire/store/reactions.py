"""Rows of reactions. Who writes one holds the post's row: the limit of emojis and `has_reactions` stay true."""

from collections.abc import Iterable

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.models import Reaction

Source = Database | Transaction
_Q = sql.load("reactions")


def _decode(row: Record) -> Reaction:
    at = row["create_at"]
    return Reaction(row["user_id"], row["post_id"], row["emoji_name"], at, at, channel_id=row["channel_id"])


async def of_posts(source: Source, post_ids: Iterable[str]) -> dict[str, list[Reaction]]:
    """Return the reactions of each post that has any, oldest first."""
    found: dict[str, list[Reaction]] = {}
    for row in await source.fetch(_Q["of_posts"], list(post_ids)):
        found.setdefault(row["post_id"], []).append(_decode(row))
    return found


async def of_locked(tx: Transaction, post_id: str) -> list[Reaction]:
    """Return the reactions of a post inside a transaction that holds it."""
    return [_decode(row) for row in await tx.fetch(_Q["of_posts"], [post_id])]


async def emoji_names(tx: Transaction, post_id: str) -> set[str]:
    """Return the distinct emojis on a post."""
    return {row["emoji_name"] for row in await tx.fetch(_Q["emoji_names"], post_id)}


async def add(tx: Transaction, reaction: Reaction) -> bool:
    """Insert a reaction; return whether it is new. An old one keeps its time, which is put into `reaction`.

    Where there is none, as its user is not active any more, the time is 0.
    """
    key = reaction.post_id, reaction.user_id, reaction.emoji_name
    new = await tx.fetchval(_Q["add"], *key, reaction.channel_id, reaction.create_at)
    if new is None:
        reaction.create_at = reaction.update_at = await tx.fetchval(_Q["find"], *key) or 0
    return new is not None


async def remove(tx: Transaction, post_id: str, user_id: str, emoji_name: str) -> bool:
    """Delete a reaction; return whether there was one."""
    return await tx.fetchval(_Q["remove"], post_id, user_id, emoji_name) is not None


async def touch_post(tx: Transaction, post_id: str, at_ms: int) -> None:
    """Bring `update_at` and `has_reactions` of a locked post up to date."""
    await tx.execute(_Q["touch_post"], post_id, at_ms)
