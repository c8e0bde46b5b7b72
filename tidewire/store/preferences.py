"""Rows of preferences: what users' clients remember."""

from collections.abc import Sequence

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.models import Preference

Source = Database | Transaction
_Q = sql.load("preferences")


async def of_user(source: Source, user_id: str, category: str = "", name: str = "") -> list[Preference]:
    """Return a user's preferences, of one category or name where given."""
    return [Preference(**row) for row in await source.fetch(_Q["preferences_of"], user_id, category, name)]


async def values(source: Source, user_ids: list[str], category: str, name: str) -> dict[str, str]:
    """Return user id → value of one preference, for those who have it."""
    rows = await source.fetch(_Q["preference_values"], user_ids, category, name)
    return {row["user_id"]: row["value"] for row in rows}


async def put(tx: Transaction, user_id: str, preferences: Sequence[Preference]) -> None:
    """Store preferences of a user; the last one of a (category, name) wins."""
    last = {(item.category, item.name): item.value for item in preferences}
    categories = [category for category, _ in last]
    await tx.execute(
        _Q["put_preferences"], user_id, categories, [name for _, name in last], list(last.values())
    )


async def size(tx: Transaction, user_id: str) -> int:
    """Return how much a user's preferences take, in bytes."""
    return int(await tx.fetchval(_Q["size_of_preferences"], user_id))


async def delete(tx: Transaction, user_id: str, preferences: Sequence[Preference]) -> None:
    """Forget preferences of a user."""
    keys = {(item.category, item.name) for item in preferences}
    categories = [category for category, _ in keys]
    await tx.execute(_Q["delete_preferences"], user_id, categories, [name for _, name in keys])


async def channels_of_posts(source: Source, post_ids: list[str]) -> dict[str, str]:
    """Return post id → channel id of the live posts among these."""
    return {row["id"]: row["channel_id"] for row in await source.fetch(_Q["channels_of_posts"], post_ids)}
