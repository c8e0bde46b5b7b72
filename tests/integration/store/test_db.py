"""Transactions that announce, the free-list of connections, and migrations, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.fixtures.postgres import TEMPLATE, Postgres
from tidewire.store.db import Database, number
from tidewire.store.migrate import SchemaTooNew, migrate, migrations
from tidewire.wire.errors import Unavailable

CHANNEL = "INSERT INTO channels (id, create_at, update_at, team_id, type, name) VALUES ($1, 1, 1, '', 'O', $1)"


class Heard:
    """Stands where the publisher does: keeps what was committed."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, list[tuple[str, int, bytes]]]] = []

    def committed(self, outbox_id: int, entries: list[tuple[str, int, bytes]]) -> None:
        """Keep it."""
        self.rows.append((outbox_id, entries))


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, size=4, worker="w1", acquire_timeout_s=0.5)
    made.publisher = Heard()
    yield made
    await made.close()


def heard(db: Database) -> list[tuple[str, int, bytes]]:
    assert isinstance(db.publisher, Heard)
    return [entry for _, entries in db.publisher.rows for entry in entries]


async def test_announcements_are_numbered_written_and_published(db: Database) -> None:
    dropped: list[str] = []

    def on_invalidate(keys: Iterable[str]) -> None:
        dropped.extend(keys)

    db.on_invalidate = on_invalidate
    async with db.transaction() as tx:
        await tx.execute(CHANNEL, "a")
        await tx.execute(CHANNEL, "b")
        tx.announce("c:b", b"one", ["channel:b"])
        tx.announce("c:a", b"two")
        tx.announce("c:b", b"three")
    assert heard(db) == [("c:b", 1, b"one"), ("c:a", 1, b"two"), ("c:b", 2, b"three")]
    assert dropped == ["channel:b"]
    row = await db.fetchrow("SELECT * FROM outbox")
    assert row is not None
    assert (row["worker"], row["published"], row["keys"], row["ns"]) == ("w1", False, ["c:a", "c:b"], [1, 2])
    assert msgspec.msgpack.decode(row["payload"]) == [["c:b", b"one"], ["c:a", b"two"], ["c:b", b"three"]]


async def test_nothing_is_announced_by_a_rolled_back_transaction(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.execute(CHANNEL, "a")
            tx.announce("c:a", b"never")
            raise ZeroDivisionError
    assert heard(db) == []
    assert await db.fetchval("SELECT count(*) FROM channels") == 0


async def test_concurrent_transactions_number_without_holes_or_deadlock(db: Database) -> None:
    for name in "abc":
        await db.execute(CHANNEL, name)

    async def announce(turn: int) -> None:
        async with db.transaction() as tx:
            for name in "abc" if turn % 2 else "cba":
                tx.announce(f"c:{name}", b"x")

    for _ in range(10):
        await asyncio.gather(*[announce(turn) for turn in range(4)])
    for name in "abc":
        assert sorted(n for key, n, _ in heard(db) if key == f"c:{name}") == list(range(1, 41))


async def test_no_free_connection_in_time_is_unavailable(db: Database) -> None:
    async def hold() -> None:
        async with db.connection():
            await released.wait()

    released = asyncio.Event()
    holders = [asyncio.create_task(hold()) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await db.fetchval("SELECT 1")
    released.set()
    await asyncio.gather(*holders)
    assert await db.fetchval("SELECT 1") == 1


async def test_a_cancelled_query_costs_its_connection_only(db: Database) -> None:
    query = asyncio.create_task(db.fetchval("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.1)
    query.cancel()
    await asyncio.gather(query, return_exceptions=True)
    assert await asyncio.gather(*[db.fetchval("SELECT 1") for _ in range(8)]) == [1] * 8


async def test_a_killed_server_is_unavailable_and_back_after_its_restart(own_postgres: Postgres) -> None:
    db = Database(own_postgres.url(TEMPLATE))
    assert await db.fetchval("SELECT 1") == 1
    await asyncio.to_thread(own_postgres.kill)
    with pytest.raises(Unavailable):
        await db.fetchval("SELECT 1")
    await asyncio.to_thread(own_postgres.start)
    assert await db.fetchval("SELECT 1") == 1
    await db.close()


async def test_migrating_twice_applies_nothing_and_a_newer_schema_is_refused(database_url: str) -> None:
    applied = await asyncio.gather(migrate(database_url), migrate(database_url))
    assert applied == [[], []]
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO schema_version VALUES (9999, 'future')")
    await connection.close()
    with pytest.raises(SchemaTooNew):
        await migrate(database_url)
    assert [row[0] for row in migrations()] == list(range(1, len(migrations()) + 1))


def test_numbers_follow_the_order_of_announcement() -> None:
    announced = [("c:a", b"1"), ("t:b", b"2"), ("c:a", b"3")]
    assert number(announced, {"c:a": 7, "t:b": 1}) == [("c:a", 6, b"1"), ("t:b", 1, b"2"), ("c:a", 7, b"3")]
