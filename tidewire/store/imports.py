"""Rows of imports: how far they are, and what lines become, in bulk. No rules in here."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import asyncpg

from tidewire.store import sql
from tidewire.store.db import Connection, Database, Record, Transaction

Source = Database | Transaction
_Q = sql.load("imports")
_SEARCH = sql.load("search")
COUNT_TIMEOUT_S = 300  # a channel of a million unread posts and a hundred thousand members


class Progress(NamedTuple):
    """How far an import is. at_byte: where the line after `line` begins."""

    line: int
    at_byte: int
    finished_at: int
    started_at: int
    report: dict[str, Any]


async def hold(connection: Connection) -> bool:
    """Be the only import as long as the connection lives; False if there is another one."""
    return bool(await connection.fetchval(_Q["hold"]))


async def begin(db: Database, digest: bytes, name: str, at_ms: int, report: dict[str, Any]) -> Progress:
    """Return how far the import of a file is; make it known if it is a new one."""
    await db.execute(_Q["begin"], digest, name, at_ms, report)
    found = await progress(db, digest)
    assert found is not None
    return found


async def progress(db: Database, digest: bytes) -> Progress | None:
    """Return how far an import is, None for an unknown one."""
    row = await db.fetchrow(_Q["progress"], digest)
    return None if row is None else Progress(*row)


async def advance(
    tx: Transaction, digest: bytes, before: int, line: int, at_byte: int, report: dict[str, Any], at_ms: int
) -> bool:
    """Move on from one line to another; False if the import is not where the caller believes it to be."""
    return await tx.fetchval(_Q["advance"], digest, before, line, at_byte, report, at_ms) is not None


async def finish(tx: Transaction, digest: bytes, at_ms: int) -> None:
    """Mark an import as done and forget which channels it touched."""
    await tx.execute(_Q["finish"], digest, at_ms)


async def touch(tx: Transaction, digest: bytes, channel_ids: Iterable[str]) -> None:
    """Remember channels whose read states are to be counted."""
    await tx.execute(_Q["touch_channels"], digest, sorted(channel_ids))


async def uncounted(db: Database, digest: bytes, limit: int) -> list[str]:
    """Return some channels whose read states are to be counted."""
    return [row["channel_id"] for row in await db.fetch(_Q["uncounted_channels"], digest, limit)]


async def count_read(
    tx: Transaction, digest: bytes, channel_ids: list[str], uncounted_types: list[str]
) -> None:
    """Make the read states of channels true: unread is what came after a member's last look."""
    await tx.execute(f"SET LOCAL statement_timeout = '{COUNT_TIMEOUT_S}s'")
    await tx.execute(_Q["count_read"], channel_ids, uncounted_types, timeout=COUNT_TIMEOUT_S + 1)
    await tx.execute(_Q["set_counted"], digest, channel_ids)


async def connected_members(db: Database, digest: bytes, after: str, now_ms: int, limit: int) -> list[str]:
    """Return a page, by id, of the users who are logged in and in a channel that was touched."""
    return [row["id"] for row in await db.fetch(_Q["connected_members"], digest, after, now_ms, limit)]


async def teams_by_names(source: Source, names: list[str]) -> list[Record]:
    """Return (id, name)."""
    return await source.fetch(_Q["teams_by_names"], names)


async def channels_by_names(source: Source, keys: Sequence[tuple[str, str]]) -> list[Record]:
    """Return (id, team_id, name, type) of channels by (team id, name)."""
    return await source.fetch(_Q["channels_by_names"], [key[0] for key in keys], [key[1] for key in keys])


async def people_by_names(source: Source, names: list[str]) -> list[Record]:
    """Return (id, username, roles, is_bot)."""
    return await source.fetch(_Q["people_by_names"], names)


async def fetch(source: Source, name: str, *args: Any) -> list[Record]:
    """Run one of this family's queries; its columns stand in queries/imports.sql."""
    return await source.fetch(_Q[name], *args)


async def put(tx: Transaction, name: str, *args: Any) -> list[Record]:
    """Run one of this family's statements; return what it returns."""
    rows: list[Record] = await tx.fetch(_Q[name], *args)
    return rows


async def put_rows(
    tx: Transaction, name: str, rows: Sequence[Sequence[Any]], *first: Any, last: Sequence[Any] = ()
) -> list[Record]:
    """Run a statement whose parameters are the first ones, the columns of rows, the last ones. Nothing for no rows."""
    if not rows:
        return []
    return await put(tx, name, *first, *(list(column) for column in zip(*rows, strict=True)), *last)


async def index(tx: Transaction, language: str, post_ids: list[str]) -> None:
    """Make posts and their files found by search."""
    await tx.execute(_SEARCH["index_these"], language, post_ids)


def is_refusal(error: BaseException) -> bool:
    """Tell whether the database refused a value: one line of a batch may be at fault, and the others not."""
    return isinstance(
        error,
        asyncpg.DataError | asyncpg.IntegrityConstraintViolationError | asyncpg.ProgramLimitExceededError,
    )


def may_pass(error: BaseException) -> bool:
    """Tell whether the same again may succeed: others were at the same rows."""
    return isinstance(
        error, asyncpg.DeadlockDetectedError | asyncpg.SerializationError | asyncpg.UniqueViolationError
    )
