"""What the push processes' background tasks stumble over ends none of them."""

import asyncio
from typing import Any, cast

from structlog.testing import capture_logs

from push.ledger import Ledger
from push.replies import REMOVE, Replies, stream_of
from tests.integration.push.world import push_for
from tidewire.bus.redis_client import RedisClient


async def test_an_outcome_that_cannot_be_read_is_passed_over(redis_url: str) -> None:
    here, there, client = Replies(redis_url, "here"), Replies(redis_url, "there"), RedisClient(redis_url)
    job = push_for()
    job.reply_to = "here"
    outcome = here.expect(job, 30)
    await client.call("XADD", stream_of("here"), "*", "d", b"what is this?")
    await client.calls(there.tell(job, REMOVE))
    with capture_logs() as lines:
        here.start()
        async with asyncio.timeout(30):
            assert await outcome == REMOVE
    await here.close()
    await client.close()
    assert [line["event"] for line in lines] == ["work failed"]


async def test_a_command_that_cannot_be_sent_does_not_end_the_ledger() -> None:
    written: list[Any] = []

    class Client:
        async def calls(self, commands: list[Any]) -> None:
            if ("poison",) in commands:
                raise TypeError("a bug")
            written.extend(commands)

    ledger = Ledger(cast(RedisClient, Client()))
    with capture_logs() as lines:
        ledger.end("stream", b"1", ("poison",))
        await ledger.flush(5)
        ledger.end("stream", b"2")
        await ledger.flush(5)
    await ledger.close()
    assert ("XDEL", "stream", b"2") in written and len(lines) == 1
