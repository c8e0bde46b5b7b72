"""Devices, and what decides who gets a push: for many posts and users at once."""

from tidewire.store import sql
from tidewire.store.db import Database, Transaction

Source = Database | Transaction
_Q = sql.load("push")


async def users_with_devices(source: Source, limit: int) -> list[str]:
    """Return users with a device or a subscription, some perhaps twice, at most `limit`."""
    return [row["user_id"] for row in await source.fetch(_Q["users_with_devices"], limit)]
