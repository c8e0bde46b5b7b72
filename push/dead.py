"""The dead letters: pushes that nobody tries any more, until somebody looks at them. What the command line does."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from push.complaints import shown
from push.ledger import DEAD
from tidewire.bus.push_queue import decode_job, encode_job, stream_of
from tidewire.bus.redis_client import RedisClient
from tidewire.wire.ids import now_ms

PAGE = 500


class Letter(NamedTuple):
    """One dead letter, without what would let anybody push. id: its name; at: ms."""

    id: str
    at: int
    target: str
    reason: str
    answer: str
    type: str
    device: str
    push: str
    attempts: int


async def count_dead(client: RedisClient) -> int:
    """Return how many there are. Raises: Unavailable."""
    return int(await client.call("XLEN", DEAD))


async def list_dead(client: RedisClient, *, target: str = "", limit: int = 100) -> list[Letter]:
    """Return the newest ones, of one target or all. Raises: Unavailable."""
    found: list[Letter] = []
    newest = "+"
    while len(found) < limit:
        page = await client.call("XREVRANGE", DEAD, newest, "-", "COUNT", PAGE)
        letters = [_letter(entry, fields) for entry, fields in page]
        found += [letter for letter in letters if not target or letter.target == target]
        if len(page) < PAGE:
            break
        newest = "(" + page[-1][0].decode()
    return found[:limit]


async def replay(client: RedisClient, ids: Iterable[str]) -> tuple[int, list[str]]:
    """Send dead letters again, as if they were new. Returns how many, and the ids of those that cannot be.

    Raises: Unavailable.
    """
    count, failed = 0, []
    for entry in ids:
        found = await client.call("XRANGE", DEAD, entry, entry)
        try:
            job = decode_job(dict(_pairs(found[0][1]))[b"d"])
        except (IndexError, KeyError, msgspec.DecodeError, UnicodeDecodeError):
            failed.append(entry)
            continue
        # Its age counts anew; its apns_id stays, for a phone may have it after all.
        job.attempt, job.reply_to, job.created_at = 0, "", now_ms()
        await client.calls(
            [
                ("MULTI",),
                ("XADD", stream_of(job.target, job.priority), "*", "d", encode_job(job)),
                ("XDEL", DEAD, entry),
                ("EXEC",),
            ]
        )
        count += 1
    return count, failed


async def drop(client: RedisClient, ids: Iterable[str]) -> int:
    """Delete dead letters; returns how many there were. Raises: Unavailable."""
    names = list(ids)
    return int(await client.call("XDEL", DEAD, *names)) if names else 0


def _letter(entry: bytes, fields: list[bytes]) -> Letter:
    values = {name.decode(): value for name, value in _pairs(fields)}
    try:
        job = decode_job(values["d"])
        kind, device, push, attempts = job.notification.type, shown(job), job.apns_id, job.attempt + 1
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        kind, device, push, attempts = "", "", "", 0
    text = {
        name: values.get(name, b"").decode(errors="replace") for name in ("at", "target", "reason", "answer")
    }
    at = int(text["at"]) if text["at"].isdecimal() else 0
    return Letter(
        entry.decode(), at, text["target"], text["reason"], text["answer"], kind, device, push, attempts
    )


def _pairs(fields: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(fields[::2], fields[1::2], strict=True)
