"""The group commit on a real PostgreSQL: what a batch changes, what it refuses, and what survives lost answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from tests.fixtures.postgres import TEMPLATE, Postgres
from tidewire.actions import post_writer
from tidewire.actions.post_writer import PostWriter, Refused, Repeated
from tidewire.bus.envelope import Envelope, encode
from tidewire.store import post_batch, sql
from tidewire.store.db import Connection, Database
from tidewire.store.post_batch import PLANNING, Batch, Committed, NewPost
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Post, PostMetadata, PostPriority


@dataclass
class Published:
    """A publisher that only notes."""

    rows: list[Committed] = field(default_factory=list)

    def committed(self, outbox_id: int, entries: list[tuple[str, int, bytes]]) -> None:
        self.rows.append((outbox_id, entries))

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """(key, n) in the order of publication."""
        return [(key, n) for _, entries in self.rows for key, n, _ in entries]


@asynccontextmanager
async def opened(url: str, worker: str = "w") -> AsyncIterator[tuple[Database, PostWriter, Published]]:
    """A worker's database, writer and notes."""
    db = Database(url, worker=worker)
    published = Published()
    db.publisher = published
    writer = PostWriter(db)
    yield db, writer, published
    await writer.close()
    await db.close()


async def add_channels(db: Database, count: int, members: int = 2) -> tuple[list[str], list[str]]:
    """Return sorted ids of new channels and of the users that are members of all."""
    channels, users = sorted(new_id() for _ in range(count)), sorted(new_id() for _ in range(members))
    await db.execute(
        """INSERT INTO channels (id, create_at, update_at, team_id, type, name)
        SELECT c, 1, 1, '', 'O', c FROM unnest($1::text[]) c""",
        channels,
    )
    await db.execute(
        "INSERT INTO channel_members (channel_id, user_id) SELECT c, u FROM unnest($1::text[]) c, unnest($2::text[]) u",
        channels,
        users,
    )
    return channels, users


def make(channel_id: str, user_id: str, **members: Any) -> NewPost:
    """Return a new post of a user."""
    now = now_ms()
    how = {
        name: members.pop(name)
        for name in ("counted", "views", "mentions", "followers", "needs_live_channel", "awaits_preview")
        if name in members
    }
    post = Post(**{"id": new_id(now), "create_at": now, "update_at": now, "message": "hi", **members},
                channel_id=channel_id, user_id=user_id)  # fmt: skip
    return NewPost(post, encode(Envelope("c:" + channel_id)), **how)


async def row(db: Database, table: str, **key: str) -> dict[str, Any]:
    where = " AND ".join(f"{name} = ${i}" for i, name in enumerate(key, 1))
    found = await db.fetchrow(f"SELECT * FROM {table} WHERE {where}", *key.values())
    assert found is not None
    return dict(found)


async def test_a_burst_is_a_few_commits_and_every_counter_fits(database_url: str) -> None:
    async with opened(database_url) as (db, writer, published):
        channels, (ada, bob) = await add_channels(db, 3)
        root = make(channels[0], ada)
        await writer.write(root)
        news = [
            make(channels[i % 3], (ada, bob)[i % 2], views=i % 3 == 1, mentions=[bob] if i % 10 == 0 else [])
            for i in range(60)
        ]
        news += [make(channels[0], bob, root_id=root.post.id) for _ in range(4)]
        news += [make(channels[1], ada, counted=False)]
        await asyncio.gather(*[writer.write(new) for new in news])
        assert len(published.rows) == 2

        for channel_id in channels:
            posts = [root, *news]
            here = [new for new in posts if new.post.channel_id == channel_id]
            channel = await row(db, "channels", id=channel_id)
            assert channel["event_n"] == len(here)
            assert channel["total_msg_count"] == sum(new.counted for new in here)
            assert channel["total_msg_count_root"] == sum(
                new.counted and not new.post.root_id for new in here
            )
            assert channel["last_post_at"] == max(new.post.create_at for new in here)
            assert [n for key, n in published.numbers if key == "c:" + channel_id] == [
                *range(1, len(here) + 1)
            ]
            for user_id in (ada, bob):
                member = await row(db, "channel_members", channel_id=channel_id, user_id=user_id)
                views = [i for i, new in enumerate(here) if new.views and new.post.user_id == user_id]
                seen = here[: views[-1] + 1] if views else []
                assert member["msg_count"] == sum(new.counted for new in seen)
                later = here[views[-1] + 1 :] if views else here
                assert member["mention_count"] == sum(user_id in new.mentions for new in later)
        thread = await row(db, "threads", root_id=root.post.id)
        assert (thread["reply_count"], thread["participants"]) == (4, [bob])
        assert (await row(db, "posts", id=root.post.id))["update_at"] == news[63].post.create_at
        outbox = await db.fetch("SELECT * FROM outbox ORDER BY id")
        assert [r["id"] for r in outbox] == [outbox_id for outbox_id, _ in published.rows]


async def test_threads_and_urgent_roots_are_counted_once_per_row(database_url: str) -> None:
    """Many changes of the same followers and members in one batch, in the order of the posts."""
    async with opened(database_url) as (db, writer, published):
        (channel,), users = await add_channels(db, 1, 4)
        ada, bob, cyd, dan = users
        root = make(channel, ada, mentions=[bob, dan], metadata=PostMetadata(priority=PostPriority("urgent")))
        await writer.write(root)
        await db.execute(
            "INSERT INTO thread_members (root_id, user_id, channel_id, following) VALUES ($1, $2, $3, false)",
            root.post.id, dan, channel,
        )  # fmt: skip
        stranger = new_id()
        replies = [
            make(channel, bob, root_id=root.post.id, views=True, mentions=[cyd], followers=[ada, dan, stranger]),
            make(channel, cyd, root_id=root.post.id, views=True, mentions=[bob], followers=[ada, dan, stranger]),
            make(channel, bob, root_id=root.post.id, views=True, followers=[ada]),
            make(channel, ada, root_id=root.post.id, mentions=[cyd, bob]),
            make(channel, ada, root_id=root.post.id, mentions=[bob]),
        ]
        for number, reply in enumerate(replies):  # the last one was created before what bob wrote, and read with it
            reply.post.create_at = root.post.create_at + (number + 1 if number < 4 else 2)
        before = len(published.rows)
        await asyncio.gather(*[writer.write(reply) for reply in replies])
        assert len(published.rows) == before + 1
        rows = {row["user_id"]: row for row in await db.fetch("SELECT * FROM thread_members")}
        assert {user: (rows[user]["following"], rows[user]["unread_mentions"]) for user in rows} == {
            ada: (True, 0), bob: (True, 1), cyd: (True, 1), dan: (False, 0),
        }  # fmt: skip
        assert rows[bob]["last_viewed_at"] == replies[2].post.create_at
        assert rows[ada]["last_viewed_at"] == 0
        counts = {
            user: (found["mention_count"], found["mention_count_root"], found["urgent_mention_count"])
            for user in users
            for found in [await row(db, "channel_members", channel_id=channel, user_id=user)]
        }
        assert counts == {ada: (0, 0, 0), bob: (4, 1, 1), cyd: (2, 0, 0), dan: (1, 1, 1)}
        mentioned = make(channel, ada, root_id=root.post.id, mentions=[bob])
        mentioned.post.create_at = now_ms() + 1000
        await writer.write(mentioned)
        await writer.write(make(channel, bob, root_id=root.post.id, views=True))  # created before, committed after
        of_bob = await row(db, "thread_members", root_id=root.post.id, user_id=bob)
        assert of_bob["unread_mentions"] == 2 and of_bob["last_viewed_at"] < mentioned.post.create_at
        later = make(channel, bob, root_id=root.post.id, views=True)
        later.post.create_at = mentioned.post.create_at
        await writer.write(later)
        assert (await row(db, "thread_members", root_id=root.post.id, user_id=bob))["unread_mentions"] == 0
        await writer.write(make(channel, bob, views=True))
        assert (await row(db, "channel_members", channel_id=channel, user_id=bob))["urgent_mention_count"] == 0


async def test_one_bad_post_does_not_fail_the_others(database_url: str) -> None:
    async with opened(database_url) as (db, writer, _):
        (channel, archived), (ada, _) = await add_channels(db, 2)
        await db.execute("UPDATE channels SET delete_at = 1 WHERE id = $1", archived)
        bad = [
            make(channel, ada, root_id=new_id()),
            make(archived, ada),
            make(new_id(), ada),
            make(channel, ada, message="\0"),
        ]
        good = [make(channel, ada) for _ in range(20)] + [make(archived, ada, needs_live_channel=False)]
        mixed = [*good[:7], bad[0], *good[7:9], bad[1], bad[2], *good[9:], bad[3]]
        results = await asyncio.gather(*[writer.write(new) for new in mixed], return_exceptions=True)
        outcome = {id(new): result for new, result in zip(mixed, results, strict=True)}
        assert [outcome[id(new)] for new in good] == [None] * len(good)
        assert [type(outcome[id(new)]) for new in bad[:3]] == [Refused] * 3
        assert isinstance(outcome[id(bad[3])], asyncpg.PostgresError)
        assert (await row(db, "channels", id=channel))["total_msg_count"] == 20
        assert await db.fetchval("SELECT count(*) FROM posts") == 21


async def test_a_reply_loses_against_the_deletion_of_its_root(database_url: str) -> None:
    async with opened(database_url) as (db, writer, _):
        (channel,), (ada, _) = await add_channels(db, 1)
        root = make(channel, ada)
        await writer.write(root)
        async with db.transaction() as tx:
            await tx.execute("UPDATE posts SET delete_at = 5 WHERE id = $1", root.post.id)
            late = asyncio.create_task(writer.write(make(channel, ada, root_id=root.post.id)))
            while not await db.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0)
        with pytest.raises(Refused):
            await late
        assert await db.fetchval("SELECT count(*) FROM threads") == 0


async def test_a_pending_id_makes_one_post_at_any_worker(database_url: str) -> None:
    async with opened(database_url, "a") as (db, one, _), opened(database_url, "b") as (_, two, _):
        (channel,), (ada, bob) = await add_channels(db, 1)
        first = make(channel, ada, pending_post_id="p1")
        again = [make(channel, ada, pending_post_id="p1") for _ in range(4)]
        results = await asyncio.gather(
            *[one.write(new) for new in [first, *again[:2]]],
            one.write(make(channel, bob, pending_post_id="p1")),
            one.write(make(channel, ada, pending_post_id="p2")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [
            type(None),
            Repeated,
            Repeated,
            type(None),
            type(None),
        ]
        assert isinstance(results[1], Repeated) and results[1].post_id == first.post.id
        with pytest.raises(Refused):
            await two.write(again[2])
        assert await two.first_post_id(ada, "p1") == first.post.id
        # At the same moment at two workers: one of them wins.
        racing = [make(channel, ada, pending_post_id="p3") for _ in range(2)]
        raced = await asyncio.gather(one.write(racing[0]), two.write(racing[1]), return_exceptions=True)
        assert sorted(type(result).__name__ for result in raced) == ["NoneType", "Refused"]
        # After 30 s a pending id may be used again.
        await db.execute("UPDATE pending_posts SET at = at - 31000")
        await two.write(again[3])
        assert await db.fetchval("SELECT count(*) FROM posts") == 5
        await post_batch.prune_pending(db, now_ms() + 40_000)
        assert await db.fetchval("SELECT count(*) FROM pending_posts") == 1


async def test_a_caller_that_goes_away_takes_nothing_back(database_url: str) -> None:
    async with opened(database_url) as (db, writer, published):
        (channel,), (ada, _) = await add_channels(db, 1)
        told: list[str] = []
        new = make(channel, ada)
        new.committed = lambda row: told.append(f"{new.post.id} {row > 0}")
        task = asyncio.create_task(writer.write(new))
        await asyncio.sleep(0)
        task.cancel()
        await writer.write(make(channel, ada))
        assert task.cancelled() and told == [f"{new.post.id} True"]
        assert await db.fetchval("SELECT count(*) FROM posts") == 2
        assert len(published.numbers) == 2


async def test_a_lost_answer_is_asked_for_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks after the commit: the batch is written once, and published with its numbers."""
    async with opened(database_url) as (db, writer, published):
        (channel,), (ada, _) = await add_channels(db, 1)
        write, attempts = Batch.write, 0

        async def lossy(self: Batch, connection: Connection, marks: list[int]) -> Committed:
            nonlocal attempts
            attempts += 1
            answer = await write(self, connection, marks)
            if attempts == 1:
                connection.terminate()
                raise ConnectionResetError
            return answer

        monkeypatch.setattr(Batch, "write", lossy)
        await asyncio.gather(*[writer.write(make(channel, ada, pending_post_id=str(i))) for i in range(5)])
        assert attempts == 2
        assert await db.fetchval("SELECT count(*) FROM posts") == 5
        assert (await row(db, "channels", id=channel))["total_msg_count"] == 5
        assert published.numbers == [("c:" + channel, n) for n in range(1, 6)]


async def test_a_killed_database_keeps_what_it_acknowledged(own_postgres: Postgres) -> None:
    """SIGKILL in the middle of a stream of posts, start, go on: acknowledged posts are there, counters fit."""
    async with opened(own_postgres.url(TEMPLATE)) as (db, writer, _):
        channels, (ada, _) = await add_channels(db, 4)
        acknowledged: list[str] = []
        stop = asyncio.Event()

        async def author(number: int) -> None:
            while not stop.is_set():
                new = make(channels[number % 4], ada, pending_post_id=new_id(), views=True)
                try:
                    await writer.write(new)
                except Unavailable:
                    continue
                acknowledged.append(new.post.id)

        async with asyncio.TaskGroup() as authors:
            for number in range(16):
                authors.create_task(author(number))
            for _ in range(2):
                before = len(acknowledged)
                while len(acknowledged) < before + 200:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(own_postgres.kill)
                await asyncio.to_thread(own_postgres.start)
            before = len(acknowledged)
            while len(acknowledged) < before + 200:
                await asyncio.sleep(0.01)
            stop.set()
        stored = {r["id"] for r in await db.fetch("SELECT id FROM posts")}
        assert set(acknowledged) <= stored
        wrong = await db.fetch(
            """SELECT c.id FROM channels c
            JOIN (SELECT channel_id, count(*) AS n FROM posts GROUP BY 1) p ON p.channel_id = c.id
            WHERE c.total_msg_count <> p.n OR c.event_n <> p.n"""
        )
        assert wrong == []


async def test_authors_hear_soon_that_the_database_is_away(
    own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first flush of an outage is patient; later ones try once and refuse all who wait."""
    async with opened(own_postgres.url(TEMPLATE)) as (db, writer, _):
        (channel,), (ada, _) = await add_channels(db, 1)
        connect, attempts = Database.connect, 0

        async def counting(self: Database, **settings: str) -> Connection:
            nonlocal attempts
            attempts += 1
            return await connect(self, **settings)

        monkeypatch.setattr(Database, "connect", counting)
        monkeypatch.setattr(post_writer, "PRUNE_EVERY_S", 1000.0)  # it would try, too
        await asyncio.to_thread(own_postgres.stop)
        seen = []
        for _ in range(3):
            waiting = [writer.write(make(channel, ada)) for _ in range(300)]
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(result) for result in results} == {Unavailable}
            seen.append(attempts)
        assert seen[0] > 3 and seen[2] - seen[0] == 2
        await asyncio.to_thread(own_postgres.start)
        await writer.write(make(channel, ada))


async def test_only_posts_with_links_pay_for_them(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Posts without run the statement that knows of no links; of one with, its row comes or fails with it."""
    asked: list[str] = []
    connect = Database.connect

    async def noting(self: Database, **settings: str) -> asyncpg.Connection:
        connection = await connect(self, **settings)
        connection.add_query_logger(lambda record: asked.append(record.query))
        return connection

    monkeypatch.setattr(Database, "connect", noting)
    async with opened(database_url) as (db, writer, _):
        (channel,), (ada, _) = await add_channels(db, 1)
        names = {text: name for name, text in sql.load("post_writes").items()}
        linked, plain = make(channel, ada, awaits_preview=True), make(channel, ada)
        lost = make(channel, ada, awaits_preview=True, root_id="x" * 26)
        await asyncio.gather(writer.write(plain), writer.write(make(channel, ada)))
        assert [names[text] for text in asked if text in names] == ["create_batch"]
        results = await asyncio.gather(
            writer.write(linked), writer.write(lost), writer.write(make(channel, ada)), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), Refused, type(None)]
        assert "create_batch_with_links" in [names[text] for text in asked if text in names]
        rows = [tuple(row) for row in await db.fetch("SELECT post_id, worker, at, since, tries FROM awaited_previews")]
        at = linked.post.create_at
        assert rows == [(linked.post.id, db.worker, at, at, 0)]


async def test_marks_travel_with_the_next_flush(database_url: str) -> None:
    async with opened(database_url) as (db, _, published):
        (channel,), (ada, _) = await add_channels(db, 1)
        marks: list[list[int]] = [[], [1]]
        writer = PostWriter(db, lambda: marks.pop(0))
        await writer.write(make(channel, ada))
        marks[0][:] = [published.rows[0][0]]
        await writer.write(make(channel, ada))
        await writer.close()
        rows = await db.fetch("SELECT published FROM outbox ORDER BY id")
        assert [r["published"] for r in rows] == [True, False]


@pytest.mark.parametrize(
    ("filled", "statement", "arguments"),
    [(False, "create_batch", 11), (True, "create_batch", 11), (True, "create_batch_with_links", 12)],
)
async def test_row_locks_are_taken_in_the_order_of_the_arrays(
    database_url: str, filled: bool, statement: str, arguments: int
) -> None:
    """Every update must be a nested loop: the array's function scan outside, an index scan inside."""
    async with opened(database_url) as (db, writer, _):
        if filled:
            (channel, *_), (ada, *_) = await add_channels(db, 60, 20)
            await asyncio.gather(*[writer.write(make(channel, ada)) for _ in range(60)])
            await db.execute(
                "INSERT INTO files (id, user_id, channel_id, create_at, update_at, name, extension, size, mime_type,"
                " sha256, key) SELECT 'f' || i, 'u', 'c', 1, 1, 'n', '', 1, '', '', '' FROM generate_series(1, 200) i"
            )
            await db.execute("ANALYZE")
        connection = await db.connect(**PLANNING)
        try:
            await connection.execute("PREPARE batch AS " + sql.load("post_writes")[statement])
            plan = await connection.fetchval(
                f"EXPLAIN (FORMAT JSON) EXECUTE batch({', '.join(['NULL'] * arguments)})"
            )
        finally:
            await connection.close()
    updates: dict[str, list[str]] = {}

    def leaves(node: dict[str, Any]) -> list[str]:
        asides = ("InitPlan", "SubPlan")
        children = [child for child in node.get("Plans", []) if child["Parent Relationship"] not in asides]
        if node["Node Type"] in ("Hash Join", "Merge Join", "Sort"):
            raise AssertionError(f"a {node['Node Type']} takes locks in its own order")
        return [leaf for child in children for leaf in leaves(child)] or [node["Node Type"]]

    def walk(node: dict[str, Any]) -> None:
        writes = node["Node Type"] == "ModifyTable"
        if writes and (node["Operation"] == "Update" or node["Relation Name"] == "thread_members"):
            children = [child for child in node["Plans"] if child["Parent Relationship"] == "Outer"]
            updates[node["Relation Name"]] = leaves(children[0])
        for child in node.get("Plans", []):
            walk(child)

    walk(json.loads(plan)[0]["Plan"])
    assert updates.pop("thread_members") == ["Function Scan"]
    for table in ("posts", "files", "channel_members", "channels"):
        outer, *inner = updates[table]
        assert outer == "Function Scan", updates[table]
        assert set(inner) == {"Index Scan"}, updates[table]
