"""A start that waits for its database: until it answers, and has the schema that this version needs."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import asyncpg
import structlog

from tidewire.settings import name_of
from tidewire.store.db import Database
from tidewire.store.migrate import newest
from tidewire.wire.errors import Unavailable, why

_AGAIN_S = 1.0
_SAY_EVERY_S = 10.0  # an outage of an hour is 360 lines, not 3,600
_T = TypeVar("_T")
_log = structlog.get_logger("start")


class SchemaTooOld(Exception):
    """The database has not been migrated for this version."""


async def once_there(db: Database, open_parts: Callable[[], Awaitable[_T]]) -> _T:
    """Return what open_parts gives, once the database answers with our schema; says meanwhile what it waits for.

    A newer schema is one warning: in a rolling upgrade the old processes go on until they are replaced.
    Raises: what open_parts raises, but for Unavailable and PostgreSQL's errors, after which it is called again.
    """
    said_at = -_SAY_EVERY_S
    while True:
        try:
            await _check_schema(db)
            return await open_parts()
        except (Unavailable, SchemaTooOld, asyncpg.PostgresError) as error:
            if (now := monotonic()) - said_at >= _SAY_EVERY_S:
                said_at = now
                _log.warning("waiting for the database", what=name_of(db.url), why=why(error))
            await asyncio.sleep(_AGAIN_S)


async def _check_schema(db: Database) -> None:
    needed = newest()
    try:
        found = await db.fetchval("SELECT max(number) FROM schema_version") or 0
    except asyncpg.UndefinedTableError:
        found = 0
    if found < needed:
        raise SchemaTooOld(f"it has schema {found}, this version needs {needed}: run `tidewire migrate`")
    if found > needed:
        _log.warning("the database's schema is newer: upgrade this process", schema=found, known=needed)
