"""Rows of threads and of who follows them. New replies are counted by `post_batch`.

Unread replies are the live ones after last_viewed_at, counted when asked. Times are ms.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.store.mentions import MemberSettings

Source = Database | Transaction
_Q = sql.load("threads")
Follower = tuple[str, str]  # root id, user id


class ThreadState(NamedTuple):
    """A thread as one of its followers has it; following False: he chose not to."""

    root_id: str
    channel_id: str
    team_id: str
    reply_count: int
    last_reply_at: int
    delete_at: int
    participants: list[str]
    following: bool
    followed_at: int
    last_viewed_at: int
    unread_mentions: int
    unread_replies: int


class Totals(NamedTuple):
    """Sums over a user's threads."""

    total: int
    unread_threads: int
    unread_mentions: int
    unread_urgent_mentions: int


class ThreadFilter(NamedTuple):
    """Which threads: not those of D and G; deleted ones too; unread ones only; changed since a time."""

    exclude_direct: bool = False
    deleted: bool = False
    unread: bool = False
    since: int = 0


async def followers(source: Source, root_id: str, limit: int) -> list[tuple[bool, MemberSettings]]:
    """Return (follows, settings) of those who chose, by user id, at most `limit`."""
    rows = await source.fetch(_Q["thread_followers"], root_id, limit)
    return [(row["following"], MemberSettings(*tuple(row)[1:])) for row in rows]


async def page(
    source: Source, user_id: str, team_id: str, wanted: ThreadFilter, *, before: str, after: str, limit: int
) -> list[ThreadState]:
    """Return a page of a user's threads, newest reply first: behind the thread `before`, or in front of `after`."""
    name = "threads_page_after" if after else "threads_page"
    rows = await source.fetch(_Q[name], user_id, team_id, *wanted, after or before, limit)
    found = [ThreadState(*row) for row in rows]
    return found[::-1] if after else found


async def totals(source: Source, user_id: str, team_id: str, wanted: ThreadFilter) -> Totals:
    """Return the sums over a user's threads, read ones too."""
    row = await source.fetchrow(_Q["thread_totals"], user_id, team_id, wanted.exclude_direct, wanted.deleted)
    assert row is not None, "an aggregate has one row"
    return Totals(*row)


async def states(source: Source, followers: Sequence[Follower]) -> dict[Follower, ThreadState]:
    """Return the threads as these users see them, for those who once chose; without replies they count none."""
    roots, users = [root_id for root_id, _ in followers], [user_id for _, user_id in followers]
    rows = await source.fetch(_Q["threads_of_members"], roots, users)
    return {(row["root_id"], row["user_id"]): ThreadState(*tuple(row)[1:]) for row in rows}


async def state(source: Source, root_id: str, user_id: str) -> ThreadState | None:
    """Return a thread as a user sees it; None if he never chose, or is no member of its channel."""
    return (await states(source, [(root_id, user_id)])).get((root_id, user_id))


async def followed(source: Source, user_id: str, roots: list[str]) -> set[str]:
    """Return which of these threads a user follows."""
    return {row["root_id"] for row in await source.fetch(_Q["followed"], user_id, roots)}


async def hold_followers(tx: Transaction, roots: list[str], after: Follower, limit: int) -> list[Follower]:
    """Return followers above `after`, in order, who keep their read state until the transaction ends."""
    return [tuple(row) for row in await tx.fetch(_Q["hold_followers"], roots, *after, limit)]


async def set_following(
    tx: Transaction, root_id: str, user_id: str, channel_id: str, *, following: bool, at: int
) -> bool:
    """Let a user follow a thread from now on, with all of it read, or no more; False if the thread is gone."""
    viewed_at = at if following else 0
    args = root_id, user_id, channel_id, following, at, viewed_at
    return await tx.fetchval(_Q["set_following"], *args) is not None


async def hold(tx: Transaction, root_id: str, user_id: str, channel_id: str, *, at: int) -> None:
    """Make sure that a user has a row for the thread and lock it."""
    await tx.execute(_Q["keep_follower"], root_id, user_id, channel_id, at)
    await tx.execute(_Q["lock_follower"], root_id, user_id)


async def set_read(
    tx: Transaction, root_id: str, user_id: str, *, viewed_at: int, mentions: int, at: int
) -> None:
    """Say how far a follower has read; he follows from now on."""
    await tx.execute(_Q["set_thread_read"], root_id, user_id, viewed_at, mentions, at)


async def hold_unread_of_team(tx: Transaction, user_id: str, team_id: str) -> list[str]:
    """Lock a user's unread threads in a team, and in D and G; return their roots."""
    return [row["root_id"] for row in await tx.fetch(_Q["hold_unread_of_team"], user_id, team_id)]


async def hold_unread_of_channels(tx: Transaction, user_id: str, channel_ids: list[str]) -> list[str]:
    """Lock a user's unread threads in some channels; return their roots. Before his memberships are locked."""
    return [row["root_id"] for row in await tx.fetch(_Q["hold_unread_of_channels"], user_id, channel_ids)]


async def read(tx: Transaction, user_id: str, roots: list[str], *, at: int) -> None:
    """Mark a user's threads, which are locked, read. at: not before they were, or what came meanwhile is left out."""
    if roots:
        await tx.execute(_Q["read_threads"], user_id, roots, at)


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
