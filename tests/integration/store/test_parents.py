"""What is written for an account that is deleted at the same time: nothing is left, whichever of the two is first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.postgres import Postgres, cloned
from tidewire.store import permanent, statuses
from tidewire.store.db import Database
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
Write = Callable[[Any, str], Awaitable[object]]  # (database or transaction, id of the parent)
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
PATIENCE_S = 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def db(postgres: Postgres) -> AsyncIterator[Database]:
    async with cloned(postgres) as url:
        made = Database(url)
        yield made
        await made.close()


async def new_user(db: Database) -> str:
    user_id = new_id()
    insert = "INSERT INTO users (id, create_at, update_at, username, email) VALUES ($1, 1, 1, $1, $1)"
    await db.execute(insert, user_id)
    return user_id


async def delete_users(tx: Any, user_id: str) -> None:
    await permanent.delete_accounts(tx, [user_id])


@asynccontextmanager
async def at_the_same_time(db: Database, act: Callable[[Any], Awaitable[object]]) -> AsyncIterator[Any]:
    """A transaction that stays open until the act, which begins after the context's body, is done or waits for it."""
    task: asyncio.Task[None] | None = None

    async def other() -> None:
        async with db.transaction() as tx:
            await act(tx)

    async with asyncio.timeout(PATIENCE_S):
        async with db.transaction() as tx:
            yield tx
            task = asyncio.create_task(other())
            while not task.done() and not await db.fetchval(WAITS):
                await asyncio.sleep(0.01)
        await task


WRITES: dict[str, Write] = {
    "presence": lambda tx, user_id: statuses.note(tx, {user_id: ("offline", 5)}),
    "a choice": lambda tx, user_id: statuses.choose(tx, user_id, "dnd"),
    "a choice taken back": lambda tx, user_id: statuses.choose_online(tx, user_id),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_deleted_while_it_is_written(db: Database, write: Write) -> None:
    user_id = await new_user(db)
    async with at_the_same_time(db, lambda tx: delete_users(tx, user_id)) as tx:
        await write(tx, user_id)
    assert await mentions(db, user_id) == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_written_while_it_is_deleted(db: Database, write: Write) -> None:
    user_id = await new_user(db)
    async with at_the_same_time(db, lambda tx: write(tx, user_id)) as tx:
        await delete_users(tx, user_id)
    assert await mentions(db, user_id) == []
    await write(db, user_id)  # and after it
    assert await mentions(db, user_id) == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_written_for_who_is_there(db: Database, write: Write) -> None:
    user_id = await new_user(db)
    await write(db, user_id)
    assert set(await mentions(db, user_id)) == {"users", "statuses"}


async def test_presence_of_others_is_written_without_who_is_gone(db: Database) -> None:
    *there, gone = sorted([await new_user(db) for _ in range(5)])
    gone, there[1] = there[1], gone  # in the midst of the others
    nobody = new_id()
    seen = {one: ("away", number) for number, one in enumerate([nobody, gone, *there])}
    async with at_the_same_time(db, lambda tx: statuses.note(tx, seen)) as tx:
        await delete_users(tx, gone)
    rows = await db.fetch(
        "SELECT user_id, last_activity_at FROM statuses WHERE user_id = ANY($1)", list(seen)
    )
    assert dict(rows) == {one: seen[one][1] for one in there}


async def mentions(db: Database, parent_id: str) -> list[str]:
    """Return the tables with rows that name the parent."""
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [
        name
        for (name,) in tables
        if await db.fetchval(f"SELECT count(*) FROM {name} x WHERE position($1 in x::text) > 0", parent_id)
    ]
