"""Questions between processes over a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.fixtures.redis import Redis
from tidewire.bus.exchange import Exchange

PATIENCE_S = 30


async def no(question: bytes) -> bytes:
    return b""


@asynccontextmanager
async def process(
    url: str, address: str, answer: Callable[[bytes], Awaitable[bytes]] = no
) -> AsyncIterator[Exchange]:
    exchange = Exchange(url, address, answer)
    task = asyncio.create_task(exchange.run())
    try:
        await exchange.ready()
        yield exchange
    finally:
        task.cancel()
        await asyncio.wait([task])
        await exchange.close()


async def echo(question: bytes) -> bytes:
    return b"echo " + question


async def test_a_question_finds_who_has_the_answer(redis_url: str) -> None:
    async with (
        process(redis_url, "one") as asker,
        process(redis_url, "two", echo) as other,
        process(redis_url, "three"),
    ):
        assert await asker.ask(["two"], b"a", PATIENCE_S) == b"echo a"
        assert await asker.ask(["three", "two"], b"b", PATIENCE_S) == b"echo b"
        many = [asker.ask(["two"], b"%d" % number, PATIENCE_S) for number in range(500)]
        assert await asyncio.gather(*many) == [b"echo %d" % number for number in range(500)]
        assert await asker.others() == await other.others() == 2


async def test_nobody_there_and_nobody_who_knows_are_told_at_once(redis_url: str) -> None:
    async with process(redis_url, "one") as asker, process(redis_url, "two"), process(redis_url, "two"):
        async with asyncio.timeout(PATIENCE_S):
            assert await asker.ask(["nobody"], b"?", 10 * PATIENCE_S) is None
            assert await asker.ask(["two", "nobody"], b"?", 10 * PATIENCE_S) is None


async def test_an_answer_that_comes_too_late_is_none(redis_url: str) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(question: bytes) -> bytes:
        asked.set()
        await answer.wait()
        return b"late"

    async with process(redis_url, "one") as asker, process(redis_url, "two", slow):
        assert await asker.ask(["two"], b"?", 0.2) is None
        await asked.wait()
        answer.set()
        assert await asker.ask(["two"], b"?", PATIENCE_S) == b"late"


async def test_addresses_come_and_go(redis_url: str) -> None:
    async with process(redis_url, "one") as asker, process(redis_url, "two", echo) as other:
        other.listen(["guest"])
        async with asyncio.timeout(PATIENCE_S):
            while await asker.ask(["guest"], b"?", PATIENCE_S) is None:
                pass
            other.unlisten(["guest"])
            while await asker.ask(["guest"], b"?", PATIENCE_S) is not None:
                pass


async def test_it_comes_back_with_redis(own_redis: Redis) -> None:
    async with process(own_redis.url, "one") as asker, process(own_redis.url, "two", echo) as other:
        other.listen(["guest"])
        await asyncio.to_thread(own_redis.kill)
        assert await asker.ask(["two"], b"?", 0.2) is None
        await asyncio.to_thread(own_redis.start)
        async with asyncio.timeout(PATIENCE_S):
            for address in ("two", "guest"):
                while await asker.ask([address], b"?", 0.2) is None:
                    await asyncio.sleep(0.05)
