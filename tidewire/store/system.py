"""Facts of the installation that are made once, and the test whether the database answers."""

from tidewire.store import sql
from tidewire.store.db import Database

_Q = sql.load("system")


async def keep(db: Database, name: str, value: str) -> str:
    """Return what is stored under the name; value becomes it where nothing is. All nodes get the same answer."""
    await db.execute(_Q["keep_value"], name, value)
    stored: str = await db.fetchval(_Q["value_of"], name)
    return stored


async def value_of(db: Database, name: str) -> str:
    """Return what is stored under the name, or ""."""
    stored: str | None = await db.fetchval(_Q["value_of"], name)
    return stored or ""


async def ping(db: Database) -> None:
    """Return if the database answers. Raises: Unavailable."""
    await db.fetchval(_Q["ping"])
