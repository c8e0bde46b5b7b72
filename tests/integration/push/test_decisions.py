"""The queue of decisions: what a dead worker had, what comes again, what nobody can decide on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest

from push.decide_worker import DecideWorker, portions
from tidewire.bus import push_decide
from tidewire.bus.envelope import BadgePush, Decision, PostPush, Push
from tidewire.bus.push_decide import DECIDED, UNDECIDED, DecisionReader, Waiting
from tidewire.bus.push_queue import QueueFull
from tidewire.bus.redis import DECIDE
from tidewire.bus.redis_client import RedisClient
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.push import Job, Notification, new_job

CLAIM_MS = 200


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(redis_url)
    yield client
    await client.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_decide, "BLOCK_MS", 100)
    monkeypatch.setattr(push_decide, "CLAIM_EVERY_S", 0.0)


def reader_of(url: str, name: str, claim_after_ms: int = CLAIM_MS) -> DecisionReader:
    return DecisionReader(url, consumer=name, keep_s=60, claim_after_ms=claim_after_ms)


async def until_claimable() -> None:
    """Wait until what was taken before may be taken over."""
    await asyncio.sleep(CLAIM_MS / 1000 + 0.05)


async def wait(client: RedisClient, *pushes: Push | bytes) -> None:
    """Let these wait for a worker."""
    for push in pushes:
        data = push if isinstance(push, bytes) else msgspec.msgpack.encode(Decision(now_ms(), push))
        await client.call("XADD", DECIDE, "*", "d", data)


def posts(entries: Sequence[Waiting]) -> list[str]:
    return [one.decision.push.post_id for one in entries if isinstance(one.decision.push, PostPush)]


async def test_entries_come_until_they_are_done(client: RedisClient, redis_url: str) -> None:
    await wait(client, PostPush("a"), BadgePush("u"))
    first, second = reader_of(redis_url, "first"), reader_of(redis_url, "second")
    patient = reader_of(redis_url, "patient", 60_000)
    taken = await first.read(10)
    assert (len(taken), posts(taken)) == (2, ["a"])
    await first.close()  # it dies
    assert await patient.read(10) == []  # it may still be at it
    await until_claimable()
    again = await second.read(10)
    assert again == taken
    await second.done(again)
    await until_claimable()
    assert await second.read(10) == []
    assert await client.call("XLEN", DECIDE) == 0
    await second.close()
    await patient.close()


async def test_a_post_that_was_decided_on_is_known_for_a_while(client: RedisClient, redis_url: str) -> None:
    await wait(client, PostPush("a"))
    reader = reader_of(redis_url, "one")
    await reader.done(await reader.read(10))
    assert await reader.known(["a", "b"]) == [True, False]
    await client.call("ZADD", DECIDED, now_ms() - 120_000, "a")
    await wait(client, BadgePush("u"))
    await reader.done(await reader.read(10))
    assert await reader.known(["a"]) == [False]
    await reader.close()


async def test_what_ends_its_workers_is_put_aside(client: RedisClient, redis_url: str) -> None:
    await wait(client, PostPush("poison"), b"no decision")
    for number in range(push_decide.DELIVERIES):
        reader = reader_of(redis_url, str(number))
        assert posts(await reader.read(10)) == ["poison"]
        await reader.close()
        await until_claimable()
    reader = reader_of(redis_url, "last")
    assert await reader.read(10) == []
    why = [fields[1] for _, fields in await client.call("XRANGE", UNDECIDED, "-", "+")]
    assert why == [b"cannot be read", b"ended its worker several times"]
    assert await client.call("XLEN", DECIDE) == 0
    await reader.close()


async def test_a_redis_that_lost_everything_is_read_from_its_start(
    client: RedisClient, redis_url: str
) -> None:
    reader = reader_of(redis_url, "one")
    assert await reader.read(10) == []
    await client.call("FLUSHALL")
    await wait(client, PostPush("new"))
    assert posts(await reader.read(10)) == ["new"]
    await reader.close()


class Decider:
    """Stands in for the rules: a job for each post, or what the test wants to go wrong."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.wrong: Callable[[list[str]], None] = lambda posts: None

    async def decide(self, decisions: Sequence[Decision]) -> list[Job]:
        found = [one.push.post_id for one in decisions if isinstance(one.push, PostPush)]
        self.calls.append(found)
        self.wrong(found)
        return [
            new_job(Notification(platform="apple_rn", device_id=post, type="message"), provider="apns")
            for post in found
        ]


class Queue:
    """Stands in for the send queue."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.errors: list[Exception] = []

    async def add(self, jobs: Sequence[Job]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.jobs += [job.notification.device_id for job in jobs]


async def run_until(
    redis_url: str, decider: Any, queue: Any, true: Callable[[], bool], client: RedisClient
) -> None:
    """Run a worker until something is true and its queue is empty."""
    reader = reader_of(redis_url, "worker")
    task = asyncio.create_task(DecideWorker(reader, decider, queue).run())
    async with asyncio.timeout(30):
        while not true() or await client.call("XLEN", DECIDE):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    await reader.close()


async def test_one_that_fails_does_not_hold_up_the_others(client: RedisClient, redis_url: str) -> None:
    decider, queue = Decider(), Queue()

    def wrong(posts: list[str]) -> None:
        if "bad" in posts:
            raise ZeroDivisionError

    decider.wrong = wrong
    await wait(client, *[PostPush(name) for name in ("a", "b", "bad", "c", "d")])
    await run_until(redis_url, decider, queue, lambda: len(queue.jobs) == 4, client)
    assert sorted(queue.jobs) == ["a", "b", "c", "d"]
    assert await client.call("XLEN", UNDECIDED) == 1


async def test_what_is_away_is_waited_for(
    client: RedisClient, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("push.decide_worker.RETRY_S", 0.01)
    decider, queue = Decider(), Queue()
    failures = iter([Unavailable("database")])

    def wrong(posts: list[str]) -> None:
        if error := next(failures, None):
            raise error

    decider.wrong = wrong
    queue.errors = [QueueFull("apple_rn", 0), Unavailable("redis")]
    await wait(client, PostPush("a"))
    await run_until(redis_url, decider, queue, lambda: queue.jobs == ["a"], client)
    assert decider.calls == [["a"]] * 4


async def test_a_post_that_is_published_again_is_pushed_once(client: RedisClient, redis_url: str) -> None:
    """As after a new epoch of the bus, when publishers add again what the outbox still has."""
    decider, queue = Decider(), Queue()
    await wait(client, PostPush("a"))
    await run_until(redis_url, decider, queue, lambda: queue.jobs == ["a"], client)
    await wait(client, PostPush("a"), PostPush("b"))
    await run_until(redis_url, decider, queue, lambda: len(queue.jobs) == 2, client)
    assert queue.jobs == ["a", "b"]


def test_portions_are_about_so_many_users_each() -> None:
    entries = [
        Waiting(b"%d" % number, Decision(0, PostPush(str(number), ["u"] * mentions)))
        for number, mentions in enumerate([1, 1_000, 990, 1_999, 5_000, 1])
    ]
    found = [[posts([one])[0] for one in portion] for portion in portions(entries)]
    assert found == [["0", "1", "2"], ["3"], ["4"], ["5"]]
