"""The stored configuration and roles: what differs from the defaults, and the numbers of their revisions."""

from typing import Any

import msgspec

from tidewire.store import sql
from tidewire.store.db import Database, Transaction

_Q = sql.load("config")


async def revisions(db: Database) -> dict[str, int]:
    """Return name → number of the newest revision. Raises: Unavailable."""
    return {row["name"]: row["n"] for row in await db.fetch(_Q["revisions"])}


async def bump_revision(tx: Transaction, name: str) -> int:
    """Return the next number; other writers of the same wait for this transaction."""
    n: int = await tx.fetchval(_Q["bump_revision"], name)
    return n


async def load(db: Database | Transaction) -> tuple[int, dict[str, Any]]:
    """Return (revision, stored values by "Section.Key")."""
    rows = await db.fetch(_Q["config"])
    return rows[0]["n"], {row["key"]: row["value"] for row in rows if row["key"] is not None}


async def store(tx: Transaction, changed: dict[str, Any], removed: list[str]) -> None:
    """Write values, and delete those that are at their defaults again."""
    if changed:
        texts = [msgspec.json.encode(value).decode() for value in changed.values()]
        await tx.execute(_Q["put_config"], list(changed), texts)
    if removed:
        await tx.execute(_Q["delete_config"], removed)


async def load_roles(db: Database | Transaction) -> tuple[int, dict[str, tuple[list[str], int]]]:
    """Return (revision, name → (permissions, update_at in ms)) of the roles that were changed."""
    rows = await db.fetch(_Q["roles"])
    changed = {row["name"]: (row["permissions"], row["update_at"]) for row in rows if row["name"] is not None}
    return rows[0]["n"], changed


async def store_role(tx: Transaction, name: str, permissions: list[str], at: int) -> None:
    """Write what a role permits from now on. at: ms."""
    await tx.execute(_Q["put_role"], name, permissions, at)
