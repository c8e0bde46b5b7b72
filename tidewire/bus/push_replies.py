"""Asks the push worker what became of one push, and which targets it sends to. For who waits for the answer.

The sender tells each job's outcome to the stream that the job's `reply_to` names (push/replies.py).
"""

import msgspec

from tidewire.bus.push_queue import PushQueue
from tidewire.bus.redis_client import RedisClient
from tidewire.bus.resp import Link, ReplyError
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.push import Job

TARGETS = "push:targets"  # sorted set: target → when a worker last said that it sends to it, ms
ALIVE_MS = 15_000


class _Outcome(msgspec.Struct):
    status: str


class _Told(msgspec.Struct):
    outcome: _Outcome


_decode = msgspec.json.Decoder(_Told).decode


async def note_targets(client: RedisClient, targets: list[str]) -> None:
    """Say that this process sends to these. Raises: Unavailable."""
    now = now_ms()
    words = [word for target in targets for word in (now, target)]
    trim = ("ZREMRANGEBYSCORE", TARGETS, "-inf", now - ALIVE_MS)
    await client.calls([("ZADD", TARGETS, *words), trim] if words else [trim])


async def targets(client: RedisClient) -> set[str]:
    """Return the targets that some worker sends to. Raises: Unavailable."""
    found = await client.call("ZRANGEBYSCORE", TARGETS, now_ms() - ALIVE_MS, "+inf")
    return {target.decode() for target in found}


async def ask(url: str, job: Job, wait_s: float) -> str:
    """Queue a push and return its outcome: OK, REMOVE or FAIL; "" if there is none within wait_s.

    Raises: QueueFull, Unavailable.
    """
    job.reply_to = new_id()
    queue, link = PushQueue(url), await Link.open(url)
    try:
        await queue.add([job])
        words = ("XREAD", "BLOCK", int(wait_s * 1000), "STREAMS", f"push:replies:{job.reply_to}", "0")
        answer = await link.call(*words, timeout_s=wait_s + 1)
        return _decode(answer[0][1][0][1][1]).outcome.status if answer else ""
    except ReplyError as error:
        raise Unavailable("redis") from error
    finally:
        link.close()
        await queue.close()
