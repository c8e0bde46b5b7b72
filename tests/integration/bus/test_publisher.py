"""Every committed announcement reaches the bus, in order, whatever dies on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.fixtures.postgres import TEMPLATE, Postgres
from tests.fixtures.redis import Redis
from tests.shared.bus_contract import Inbox
from tidewire.bus import envelope
from tidewire.bus import publisher as publishing
from tidewire.bus import redis as redis_bus
from tidewire.bus.publisher import Publisher
from tidewire.bus.redis import DECIDE, RedisProducer
from tidewire.bus.redis_client import RedisClient
from tidewire.bus.redis_reader import RedisReader
from tidewire.store.db import Database
from tidewire.store.outbox import Outbox
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_id

CHANNELS = [f"{i:026}" for i in range(1, 6)]
TIMEOUT_S = 30.0


class Worker:
    """One API worker as far as announcements go."""

    def __init__(self, database_url: str, redis_url: str, *, retention_ms: int = 60_000) -> None:
        self.name = new_id()
        self.db = Database(database_url, worker=self.name)
        self.producer = RedisProducer(redis_url)
        self.outbox = Outbox(self.db, self.name)
        self.publisher = Publisher(self.producer, self.outbox, retention_ms=retention_ms)
        self.db.publisher = self.publisher

    async def start(self) -> "Worker":
        self.publisher.start()
        await self.until(lambda: self.publisher.live)
        return self

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                await asyncio.sleep(0.01)

    async def announce(self, channel_id: str, *, count: int = 1) -> None:
        async with self.db.transaction() as tx:
            for _ in range(count):
                key = envelope.channel_key(channel_id)
                tx.announce(key, envelope.encode(envelope.Envelope(key, copies=[envelope.Copy(b"{")])))

    async def die(self) -> None:
        """What SIGKILL leaves: closed sockets."""
        for task in self.publisher._tasks:
            task.cancel()
        await self.outbox.close()
        await self.producer.close()
        await self.db.close()

    async def close(self) -> None:
        await self.publisher.close()
        await self.producer.close()
        await self.db.close()


async def seed(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.executemany(
        "INSERT INTO channels (id, create_at, update_at, team_id, type, name) VALUES ($1, 1, 1, '', 'O', $1)",
        [(channel,) for channel in CHANNELS],
    )
    await connection.close()


@asynccontextmanager
async def inbox_of(redis_url: str) -> AsyncIterator[Inbox]:
    inbox = Inbox(RedisReader(redis_url))
    async with asyncio.timeout(TIMEOUT_S):
        await inbox.reader.ready()
    yield inbox
    await inbox.close()


async def numbers_in_database(database_url: str) -> dict[str, int]:
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT id, event_n FROM channels WHERE event_n > 0")
    await connection.close()
    return {envelope.channel_key(row["id"]): row["event_n"] for row in rows}


async def check_complete(inbox: Inbox, database_url: str) -> None:
    """Every number of every channel arrives. (Numbers of two workers may swap by some ms: gateways hold them.)"""
    last = await numbers_in_database(database_url)
    expected = {(key, n) for key, most in last.items() for n in range(1, most + 1)}
    await inbox.wait_for(lambda: {(key, n) for key, n, _ in inbox.all} >= expected)
    assert {(key, n) for key, n, _ in inbox.all} == expected


async def outbox_rows(database_url: str) -> list[bool]:
    """Return `published` of each row."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT published FROM outbox ORDER BY id")
    await connection.close()
    return [row["published"] for row in rows]


async def until_outbox(database_url: str, condition: Callable[[list[bool]], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition(await outbox_rows(database_url)):
            await asyncio.sleep(0.05)


async def test_commits_are_published_once_and_marked(database_url: str, redis_url: str) -> None:
    await seed(database_url)
    worker = await Worker(database_url, redis_url).start()
    async with inbox_of(redis_url) as inbox:
        for i in range(50):
            await worker.announce(CHANNELS[i % 5], count=1 + i % 3)
        await check_complete(inbox, database_url)
        assert len(inbox.all) == sum(map(len, inbox.once.values()))  # in order, and nothing twice
    await until_outbox(database_url, lambda rows: len(rows) == 50 and all(rows))
    await worker.close()


async def test_ids_taken_by_a_flush_are_left_to_it(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KNOWN_S", "SLOW_MS"):  # this flush may take as long as it likes
        monkeypatch.setattr(publishing, name, 3_600_000)
    await seed(database_url)
    worker = await Worker(database_url, redis_url).start()
    async with inbox_of(redis_url) as inbox:
        await worker.announce(CHANNELS[0])
        ids: list[int] = []
        async with asyncio.timeout(TIMEOUT_S):
            while not ids:
                ids = worker.publisher.take_published()
                await asyncio.sleep(0.001)
        assert worker.publisher.take_published() == []
        await check_complete(inbox, database_url)
    await worker.close()
    assert await outbox_rows(database_url) == [False]


async def test_published_rows_go_after_the_retention(database_url: str, redis_url: str) -> None:
    await seed(database_url)
    worker = await Worker(database_url, redis_url, retention_ms=100).start()
    await worker.announce(CHANNELS[0])
    await until_outbox(database_url, lambda rows: rows == [])
    await worker.close()


async def test_what_a_dead_worker_left_is_published(database_url: str, redis_url: str) -> None:
    await seed(database_url)
    alive, dying = await Worker(database_url, redis_url).start(), Worker(database_url, redis_url)
    await dying.start()
    async with inbox_of(redis_url) as inbox:
        await alive.announce(CHANNELS[0])
        await dying.announce(CHANNELS[0])
        dying.db.publisher = None  # killed exactly between commit and XADD
        await dying.announce(CHANNELS[0])
        await dying.announce(CHANNELS[1])
        await dying.die()
        await alive.announce(CHANNELS[0])
        await check_complete(inbox, database_url)
        await until_outbox(database_url, all)
    await alive.close()


async def test_a_commit_whose_answer_was_lost_is_published(database_url: str, redis_url: str) -> None:
    await seed(database_url)
    worker = await Worker(database_url, redis_url).start()
    async with inbox_of(redis_url) as inbox:
        worker.db.publisher = None
        await worker.announce(CHANNELS[0])
        await check_complete(inbox, database_url)
    await worker.close()


async def test_leading_passes_on(database_url: str, redis_url: str) -> None:
    await seed(database_url)
    workers = [await Worker(database_url, redis_url).start() for _ in range(3)]
    async with inbox_of(redis_url) as inbox:
        while workers:
            dying = workers.pop(0)
            dying.db.publisher = None
            await dying.announce(CHANNELS[0])
            await (dying.die() if workers else dying.close())
        last = await Worker(database_url, redis_url).start()
        await check_complete(inbox, database_url)
        await last.close()


async def test_a_frozen_leader_is_replaced(database_url: str, redis_url: str) -> None:
    await seed(database_url)
    frozen = await Worker(database_url, redis_url).start()
    other = await Worker(database_url, redis_url).start()
    async with inbox_of(redis_url) as inbox:
        frozen.db.publisher = None
        for task in frozen.publisher._tasks:
            task.cancel()  # its connections stay open, as those of a stopped process do
        await frozen.announce(CHANNELS[0])
        await check_complete(inbox, database_url)
        assert await other.outbox.lead()
    await frozen.die()
    await other.close()


@pytest.mark.parametrize("forget", [False, True], ids=["durable", "empty"])
async def test_redis_down_then_back(database_url: str, own_redis: Redis, forget: bool) -> None:
    await seed(database_url)
    workers = [await Worker(database_url, own_redis.url).start() for _ in range(2)]
    async with inbox_of(own_redis.url) as inbox:

        async def post(rounds: int) -> None:
            for i in range(rounds):
                await workers[i % 2].announce(CHANNELS[i % 5])

        await post(40)
        await check_complete(inbox, database_url)
        await asyncio.to_thread(own_redis.kill)
        await post(40)
        if forget:
            for path in own_redis.directory.glob("appendonlydir/*"):
                path.unlink()
        await asyncio.to_thread(own_redis.start)
        await post(40)
        await check_complete(inbox, database_url)
        await until_outbox(database_url, all)
        await workers[0].until(lambda: all(worker.publisher.live for worker in workers))
    for worker in workers:
        await worker.close()


async def test_redis_flushed_while_idle(redis: Redis, database_url: str, redis_url: str) -> None:
    await seed(database_url)
    worker = await Worker(database_url, redis_url).start()
    await worker.announce(CHANNELS[0], count=3)
    await until_outbox(database_url, lambda rows: rows == [True])
    redis.flush()
    async with asyncio.timeout(TIMEOUT_S):
        while redis.command("XLEN", "tw:events:0") != b":3\r\n":
            await asyncio.sleep(0.05)
    await worker.close()


async def test_postgres_killed_under_two_workers(own_postgres: Postgres, redis_url: str) -> None:
    database_url = own_postgres.url(TEMPLATE)
    await seed(database_url)
    workers = [await Worker(database_url, redis_url).start() for _ in range(2)]
    stop = False

    async def post(worker: Worker) -> None:
        i = 0
        while not stop:
            i += 1
            try:
                await worker.announce(CHANNELS[i % 5])
            except (Unavailable, asyncpg.PostgresError, asyncpg.InternalClientError):
                await asyncio.sleep(0.02)

    async with inbox_of(redis_url) as inbox:
        posting = [asyncio.create_task(post(worker)) for worker in workers for _ in range(4)]
        for _ in range(3):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(own_postgres.kill)
            await asyncio.to_thread(own_postgres.start)
        await asyncio.sleep(0.3)
        stop = True
        await asyncio.gather(*posting)
        await check_complete(inbox, database_url)
        await until_outbox(database_url, all)
    for worker in workers:
        await worker.close()


async def test_a_frozen_redis_costs_no_commit(database_url: str, own_redis: Redis) -> None:
    await seed(database_url)
    worker = await Worker(database_url, own_redis.url).start()
    async with inbox_of(own_redis.url) as inbox:
        own_redis.pause()
        for _ in range(20):
            await worker.announce(CHANNELS[0])
        await worker.until(lambda: not worker.publisher.live)
        own_redis.resume()
        await worker.until(lambda: worker.publisher.live)
        await worker.announce(CHANNELS[0])
        await check_complete(inbox, database_url)
    await worker.close()


async def test_a_full_redis_costs_no_commit(database_url: str, own_redis: Redis) -> None:
    """Security case G7: it refuses every write for want of memory, until it has some again."""
    await seed(database_url)
    worker = await Worker(database_url, own_redis.url).start()
    async with inbox_of(own_redis.url) as inbox:
        await worker.announce(CHANNELS[0])
        own_redis.command("CONFIG", "SET", "maxmemory", "1")
        assert own_redis.command("SET", "a", "b").startswith(b"-OOM")
        for _ in range(20):
            await worker.announce(CHANNELS[0])
        await worker.until(lambda: not worker.publisher.live)
        own_redis.command("CONFIG", "SET", "maxmemory", "0")
        await worker.until(lambda: worker.publisher.live)
        await check_complete(inbox, database_url)
    await worker.close()


async def decided_on(client: RedisClient) -> list[str]:
    """Return the posts that wait for the push worker."""
    entries = await client.call("XRANGE", DECIDE, "-", "+")
    found = [envelope.decode_decision(fields[1]).push for _, fields in entries]
    return [push.post_id for push in found if isinstance(push, envelope.PostPush)]


async def announce_post(worker: Worker, post_id: str) -> None:
    """Commit an announcement that may lead to a push."""
    key = envelope.channel_key(CHANNELS[0])
    announced = envelope.Envelope(key, copies=[envelope.Copy(b"{")], push=envelope.PostPush(post_id))
    async with worker.db.transaction() as tx:
        tx.announce(key, envelope.encode(announced))


async def test_what_may_be_pushed_reaches_the_push_worker(database_url: str, redis_url: str) -> None:
    """With the event, by whoever publishes it: its own worker, or the one that repairs after a death."""
    await seed(database_url)
    client = RedisClient(redis_url)
    worker = await Worker(database_url, redis_url).start()
    async with inbox_of(redis_url) as inbox:
        await announce_post(worker, "live")
        await worker.announce(CHANNELS[1])  # leads to nothing
        await check_complete(inbox, database_url)
        assert await decided_on(client) == ["live"]
        await worker.die()
        await announce_post(worker, "orphan")  # commits; nobody is there to publish it
        await worker.db.close()
        heir = await Worker(database_url, redis_url).start()
        await check_complete(inbox, database_url)
        assert (await decided_on(client))[-1:] == ["orphan"]
        await heir.close()
    await client.close()


async def test_a_queue_without_a_push_worker_stays_small_and_is_told_of(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(publishing.log, "error", lambda event, **fields: said.append(event))
    monkeypatch.setattr(publishing, "DELETE_EVERY_S", 0.0)
    monkeypatch.setattr(redis_bus, "DECIDE_LENGTH", 300)
    trim = [300 if word == 500_000 else word for word in redis_bus.ADD_DECISION]
    monkeypatch.setattr(redis_bus, "ADD_DECISION", tuple(trim))
    await seed(database_url)
    client = RedisClient(redis_url)
    worker = await Worker(database_url, redis_url).start()
    for number in range(700):
        await announce_post(worker, str(number))
    await worker.until(lambda: bool(said))
    assert len(said) == 1
    assert "push worker" in said[0]
    kept = await decided_on(client)
    assert 300 <= len(kept) < 700  # in whole blocks of a hundred
    assert kept[-1] == "699"
    await worker.close()
    await client.close()
