"""Rows of threads and of who follows them. New replies are counted by `post_batch`."""

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.store.mentions import MemberSettings

Source = Database | Transaction
_Q = sql.load("threads")


async def followers(source: Source, root_id: str, limit: int) -> list[tuple[bool, MemberSettings]]:
    """Return (follows, settings) of those who chose, by user id, at most `limit`."""
    rows = await source.fetch(_Q["thread_followers"], root_id, limit)
    return [(row["following"], MemberSettings(*tuple(row)[1:])) for row in rows]


async def forget(tx: Transaction, user_id: str, channel_ids: list[str]) -> dict[str, list[str]]:
    """Forget a user's threads in channels that he leaves; return channel id → their roots.

    Before his memberships end: thread members are locked first. A reply that commits in between leaves its row behind;
    every query asks for the membership too, and who joins again starts without it (store.members.join).
    """
    return _by_channel(await tx.fetch(_Q["forget_threads"], user_id, channel_ids))


async def forget_in_team(tx: Transaction, user_id: str, team_id: str) -> dict[str, list[str]]:
    """Forget a user's threads in the channels of a team that he leaves, as `forget` does."""
    return _by_channel(await tx.fetch(_Q["forget_threads_of_team"], user_id, team_id))


async def forget_of_outsiders(tx: Transaction, channel_id: str, team_id: str) -> dict[str, list[str]]:
    """Forget the threads of a channel's members who are not in a team; return user id → their roots."""
    roots: dict[str, list[str]] = {}
    for row in await tx.fetch(_Q["forget_threads_of_outsiders"], channel_id, team_id):
        roots.setdefault(row["user_id"], []).append(row["root_id"])
    return roots


def _by_channel(rows: list[Record]) -> dict[str, list[str]]:
    roots: dict[str, list[str]] = {}
    for row in rows:
        roots.setdefault(row["channel_id"], []).append(row["root_id"])
    return roots
