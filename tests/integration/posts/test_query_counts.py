"""What each action asks of PostgreSQL: a fixed number of statements, however many posts it is about."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import react, say
from tidewire.store import sql
from tidewire.store.db import Database

OTHERS = {*sql.load("outbox").values(), "BEGIN;", "COMMIT;"}  # the publisher's, by the clock, and frames


pytestmark = pytest.mark.asyncio(loop_scope="module")


class Statements:
    """The statements of all connections opened since, without the publisher's and transactions' frames."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def note(self, record: Any) -> None:
        """Called by asyncpg after each statement."""
        if record.query not in OTHERS and "pg_catalog" not in record.query:
            self.seen.append(record.query)

    @contextmanager
    def count(self, expected: int) -> Iterator[None]:
        """Check how many statements the block takes."""
        self.seen.clear()
        yield
        assert len(self.seen) == expected, self.seen


@pytest.fixture(scope="module")
def statements() -> Iterator[Statements]:
    """Notes of everything that is asked; must stand before `people` in a test's arguments."""
    notes = Statements()
    connect = Database.connect

    async def noting(self: Database, **settings: str) -> asyncpg.Connection:
        connection = await connect(self, **settings)
        connection.add_query_logger(notes.note)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "connect", noting)
        yield notes


async def test_statements_of_each_action(statements: Statements, people: People) -> None:
    me, channel = people.member, people.channel["id"]
    roots = await asyncio.gather(*[say(me, channel) for _ in range(20)])
    replies = await asyncio.gather(*[say(me, channel, root_id=root["id"]) for root in roots])
    for post in [*roots[:10], *replies[:10]]:
        await react(me, post["id"], "+1")
    with statements.count(1):
        await say(me, channel)
    await asyncio.sleep(0.5)  # the bus says that the thread has got a follower
    await say(me, channel, root_id=roots[0]["id"])
    with statements.count(1):
        await say(me, channel, root_id=roots[0]["id"])
    with statements.count(1):  # names and keywords of a small channel are in memory
        await say(me, channel, f"hello @{people.owner.me['username']}")
    with statements.count(5):  # version, page, neighbours, roots, reactions
        assert len((await me.get(f"/channels/{channel}/posts?per_page=15"))["order"]) == 15
    with statements.count(2):  # changed posts, reactions; every root has changed too
        await me.get(f"/channels/{channel}/posts?since={replies[0]['create_at'] - 1}")
    with statements.count(4):  # post, version, replies, reactions
        await me.get(f"/posts/{roots[0]['id']}/thread")
    with statements.count(2):  # posts, reactions
        assert len(await me.post("/posts/ids", [post["id"] for post in [*roots, *replies]])) == 40
    with statements.count(2):
        assert len(await me.post("/posts/ids/reactions", [post["id"] for post in roots])) == 20
    with statements.count(8):  # post; lock, read, old version, update, reactions; number, outbox
        await me.put(f"/posts/{roots[0]['id']}/patch", {"message": "edited"})
    with statements.count(7):  # post; lock, distinct emojis, insert, touch; number, outbox
        await react(me, roots[1]["id"], "wave")
    with statements.count(7):  # post; lock, read, delete with replies, end of the thread; number, outbox
        await me.delete(f"/posts/{roots[2]['id']}")
