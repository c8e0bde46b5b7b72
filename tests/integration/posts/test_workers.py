"""Several workers at the same channels: no deadlock, no number twice or missing, counters as if one after another."""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from random import Random

import msgspec

from tests.integration.posts.test_group_commit import add_channels, make, opened
from tidewire.actions.post_writer import PostWriter, Refused
from tidewire.bus.envelope import Envelope, channel_key, encode
from tidewire.store import posts
from tidewire.store.db import Database
from tidewire.wire.ids import now_ms

WORKERS, STEPS = 3, 150
_payload = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


class Worker:
    """Posts, replies, edits and deletes at random."""

    def __init__(
        self, db: Database, writer: PostWriter, channels: list[str], users: list[str], seed: int
    ) -> None:
        self.db, self.writer, self.channels, self.users = db, writer, channels, users
        self.random = Random(seed)

    async def step(self, known: list[tuple[str, str]]) -> None:
        """known: (root, channel) of all workers' posts."""
        random = self.random
        deed = random.random()
        if deed < 0.6 or not known:
            channel, root = random.choice(self.channels), ""
            if known and random.random() < 0.5:
                root, channel = random.choice(known)
            author, other = random.sample(self.users, 2)
            new = make(channel, author, root_id=root, views=not root, mentions=[other])
            try:
                await self.writer.write(new)
            except Refused:
                return
            if not root:
                known.append((new.post.id, channel))
            return
        post_id, channel = random.choice(known)
        async with self.db.transaction() as tx:
            post = await posts.lock(tx, post_id)
            if post is None:
                return
            post.update_at = max(now_ms(), post.update_at + 1)
            if deed < 0.9:
                post.message += "!"
                await posts.update(tx, post, keep=True)
            else:
                await posts.delete(tx, post, post.update_at, self.users[0])
            tx.announce(channel_key(channel), encode(Envelope(channel_key(channel))))


async def test_workers_do_not_get_into_each_others_way(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        opens = [await stack.enter_async_context(opened(database_url, f"w{i}")) for i in range(WORKERS)]
        db = opens[0][0]
        channels, users = await add_channels(db, 6, 5)
        known: list[tuple[str, str]] = []

        async def work(worker: Worker) -> None:
            for _ in range(STEPS // 10):
                await asyncio.gather(*[worker.step(known) for _ in range(10)])

        await asyncio.gather(
            *[work(Worker(one, writer, channels, users, i)) for i, (one, writer, _) in enumerate(opens)]
        )
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert await db.fetchval(deadlocks) == 0
        numbers: dict[str, list[int]] = defaultdict(list)
        for row in await db.fetch("SELECT payload, keys, ns FROM outbox ORDER BY id"):
            count: dict[str, int] = defaultdict(int)
            for key, _ in _payload.decode(row["payload"]):
                count[key] += 1
            for key, last in zip(row["keys"], row["ns"], strict=True):
                numbers[key] += range(last - count[key] + 1, last + 1)
        for channel in channels:
            event_n = await db.fetchval("SELECT event_n FROM channels WHERE id = $1", channel)
            assert numbers[channel_key(channel)] == [*range(1, event_n + 1)]
        wrong = await db.fetch(
            """SELECT c.id FROM channels c WHERE total_msg_count <>
                (SELECT count(*) FROM posts p WHERE p.channel_id = c.id AND original_id = '')"""
        )
        assert wrong == []
        wrong = await db.fetch(
            """SELECT p.id FROM posts p LEFT JOIN threads t ON t.root_id = p.id
            WHERE p.root_id = '' AND p.original_id = '' AND p.delete_at = 0 AND coalesce(t.reply_count, 0) <>
                (SELECT count(*) FROM posts r WHERE r.root_id = p.id AND r.original_id = '' AND r.delete_at = 0)"""
        )
        assert wrong == []
        orphans = await db.fetchval(
            """SELECT count(*) FROM posts r JOIN posts p ON p.id = r.root_id
            WHERE r.delete_at = 0 AND p.delete_at > 0 AND r.original_id = ''"""
        )
        assert orphans == 0
