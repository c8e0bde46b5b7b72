"""Devices, and what decides who gets a push: for many posts and users at once, no statement per item."""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.push import Subscription

Source = Database | Transaction
_Q = sql.load("push")


class PushedPost(NamedTuple):
    """A live post with what a push says of its channel, its author and its thread."""

    id: str
    channel_id: str
    root_id: str
    user_id: str
    message: str
    type: str
    props: dict[str, Any]
    has_files: bool
    channel_type: str
    team_id: str
    display_name: str
    username: str
    first_name: str
    last_name: str
    nickname: str
    root_user_id: str
    participants: list[str]


class Device(NamedTuple):
    """A live session that a push can go to. endpoint, p256dh, auth: a browser's subscription, None without."""

    session_id: str
    user_id: str
    device_id: str
    endpoint: str | None
    p256dh: str | None
    auth: str | None


class Recipient(NamedTuple):
    """An active user in a channel, or with channel "" by himself. name_format, collapsed: his preferences, or ""."""

    user_id: str
    channel_id: str
    username: str
    first_name: str
    last_name: str
    nickname: str
    is_bot: bool
    props: dict[str, str]
    channel_props: dict[str, str] | None
    member: bool
    name_format: str
    collapsed: str


class Changed(NamedTuple):
    """A session that was changed."""

    user_id: str
    session_id: str
    token_hash: bytes


async def users_with_devices(source: Source, limit: int) -> list[str]:
    """Return users with a device or a subscription, some perhaps twice, at most `limit`."""
    return [row["user_id"] for row in await source.fetch(_Q["users_with_devices"], limit)]


async def posts(source: Source, post_ids: Sequence[str]) -> list[PushedPost]:
    """Return those of the posts that are still there and may be pushed."""
    return [PushedPost(*row) for row in await source.fetch(_Q["posts"], post_ids)]


async def every_push(source: Source, channel_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each of the channels, the members who want every post pushed. Cost: with these, not the channels'."""
    found: dict[str, list[str]] = {channel_id: [] for channel_id in channel_ids}
    for row in await source.fetch(_Q["every_push"], channel_ids):
        found[row["channel_id"]].append(row["user_id"])
    return found


async def thread_followers(source: Source, root_ids: Collection[str]) -> dict[str, set[str]]:
    """Return root → users who follow its thread."""
    found: dict[str, set[str]] = {root_id: set() for root_id in root_ids}
    for row in await source.fetch(_Q["thread_followers"], list(root_ids)):
        found[row["root_id"]].add(row["user_id"])
    return found


async def devices(source: Source, user_ids: Collection[str], now_ms: int) -> dict[str, list[Device]]:
    """Return user → what a push to him goes to; users without are missing."""
    found: dict[str, list[Device]] = {}
    for row in await source.fetch(_Q["devices"], list(user_ids), now_ms):
        found.setdefault(row["user_id"], []).append(Device(*row))
    return found


async def recipients(source: Source, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], Recipient]:
    """Return (user, channel) → recipient, of users who are active."""
    users, channels = [user for user, _ in pairs], [channel for _, channel in pairs]
    rows = await source.fetch(_Q["recipients"], users, channels)
    return {(row["user_id"], row["channel_id"]): Recipient(*row) for row in rows}


async def groups(
    source: Source, channel_ids: Collection[str]
) -> dict[str, list[tuple[str, str, str, str, str]]]:
    """Return group channel → (user id, username, first name, last name, nickname) of its members."""
    found: dict[str, list[tuple[str, str, str, str, str]]] = {}
    for channel_id, *person in await source.fetch(_Q["groups"], list(channel_ids)):
        found.setdefault(channel_id, []).append(tuple(person))
    return found


async def badges(source: Source, users: dict[str, bool]) -> dict[str, int]:
    """Return user → the number on his apps. users: id → whether he sees threads collapsed."""
    rows = await source.fetch(_Q["badges"], list(users), list(users.values()))
    return {row["user_id"]: int(row["badge"]) for row in rows}


async def remove_devices(tx: Transaction, removed: Iterable[tuple[str, int]]) -> list[Changed]:
    """Take devices, with the times (ms) at which their provider did not know them, away from older sessions."""
    rows = list(removed)
    found = await tx.fetch(_Q["remove_devices"], [one for one, _ in rows], [at for _, at in rows])
    return [Changed(*row) for row in found]


async def remove_subscriptions(tx: Transaction, removed: Iterable[tuple[bytes, int]]) -> None:
    """Delete subscriptions, by the SHA-256 of their endpoint, that are older than these times (ms)."""
    rows = list(removed)
    await tx.execute(_Q["remove_subscriptions"], [one for one, _ in rows], [at for _, at in rows])


async def expired_phones(tx: Transaction, *, now: int, since: int, limit: int) -> list[tuple[str, str]]:
    """Return and lock (session id, device id) of phones whose login ended since then and who were not told."""
    return [tuple(row) for row in await tx.fetch(_Q["expired_phones"], now, since, limit)]


async def note_expired(tx: Transaction, session_ids: list[str]) -> None:
    """Note that these phones have been told."""
    await tx.execute(_Q["note_expired"], session_ids)


def endpoint_hash(endpoint: str) -> bytes:
    """Return what a subscription is found by."""
    return sha256(endpoint.encode()).digest()


async def subscription_of(source: Source, session_id: str) -> tuple[str, int] | None:
    """Return the endpoint of a session's subscription and when (ms) it was made, or None."""
    row = await source.fetchrow(_Q["subscription_of"], session_id)
    return None if row is None else (row["endpoint"], row["create_at"])


async def subscribe(
    tx: Transaction, session_id: str, user_id: str, where: Subscription, *, now: int, most: int
) -> bool:
    """Give a session a subscription, which nobody else has from now on; False if the session has ended meanwhile.

    most: subscriptions that a user may have; above it the oldest go.
    """
    hashed = endpoint_hash(where.endpoint)
    await tx.execute(_Q["drop_others"], session_id, hashed, user_id, most - 1)
    found = await tx.fetchval(
        _Q["subscribe"], session_id, hashed, where.endpoint, where.p256dh, where.auth, now
    )
    return found is not None


async def unsubscribe(source: Source, session_id: str) -> None:
    """Take a session's subscription away."""
    await source.execute(_Q["unsubscribe"], session_id)
