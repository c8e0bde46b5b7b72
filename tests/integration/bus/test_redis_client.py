"""Limits and presence ask Redis: at once, or not at all, and again as soon as it is there."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fixtures.redis import Redis
from tidewire.bus import redis_client
from tidewire.bus.redis_client import TIMEOUT_S, RedisClient
from tidewire.wire.errors import Unavailable


@pytest_asyncio.fixture
async def client(own_redis: Redis) -> AsyncIterator[RedisClient]:
    client = RedisClient(own_redis.url)
    yield client
    await client.close()


async def test_answers_come_in_order_to_all_who_ask_together(client: RedisClient) -> None:
    words = [str(number).encode() for number in range(100)]
    assert await asyncio.gather(*(client.call("ECHO", word) for word in words)) == words
    assert await client.calls([("SET", "a", 1), ("INCRBY", "a", 2), ("GET", "a")]) == [b"OK", 3, b"3"]


async def test_one_connection_serves_all(client: RedisClient) -> None:
    ids = await asyncio.gather(*(client.call("CLIENT", "ID") for _ in range(20)))
    assert len(set(ids)) == 1


async def test_it_comes_back_after_redis_did(client: RedisClient, own_redis: Redis) -> None:
    assert await client.call("PING") == b"PONG"
    own_redis.kill()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await client.call("PING")
    own_redis.start()
    assert await client.call("PING") == b"PONG"


async def test_a_refused_command_is_unavailable_and_the_next_one_works(client: RedisClient) -> None:
    with pytest.raises(Unavailable):
        await client.call("NOSUCHCOMMAND")
    assert await client.call("PING") == b"PONG"


async def test_who_gives_up_while_it_connects_takes_nobody_along(client: RedisClient) -> None:
    impatient, patient = (asyncio.create_task(client.call("PING")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == b"PONG"


async def test_a_silent_redis_is_given_up_once_for_all_who_wait() -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    client = RedisClient(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    start = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(client.call("PING") for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    assert asyncio.get_running_loop().time() - start < 10 * TIMEOUT_S  # of twenty
    await client.close()
    silent.close()


async def test_while_redis_is_silent_one_call_in_a_while_waits_for_it(
    client: RedisClient, own_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await client.call("PING") == b"PONG"
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(redis_client, "REST_S", 1000.0)
            assert await seconds_until_refused(client) > TIMEOUT_S / 2
            assert max([await seconds_until_refused(client) for _ in range(50)]) < TIMEOUT_S / 2
        client._try_at = 0.0  # the rest is over
        waited = await asyncio.gather(*(seconds_until_refused(client) for _ in range(50)))
        assert sum(seconds > TIMEOUT_S / 2 for seconds in waited) == 1  # who tries for all
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        while True:
            try:
                assert await client.call("PING") == b"PONG"
                break
            except Unavailable:
                await asyncio.sleep(0.02)
    assert await client.call("PING") == b"PONG"


async def seconds_until_refused(client: RedisClient) -> float:
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await client.call("PING")
    return asyncio.get_running_loop().time() - began
