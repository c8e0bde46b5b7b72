"""The outbox as its publisher sees it: who publishes what, which rows wait, which may go.

Rows are written by the transactions that announce (store/db.py, store/posts.py), never here. All on one connection of
its own, whose session locks say that this worker lives: they end with the process, and 5 s after it froze.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, TypeVar

import msgspec

from tidewire.store import sql
from tidewire.store.db import GONE, Connection, Database, number
from tidewire.wire.errors import Unavailable

_Q = sql.load("outbox")
_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode
PAGE_ROWS = 50  # of at most 128 announcements of some KB: a page stays below 50 MB
DELETE_ROWS = 5_000
T = TypeVar("T")
Row = tuple[int, list[tuple[str, int, bytes]]]  # id, (ordering key, number, envelope) in order


async def note_news_told(db: Database, worker: str, before_row: int, before_ms: int) -> None:
    """Note that the news of a worker's rows before this one, and older than that, is told."""
    await db.execute(_Q["news_told"], worker, before_row, before_ms)


async def claim_news(db: Database, worker: str, limit: int) -> list[tuple[int, list[str]]]:
    """Make rows with news of workers that are gone this worker's; return (row id, roots) of each, at most `limit`."""
    return [(row["id"], row["news"]) for row in await db.fetch(_Q["claim_news"], worker, limit)]


class Outbox:
    """One worker's view. Methods raise Unavailable("database"); after that all locks are gone."""

    def __init__(self, db: Database, worker: str) -> None:
        self._db = db
        self._worker = worker
        self._connection: Connection | None = None
        self._live = False
        self._leads = False

    async def set_live(self, live: bool) -> None:
        """Say whether this worker publishes its own rows; others publish those of workers that do not."""
        if live != (self._live and self._connected):
            await self._run(lambda c: c.execute(_Q["hold_live" if live else "drop_live"], self._worker))
        self._live = live

    async def lead(self) -> bool:
        """Tell whether this worker is the one that repairs for all; become it if nobody is."""
        if not (self._leads and self._connected):
            self._leads = await self._run(lambda c: c.fetchval(_Q["try_lead"]))
        return self._leads

    async def stop_leading(self) -> None:
        """Let another worker repair."""
        if self._leads and self._connected:
            await self._run(lambda c: c.execute(_Q["drop_lead"]))
        self._leads = False

    async def orphans(self, before_ms: int) -> list[Row]:
        """Return a page of rows that nobody publishes, and of anybody's that are older than this, in order."""
        return _rows(await self._run(lambda c: c.fetch(_Q["orphans"], before_ms, PAGE_ROWS)))

    async def strays(self, before_ms: int, known: Collection[int]) -> list[Row]:
        """Return a page of this worker's unpublished rows older than this that it does not know of, in order."""
        ids = list(known)
        return _rows(
            await self._run(lambda c: c.fetch(_Q["strays"], self._worker, before_ms, ids, PAGE_ROWS))
        )

    async def retained(self, after_id: int) -> list[Row]:
        """Return the next page of all rows, published or not, in order."""
        return _rows(await self._run(lambda c: c.fetch(_Q["retained"], after_id, PAGE_ROWS)))

    async def newest(self) -> list[Row]:
        """Return a page of the rows that were published last, newest first."""
        return _rows(await self._run(lambda c: c.fetch(_Q["newest"], PAGE_ROWS)))

    async def mark(self, ids: Iterable[int]) -> None:
        """Note that these rows are on the bus."""
        if ids := list(ids):
            await self._run(lambda c: c.execute(_Q["mark"], ids))

    async def delete(self, before_ms: int) -> int:
        """Delete published rows older than this, at most DELETE_ROWS; return how many."""
        tag: str = await self._run(lambda c: c.execute(_Q["delete_old"], before_ms, DELETE_ROWS))
        return int(tag.split()[-1])

    async def close(self) -> None:
        """End the connection, and with it all locks."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    @property
    def _connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    async def _run(self, query: Callable[[Connection], Awaitable[Any]]) -> Any:
        connection = self._connection
        if connection is None or connection.is_closed():
            self._live = self._leads = False
            # A frozen process must not hold the locks for ever; the publisher asks several times a second.
            connection = self._connection = await self._db.connect(idle_session_timeout="5000")
        try:
            return await query(connection)
        except GONE as error:
            await self.close()
            raise Unavailable("database") from error


def _rows(records: list[Any]) -> list[Row]:
    return [
        (
            record["id"],
            number(_decode(record["payload"]), dict(zip(record["keys"], record["ns"], strict=True))),
        )
        for record in records
    ]
