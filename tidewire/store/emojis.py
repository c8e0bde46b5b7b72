"""Rows of custom emojis and their images. A deleted one's name is free again; its image is gone."""

from collections.abc import Sequence

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.models import Emoji

Source = Database | Transaction
_Q = sql.load("emojis")


async def insert(tx: Transaction, emoji: Emoji, media_type: str, image: bytes) -> bool:
    """Store a new emoji; False if its name is taken."""
    if await tx.fetchval(_Q["insert"], emoji.id, emoji.create_at, emoji.creator_id, emoji.name) is None:
        return False
    await tx.execute(_Q["insert_image"], emoji.id, media_type, image)
    return True


async def by_id(db: Database, emoji_id: str) -> Emoji | None:
    """Return an emoji, or None."""
    found = sql.structs(Emoji, await db.fetch(_Q["by_id"], emoji_id))
    return found[0] if found else None


async def by_names(source: Source, names: Sequence[str]) -> list[Emoji]:
    """Return the emojis of these names that exist, by name."""
    return sql.structs(Emoji, await source.fetch(_Q["by_names"], names))


async def count_changes(db: Database) -> int:
    """Return how many emojis were ever made and deleted: never the same after a change. Cost: reads all rows."""
    found: int = await db.fetchval(_Q["count_changes"])
    return found


async def page(db: Database, limit: int, offset: int, *, by_name: bool) -> list[Emoji]:
    """Return some of all emojis, the oldest first or by name."""
    return sql.structs(Emoji, await db.fetch(_Q["page"], limit, offset, by_name))


async def search(db: Database, pattern: str, limit: int) -> list[Emoji]:
    """Return emojis whose names match a pattern of LIKE, by name."""
    return sql.structs(Emoji, await db.fetch(_Q["search"], pattern, limit))


async def image(db: Database, emoji_id: str) -> tuple[str, bytes] | None:
    """Return (media type, bytes) of an emoji's image, or None."""
    row = await db.fetchrow(_Q["image"], emoji_id)
    return None if row is None else (row["media_type"], row["data"])


async def delete(tx: Transaction, emoji_id: str, at_ms: int) -> bool:
    """Mark an emoji as deleted and forget its image; False if there is none."""
    if await tx.fetchval(_Q["delete"], emoji_id, at_ms) is None:
        return False
    await tx.execute(_Q["delete_image"], emoji_id)
    return True
