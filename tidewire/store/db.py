"""Connections to PostgreSQL and transactions that announce. Knows no tables but the numbering and the outbox.

A free-list of connections instead of asyncpg's pool: the pool's reset query is a second round trip per release
(measured: 35 against 98 µs per SELECT). Whatever PostgreSQL's absence raises becomes `Unavailable("database")`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Protocol

import asyncpg
import msgspec

from tidewire.store import sql
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.ids import now_ms

Connection = asyncpg.Connection
Record = asyncpg.Record
_Q = sql.load("announce")
_TABLES = {"c": "bump_channels", "t": "bump_teams", "u": "bump_users"}  # in the global lock order
_ENCODE = msgspec.msgpack.Encoder().encode
# What says that the server is gone, not that the query is wrong. InternalClientError and
# TargetServerAttributeNotMatched derive from plain Exception in asyncpg.
GONE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.ReadOnlySQLTransactionError,  # a demoted primary
    asyncpg.InsufficientResourcesError,  # disk or memory full
    asyncpg.PostgresSystemError,  # I/O
)
ACQUIRE_S = 3.0  # for a connection that is free; who gets none in time is to come again
CONNECT_S = 3.0
_SETTINGS = {
    "application_name": "tidewire",
    "statement_timeout": "10000",
    # An old open snapshot makes hot rows bloat: measured 128 → 858 µs per post within 110 s.
    "idle_in_transaction_session_timeout": "15000",
    # A plan made while a table is nearly empty is kept while it grows: finding a post by its id took 3,300 µs of CPU,
    # by scanning. Every query of ours has an index to go by, and what is asked often is in memory.
    "enable_seqscan": "off",
    # A scan that cannot be avoided looks so dear then that the query is compiled each time: a page of teams, one row,
    # took 220 ms, 1 ms without.
    "jit": "off",
    "random_page_cost": "0.1",
}


class Publisher(Protocol):
    """Where committed announcements go. Never blocks, never raises; what it cannot take stays in the outbox."""

    def committed(self, outbox_id: int, entries: list[tuple[str, int, bytes]]) -> None:
        """Take one outbox row's (key, number, envelope) entries for publication."""


class Transaction:
    """An open transaction: `connection` for queries, `announce` for what must be told when it commits."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.fetch = connection.fetch
        self.fetchrow = connection.fetchrow
        self.fetchval = connection.fetchval
        self.execute = connection.execute
        self.announced: list[tuple[str, bytes]] = []
        self.news: list[str] = []  # roots of threads whose followers must be told of what is announced
        self.outbox_id = 0  # of its row, once it is written
        self.invalidates: list[str] = []

    def announce(self, key: str, envelope: bytes, invalidates: Iterable[str] = ()) -> None:
        """Tell the bus after commit. key: "c:…", "t:…" or "u:…", whose row numbers the event."""
        self.announced.append((key, envelope))
        self.invalidates.extend(invalidates)


class _Loan:
    """A connection that goes back by itself. A generator would do the same, and cost each query 2 µs more."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    async def __aenter__(self) -> Connection:
        self._connection = await self._database.take()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a cancellation the query may still be running on the server: its connection is not for the next one.
        gone = isinstance(error, GONE)
        self._database.give_back(
            self._connection, usable=not (gone or isinstance(error, asyncio.CancelledError))
        )
        if gone:
            raise Unavailable("database") from error


class Database:
    """A bounded set of connections. `publisher` and `on_invalidate` may be set after the start."""

    def __init__(self, url: str, *, size: int = 8, worker: str = "", acquire_timeout_s: float = 0.0) -> None:
        """acquire_timeout_s: 0 for ACQUIRE_S."""
        self.url = url
        self.worker = worker
        self.publisher: Publisher | None = None
        self.on_invalidate: Callable[[Iterable[str]], None] = lambda keys: None
        self._slots = asyncio.Semaphore(size)
        self._free: list[Connection] = []
        self._acquire_timeout_s = acquire_timeout_s or ACQUIRE_S

    async def connect(self, **server_settings: str) -> Connection:
        """Return a connection of one's own; the caller closes it. Raises: Unavailable."""
        try:
            connection = await asyncpg.connect(
                self.url, timeout=CONNECT_S, command_timeout=12, server_settings=_SETTINGS | server_settings
            )
            await connection.set_type_codec(
                "jsonb",
                schema="pg_catalog",
                encoder=lambda value: msgspec.json.encode(value).decode(),
                decoder=msgspec.json.decode,
            )
        except GONE as error:
            raise Unavailable("database") from error
        return connection

    def connection(self) -> "_Loan":
        """Lend a connection. Raises: Unavailable when none is free in time or the server is gone."""
        return _Loan(self)

    async def take(self) -> Connection:
        """Return a connection that its caller gives back. Raises: Unavailable when none is free in time."""
        if not self._slots.locked():
            await self._slots.acquire()  # at once, and so without a timer
        else:
            try:
                async with asyncio.timeout(self._acquire_timeout_s):
                    await self._slots.acquire()
            except TimeoutError as error:
                raise Unavailable("database") from error
        try:
            while self._free:
                connection = self._free.pop()
                if not connection.is_closed():
                    return connection
            return await self.connect()
        except BaseException:
            self._slots.release()
            raise

    def give_back(self, connection: Connection, *, usable: bool) -> None:
        """Take a connection back, or end it."""
        self._slots.release()
        if usable:
            self._free.append(connection)
        else:
            connection.terminate()

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        """Run a query, return its rows."""
        async with self.connection() as connection:
            rows: list[Record] = await connection.fetch(query, *args)
            return rows

    async def fetchrow(self, query: str, *args: Any) -> Record | None:
        """Run a query, return its first row or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Run a query, return the first column of its first row or None."""
        async with self.connection() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement, return its tag."""
        async with self.connection() as connection:
            tag: str = await connection.execute(query, *args)
            return tag

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction; what it announces is numbered and written to the outbox last, and published after commit.

        Raises: Unavailable; 404 if what it announces to has been deleted for good.
        Lock order for all code: revisions, posts, files, threads, thread members, channel members, channels, teams,
        OAuth apps, users, OAuth codes and grants, sessions, pictures, emojis, outbox.
        """
        async with self.connection() as connection, connection.transaction():
            tx = Transaction(connection)
            yield tx
            written = await self._write_outbox(tx) if tx.announced else None
        self.on_invalidate(tx.invalidates)
        if written is not None and self.publisher is not None:
            self.publisher.committed(*written)

    async def _write_outbox(self, tx: Transaction) -> tuple[int, list[tuple[str, int, bytes]]]:
        counts = Counter(key for key, _ in tx.announced)
        last: dict[str, int] = {}
        for letter, name in _TABLES.items():
            ids = sorted(key[2:] for key in counts if key[0] == letter)
            if ids:
                rows = await tx.fetch(_Q[name], ids, [counts[f"{letter}:{row}"] for row in ids])
                last.update({f"{letter}:{row['id']}": row["event_n"] for row in rows})
        keys = sorted(counts)
        if len(last) < len(keys):  # deleted for good meanwhile
            raise AppError("api.context.404.app_error", 404)
        payload = _ENCODE(tx.announced)
        outbox_id: int = await tx.fetchval(
            _Q["insert_outbox"],
            now_ms(),
            self.worker,
            payload,
            keys,
            [last[key] for key in keys],
            tx.news or None,
        )
        tx.outbox_id = outbox_id
        return outbox_id, number(tx.announced, last)

    async def close(self) -> None:
        """Close the free connections; lent ones are closed by their users' end."""
        for connection in self._free:
            connection.terminate()
        self._free.clear()


def number(announced: Sequence[tuple[str, bytes]], last: dict[str, int]) -> list[tuple[str, int, bytes]]:
    """Return (key, n, envelope) for each announcement; last: key → number of its last event in this row."""
    following = {key: last[key] - count + 1 for key, count in Counter(key for key, _ in announced).items()}
    numbered = []
    for key, envelope in announced:
        numbered.append((key, following[key], envelope))
        following[key] += 1
    return numbered
