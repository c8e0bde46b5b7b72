"""Who is online: presence, kept in Redis by the gateways and read by all, and under it what users chose, in PostgreSQL.

Per user a hash with a field per gateway process, `<online|away>:<last activity, ms>:<open channel or nothing>`; per
process a heartbeat, by Redis' clock, in one sorted set, and the set of the users it holds, so that a dead one can be
cleared. Offline = no field of a live process. A status chosen by hand wins, with sockets or without.
No sockets and no timers here.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from tidewire.bus.envelope import Copy, encode_copy
from tidewire.bus.redis_client import RedisClient
from tidewire.store.db import Database
from tidewire.store.statuses import Noted, of_users
from tidewire.wire.errors import Unavailable
from tidewire.wire.events import encode_prefix
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Status

VIEWED_S = 3_600  # what was opened longer ago says nothing
PROCESSES = "tw:presence:processes"  # sorted set: process → time of its heartbeat, ms, by Redis' clock
LIVE_BEATS = 3  # heartbeats that may be missing before a process counts as dead
_PRESENCE = files("tidewire.actions").joinpath("presence.lua").read_text()
HEARTBEAT = files("tidewire.actions").joinpath("heartbeat.lua").read_text()  # a script: KEYS: PROCESSES. ARGV: process
_RANK = {"offline": 0, "away": 1, "online": 2}


class Seen(NamedTuple):
    """A user's presence: status offline, away or online; last activity in ms; the channel he looks at, or ""."""

    status: str
    last_activity_at: int
    channel_id: str = ""


OFFLINE = Seen("offline", 0)


def user_key(user_id: str) -> str:
    """Return the key of a user's hash."""
    return "tw:presence:user:" + user_id


def held_key(process: str) -> str:
    """Return the key of the set of users that a process holds."""
    return "tw:presence:held:" + process


def _viewed_key(user_id: str) -> str:
    return "tw:presence:viewed:" + user_id


async def note_viewed(client: RedisClient, user_id: str, channel_id: str) -> None:
    """Note for all nodes which channel a client says to have opened, "" for none. Without Redis nobody knows."""
    try:
        await client.call("SET", _viewed_key(user_id), f"{now_ms()}:{channel_id}", "EX", VIEWED_S)
    except Unavailable:
        return  # then a phone rings for what is being read; the channel is read all the same


async def load_open(
    client: RedisClient, user_ids: Sequence[str], *, heartbeat_s: float
) -> tuple[list[Seen], list[Seen]]:
    """Return, for users in order, what their sockets show, and what they opened by `POST …/view`, which no socket told.

    Raises: Unavailable("redis"). Source: Mattermost API v4: both set the active channel; the later one counts.
    """
    if not user_ids:
        return [], []
    seen = await load_presence(client, user_ids, heartbeat_s=heartbeat_s)
    values = await client.call("MGET", *map(_viewed_key, user_ids))
    return seen, [_viewed(value) for value in values]


def _viewed(value: bytes | None) -> Seen:
    at, _, channel_id = (value or b"0:").decode().partition(":")
    return Seen("offline", int(at), channel_id)


def combine(fields: Mapping[bytes, bytes], live: Iterable[bytes]) -> Seen:
    """Return the presence that the fields of live processes make together."""
    best = OFFLINE
    for process in live:
        value = fields.get(process)
        if value is not None:
            status, at, *channel = value.decode().split(":", 2)
            at_ms = int(at)
            latest = at_ms >= best.last_activity_at
            best = Seen(
                status if _RANK[status] > _RANK[best.status] else best.status,
                max(best.last_activity_at, at_ms),
                channel[0] if latest and channel else "" if latest else best.channel_id,
            )
    return best


async def load_presence(client: RedisClient, user_ids: Sequence[str], *, heartbeat_s: float) -> list[Seen]:
    """Return what the sockets of each of the users show, in order. Raises: Unavailable("redis")."""
    keys = [PROCESSES, *map(user_key, user_ids)]
    # One answer instead of one for each user: 33 users cost 1,190 µs of CPU by a pipeline, 330 so.
    live, *hashes = await client.call("EVAL", _PRESENCE, len(keys), *keys, int(heartbeat_s * LIVE_BEATS * 1000))
    return [combine(dict(zip(flat[::2], flat[1::2], strict=True)), live) for flat in hashes]


def status_of(user_id: str, seen: Seen, noted: Noted | None, at_ms: int) -> Status:
    """Return the status that a user has at a moment. Source: Mattermost API v4: one chosen by hand wins."""
    status = Status(user_id, seen.status, False, seen.last_activity_at)
    if noted is None:
        return status
    status.last_activity_at = max(seen.last_activity_at, noted.last_activity_at)
    if noted.online_until < 0:
        status.status = "offline"
        return status
    if noted.manual:
        status.status, status.manual, status.dnd_end_time = noted.status, True, noted.dnd_end_time
    elif status.status != "online" and noted.online_until > at_ms:
        status.status = "online"
    return status


async def load_statuses(
    client: RedisClient, db: Database, user_ids: Sequence[str], *, heartbeat_s: float
) -> dict[str, Status]:
    """Return the status of every given id; ids nobody knows are "offline".

    heartbeat_s: setting presence.heartbeat_s. Raises: Unavailable("redis" or "database").
    Source: Mattermost API v4, "Get user statuses by id".
    """
    seen = await load_presence(client, user_ids, heartbeat_s=heartbeat_s)
    noted = {row.user_id: row for row in await of_users(db, user_ids)}
    at_ms = now_ms()
    return {
        user_id: status_of(user_id, one, noted.get(user_id), at_ms)
        for user_id, one in zip(user_ids, seen, strict=True)
    }


def status_changes(statuses: Mapping[str, str]) -> list[bytes]:
    """Return the encoded copies of `status_change` for user → status: each user's own devices hear it, nobody else.

    One copy for all who have the same status, however many they are.
    """
    users: dict[str, list[str]] = {}
    for user_id, status in statuses.items():
        users.setdefault(status, []).append(user_id)
    return [_status_change(status, user_ids) for status, user_ids in users.items()]


def _status_change(status: str, user_ids: list[str]) -> bytes:
    body = encode_prefix("status_change", {"status": status, "user_id": "\0"}, user_id="\0")
    body = body.replace(rb"\u0000", b"\0")
    return encode_copy(Copy(body, droppable=True, name="status_change", to_each=user_ids))
