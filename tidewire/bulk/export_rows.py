"""What an export reads: one snapshot of the database, in order and in pieces, so that memory does not grow with it.

Rows only; lines are made of them elsewhere. Nothing is locked and nothing written, so a standby will do.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any

from tidewire.store import sql
from tidewire.store.db import Connection, Database, Record

# Rows asked for at once, and what may hang on those taken together: replies, or memberships of channels. A post is
# about 1 KiB in memory, so some 10 MiB; what hangs on one row alone must be held anyway, as one line holds it.
ROWS, WEIGHT = 1000, 5000
# Some queries read a whole table: minutes on a large one.
TIMEOUT_S = 3600
_SETTINGS = {
    "application_name": "tidewire export",
    "statement_timeout": "0",
    # Between two pieces the lines are written: to a slow disk, or a pipe that nobody reads for a while.
    "idle_in_transaction_session_timeout": "600000",
    # Rows come in the order of the outer query: neither of these, nor workers, would keep it.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
}
_Q = sql.load("bulk_export")


class Snapshot:
    """An open snapshot; queries are named as in bulk_export.sql."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, db: Database) -> AsyncIterator["Snapshot"]:
        """Open one, on a connection of its own. Raises: Unavailable; later whatever asyncpg does."""
        connection = await db.connect(**_SETTINGS)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield cls(connection)
        finally:
            connection.terminate()  # there is nothing to commit, and a query may be under way

    async def all(self, name: str, *args: Any) -> list[Record]:
        """Return all rows of a query."""
        rows: list[Record] = await self._connection.fetch(_Q[name], *args, timeout=TIMEOUT_S)
        return rows

    async def whole(self, name: str, *args: Any) -> list[Record]:
        """Return all rows of a query that reads a whole table."""
        await self._connection.execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on")
        rows = await self.all(name, *args)
        await self._connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off")
        return rows

    async def value(self, name: str, *args: Any) -> Any:
        """Return the first column of a query's first row, None where there is none."""
        return await self._connection.fetchval(_Q[name], *args, timeout=TIMEOUT_S)

    async def pieces(
        self, name: str, *args: Any, weight: str = "", at_once: int = ROWS
    ) -> AsyncIterator[list[Record]]:
        """Give the rows of a query, up to at_once together. weight: a column that tells what hangs on a row, if any."""
        cursor = await self._connection.cursor(_Q[name], *args, timeout=TIMEOUT_S)
        while rows := await cursor.fetch(at_once, timeout=TIMEOUT_S):
            if not weight:
                yield rows
                continue
            for piece in cut([row[weight] or 0 for row in rows]):
                yield rows[piece]

    async def by(self, key: str, name: str, ids: Sequence[str], *args: Any) -> dict[str, list[Record]]:
        """Return key → rows of a query that is sorted by it; with no ids, nothing is asked."""
        if not ids:
            return {}
        rows = await self.all(name, ids, *args)
        return {value: list(some) for value, some in groupby(rows, itemgetter(key))}


def cut(weights: Iterable[int]) -> list[slice]:
    """Return slices of a list, each of rows that weigh at most WEIGHT together, or of one row."""
    slices, start, total, number = [], 0, 0, 0
    for number, weight in enumerate(weights):
        if number > start and total + weight > WEIGHT:
            slices.append(slice(start, number))
            start, total = number, 0
        total += weight
    return [*slices, slice(start, number + 1)]
