"""Takes a user's or a channel's rows away for good. Who may ask for that, and what is told, is with the actions."""

from collections.abc import Sequence
from typing import NamedTuple

from tidewire.store import files, search, sql, statuses
from tidewire.store.db import Database, Transaction
from tidewire.wire.ids import now_ms

_Q = sql.load("permanent")
POSTS_AT_ONCE = 1000  # some 20 ms of one core
SLICE = 5000  # posts or reactions that one statement looks through; some 20 ms of one core


class Left(NamedTuple):
    """What a user was in. roots: channel id → roots of the threads that he followed there."""

    team_ids: list[str]
    channel_ids: list[str]
    roots: dict[str, list[str]]


async def leave_everything(tx: Transaction, user_id: str) -> Left:
    """Take a user out of all teams, threads and channels; return which, sorted."""
    teams = await tx.fetch(_Q["leave_teams"], user_id)
    roots: dict[str, list[str]] = {}
    for row in await tx.fetch(_Q["unfollow_all"], user_id):
        roots.setdefault(row["channel_id"], []).append(row["root_id"])
    channels = await tx.fetch(_Q["leave_channels"], user_id)
    return Left(
        sorted(row["team_id"] for row in teams if row["live"]), sorted(row["channel_id"] for row in channels), roots
    )


async def delete_posts_by(db: Database, user_id: str, *, after: str = "") -> None:
    """Delete a user's posts with the threads that he began, a slice at a time.

    after: an id from which on to look.
    """
    while end := await db.fetchval(_Q["end_of_posts"], after, SLICE):
        async with db.transaction() as tx:
            own = [row["id"] for row in await tx.fetch(_Q["lock_posts_of"], after, end, user_id)]
            rows = await tx.fetch(_Q["lock_posts_with"], own) if own else []
            gone = {row["id"] for row in rows}
            if gone:
                await delete_posts(tx, sorted(gone))
                if threads := sorted({row["root_id"] for row in rows if row["root_id"]} - gone):
                    await tx.execute(_Q["lock_threads"], threads)
                    await tx.execute(_Q["recount_threads"], threads)
                await tx.execute(_Q["doom_of_posts"], sorted(gone), now_ms())
        if gone:
            await search.leave_out(db, post_ids=sorted(gone))
        after = end


async def delete_reactions_by(db: Database, user_id: str) -> None:
    """Delete the reactions of a user who is not active, a slice at a time."""
    after = ""
    while end := await db.fetchval(_Q["end_of_reactions"], after, SLICE):
        async with db.transaction() as tx:
            if await tx.fetch(_Q["lock_reacted"], after, end, user_id):
                await tx.execute(_Q["delete_reactions_of"], after, end, user_id)
        after = end


async def delete_posts(tx: Transaction, post_ids: Sequence[str]) -> None:
    """Delete posts, which the transaction holds FOR UPDATE, and all that names them but files."""
    await tx.execute(_Q["delete_posts"], post_ids)


async def delete_own(db: Database | Transaction, user_ids: Sequence[str]) -> None:
    """Delete what is users' own, as far as it can be seen: before delete_accounts, which then finds next to nothing.

    Who changes such a row may hold it while he waits for its user: nobody holds users while he waits for many of them.
    """
    await db.execute(_Q["delete_own"], user_ids)


async def lock_accounts(tx: Transaction, user_ids: Sequence[str]) -> None:
    """Hold users whom nobody else may hold, and wait for those who do."""
    await tx.execute(_Q["lock_accounts"], user_ids)


async def delete_accounts(tx: Transaction, user_ids: Sequence[str]) -> None:
    """Delete users' rows and what is left of their own."""
    await lock_accounts(tx, user_ids)
    await statuses.await_noted(tx)
    await delete_own(tx, user_ids)
    await tx.execute(_Q["delete_accounts"], user_ids)


async def delete_some_posts(tx: Transaction, channel_ids: Sequence[str]) -> int:
    """Delete some posts of channels, with all that names them but files; return how many, 0 if there are none."""
    gone = [row["id"] for row in await tx.fetch(_Q["lock_some_posts"], channel_ids, POSTS_AT_ONCE)]
    if gone:
        await delete_posts(tx, gone)
    return len(gone)


async def delete_late(tx: Transaction, channel_ids: Sequence[str]) -> None:
    """Delete posts and files that came to channels after theirs were deleted. The transaction holds the channels."""
    while await delete_some_posts(tx, channel_ids):
        pass
    await files.delete_in_channels(tx, channel_ids, now_ms())


async def delete_channels(db: Database, channel_ids: Sequence[str]) -> None:
    """Delete channels without members and posts. As with users: first what can be seen, with nothing held."""
    await db.execute(_Q["delete_of_channels"], channel_ids)
    async with db.transaction() as tx:
        await tx.execute(_Q["lock_channels"], channel_ids)
        await delete_late(tx, channel_ids)
        for name in ("delete_of_channels", "delete_channels"):
            await tx.execute(_Q[name], channel_ids)
