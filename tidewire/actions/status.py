"""Presence: who is online, kept in Redis by the gateways and read by all. A chosen (manual) status lies in PostgreSQL.

Per user a hash with a field per gateway process, `<online|away>:<last activity, ms>`; per process a heartbeat in one
sorted set, and the set of the users it holds, so that a dead one can be cleared. Offline = no field of a live process.
No sockets and no timers here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import redis.exceptions
from redis.asyncio import Redis

from tidewire.store.db import Database
from tidewire.store.statuses import load_manual
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Status

PROCESSES = "tw:presence:processes"  # sorted set: process → time of its heartbeat, ms
LIVE_BEATS = 3  # heartbeats that may be missing before a process counts as dead
GONE = (redis.exceptions.RedisError, OSError)  # what redis-py raises without Redis
_RANK = {"offline": 0, "away": 1, "online": 2}


class Seen(NamedTuple):
    """A user's presence: status offline, away or online; last activity in ms."""

    status: str
    last_activity_at: int


OFFLINE = Seen("offline", 0)


def user_key(user_id: str) -> str:
    """Return the key of a user's hash."""
    return "tw:presence:user:" + user_id


def held_key(process: str) -> str:
    """Return the key of the set of users that a process holds."""
    return "tw:presence:held:" + process


def combine(fields: Mapping[bytes, bytes], live: Iterable[bytes]) -> Seen:
    """Return the presence that the fields of live processes make together."""
    best = OFFLINE
    for process in live:
        value = fields.get(process)
        if value is not None:
            status, _, at = value.decode().partition(":")
            at_ms = max(best.last_activity_at, int(at))
            best = Seen(status if _RANK[status] > _RANK[best.status] else best.status, at_ms)
    return best


async def live_processes(client: Redis, heartbeat_s: float) -> list[bytes]:
    """Return the gateway processes that live. Raises: Unavailable("redis")."""
    try:
        oldest = now_ms() - int(heartbeat_s * LIVE_BEATS * 1000)
        found: Any = await client.zrangebyscore(PROCESSES, oldest, "+inf")
    except GONE as error:
        raise Unavailable("redis") from error
    return list(found)


async def load_statuses(
    client: Redis, db: Database, user_ids: Sequence[str], *, heartbeat_s: float
) -> dict[str, Status]:
    """Return the status of every given id; ids nobody knows are "offline".

    heartbeat_s: setting presence.heartbeat_s. Raises: Unavailable("redis" or "database").
    Source: Mattermost API v4, "Get user statuses by id"; a manual status wins over presence.
    """
    live = await live_processes(client, heartbeat_s)
    try:
        pipe = client.pipeline(transaction=False)
        for user_id in user_ids:
            pipe.hgetall(user_key(user_id))
        hashes = await pipe.execute()
    except GONE as error:
        raise Unavailable("redis") from error
    found = {}
    for user_id, fields in zip(user_ids, hashes, strict=True):
        seen = combine(fields, live)
        found[user_id] = Status(user_id, seen.status, False, seen.last_activity_at)
    for chosen in await load_manual(db, list(found)):
        status = found[chosen.user_id]
        status.manual = True
        status.dnd_end_time = chosen.dnd_end_time
        if status.status != "offline":
            status.status = chosen.status
    return found
