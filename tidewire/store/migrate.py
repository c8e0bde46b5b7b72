"""Schema migrations: numbered .sql files, forward only, applied under one lock."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg

# Any constant will do; it only has to be ours. Held for the whole run, so that processes starting together queue up.
_LOCK = 0x7469646577697265 >> 1


class SchemaTooNew(Exception):
    """The database was migrated by a newer Tidewire than this one."""


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, name, SQL) of every migration, in order."""
    folder = _folder()
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name[5:-4], folder.joinpath(name).read_text()) for name in names]


def newest() -> int:
    """Return the number of the last migration."""
    return max(int(entry.name[:4]) for entry in _folder().iterdir() if entry.name.endswith(".sql"))


def _folder() -> Traversable:
    return files("tidewire.store").joinpath("migrations")


async def migrate(url: str) -> list[str]:
    """Apply what is missing, each file in its own transaction; return the names applied.

    Raises: SchemaTooNew, asyncpg errors, OSError.
    """
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version"
            " (number integer PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now())"
        )
        done = {row["number"] for row in await connection.fetch("SELECT number FROM schema_version")}
        known = migrations()
        if newer := done - {number for number, _, _ in known}:
            raise SchemaTooNew(f"the database has schema {max(newer)}; this Tidewire knows {known[-1][0]}")
        applied = []
        for number, name, sql in known:
            if number in done:
                continue
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute(
                    "INSERT INTO schema_version (number, name) VALUES ($1, $2)", number, name
                )
            applied.append(name)
        return applied
    finally:
        await connection.close()
