"""Rows of posts and threads, read and changed one by one. New posts are written by `post_batch`.

Every list is in the order of (create_at, id); `roots_only` leaves replies out, `deleted` takes deleted posts in.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from tidewire.store import sql
from tidewire.store.db import Connection, Database, Record, Transaction
from tidewire.wire.ids import is_id, new_id
from tidewire.wire.models import ParticipantId, Post, PostPriority, PostRefs

Source = Database | Transaction
_Q = sql.load("posts")
Position = tuple[int, str]  # (create_at, id) of a post
TOLD_MAX = 2000  # 64 KB of an announcement
CHANNELS_MAX = 20  # that a post names; imported ones may name more


def encode_priority(priority: PostPriority | None) -> str:
    """Return a priority as its column holds it."""
    if priority is None:
        return ""
    return f"{priority.priority or ''} {'ack' if priority.requested_ack else ''}".strip()


def decode_priority(words: str) -> PostPriority | None:
    """Return the priority of a column."""
    label = words.partition(" ")[0].removesuffix("ack")
    return PostPriority(label, words.endswith("ack"), False) if words else None


def decode_post(row: Record) -> Post:
    """Return the post of a row. All queries begin with the columns of `page`: taken by place, 0.4 µs instead of 3."""
    (
        post_id,
        create_at,
        update_at,
        edit_at,
        delete_at,
        is_pinned,
        user_id,
        channel_id,
        root_id,
        original_id,
        message,
        kind,
        props,
        hashtags,
        file_ids,
        has_reactions,
        priority,
        reply_count,
        last_reply_at,
        participants,
        *_,
    ) = row
    post = Post(
        post_id,
        channel_id,
        user_id,
        create_at,
        update_at,
        edit_at,
        delete_at,
        is_pinned,
        root_id,
        original_id,
        message,
        kind,
        props,
        hashtags,
        file_ids,
        "",  # pending_post_id
        has_reactions,
        "",  # remote_id
        reply_count or 0,
        last_reply_at if reply_count else 0,
        [ParticipantId(user) for user in participants] if participants else None,
    )
    if priority:
        post.metadata.priority = decode_priority(priority)
    if props and ("previewed_post" in props or "channel_mentions" in props):
        _take_refs(post)
    return post


def _take_refs(post: Post) -> None:
    """Move what the post refers to out of the props that a row holds: nobody is to get it unseen."""
    previewed, named = post.props.pop("previewed_post", ""), post.props.pop("channel_mentions", None)
    channels = {
        name: channel
        for name, channel in islice(named.items() if isinstance(named, dict) else (), CHANNELS_MAX)
        if isinstance(channel, dict) and all(isinstance(value, str) for value in channel.values())
    }
    if is_id(previewed) or channels:
        post.refer(PostRefs(previewed if is_id(previewed) else "", channels))


async def _posts(db: Source, name: str, *args: Any) -> list[Post]:
    return [decode_post(row) for row in await db.fetch(_Q[name], *args)]


async def load(db: Source, ids: Iterable[str], *, deleted: bool = False) -> list[Post]:
    """Return the posts that exist, in the order of ids."""
    wanted = list(ids)
    found = {post.id: post for post in await _posts(db, "by_ids", wanted, deleted)} if wanted else {}
    return [found[post_id] for post_id in wanted if post_id in found]


async def first_of(db: Source, ids: Sequence[str], *, most_bytes: int) -> list[str]:
    """Return the first of these posts, in this order, until most_bytes of text and props are passed."""
    return [row["id"] for row in await db.fetch(_Q["first_of"], list(ids), most_bytes)]


async def page(
    db: Database, channel_id: str, limit: int, offset: int, *, deleted: bool = False, roots_only: bool = False
) -> list[Post]:
    """Return posts of a channel, newest first."""
    return await _posts(db, "page", channel_id, limit, offset, deleted, roots_only)


async def before(
    db: Database,
    channel_id: str,
    limit: int,
    offset: int,
    position: Position,
    *,
    deleted: bool = False,
    roots_only: bool = False,
) -> list[Post]:
    """Return posts older than a position, newest first."""
    return await _posts(db, "before", channel_id, limit, offset, *position, deleted, roots_only)


async def after(
    db: Database,
    channel_id: str,
    limit: int,
    offset: int,
    position: Position,
    *,
    deleted: bool = False,
    roots_only: bool = False,
) -> list[Post]:
    """Return the posts that follow a position, newest first."""
    posts = await _posts(db, "after", channel_id, limit, offset, *position, deleted, roots_only)
    return posts[::-1]


async def since(
    db: Database, channel_id: str, at_ms: int, limit: int, *, most_bytes: int, roots_only: bool
) -> list[Post]:
    """Return the posts changed after at_ms, deleted ones too: the latest changes, ordered newest post first.

    Ends where most_bytes of text and props are passed.
    """
    posts = await _posts(db, "since", channel_id, at_ms, limit, roots_only, most_bytes)
    return sorted(posts, key=lambda post: (post.create_at, post.id), reverse=True)


async def pinned(db: Database, channel_id: str, limit: int, *, most_bytes: int) -> list[Post]:
    """Return pinned posts of a channel, newest first, until most_bytes of text and props are passed."""
    return await _posts(db, "pinned", channel_id, limit, most_bytes)


async def replies(
    db: Database,
    root_id: str,
    *,
    up: bool,
    updates: bool,
    position: Position | None,
    deleted: bool,
    limit: int | None,
) -> list[Post]:
    """Return replies in the direction of reading: down = oldest first, up = newest first, from a position on.

    updates: in the order of their last changes instead; the position is an (update_at, id) then.
    """
    start = position or _start(up=up)
    name = "replies_updated" if updates else "replies_up" if up else "replies_down"
    return await _posts(db, name, root_id, *start, deleted, limit)


def _start(*, up: bool) -> Position:
    return (2**62, "") if up else (-1, "")


async def reply_ids(
    db: Database, root_id: str, *, up: bool, updates: bool, position: Position | None, deleted: bool
) -> list[str]:
    """Return the ids of what `replies` returns without a limit."""
    rows = await db.fetch(_Q["reply_ids"], root_id, *(position or _start(up=up)), deleted, updates, up)
    ids = [row["id"] for row in rows]
    return ids[::-1] if up else ids


async def neighbours(
    db: Database, channel_id: str, newest: Position, oldest: Position, *, roots_only: bool
) -> tuple[str, str]:
    """Return the ids of the posts just newer than `newest` and just older than `oldest`, "" where there is none."""
    row = await db.fetchrow(_Q["neighbours"], channel_id, *newest, *oldest, roots_only)
    assert row is not None
    return row["newer"] or "", row["older"] or ""


async def position_of(db: Database, channel_id: str, post_id: str) -> Position | None:
    """Return where a post of the channel stands, deleted or not; None if it is not one of its posts."""
    at = await db.fetchval(_Q["cursor"], post_id, channel_id)
    return None if at is None else (at, post_id)


async def first_unread(db: Database, channel_id: str, viewed_at: int, *, roots_only: bool) -> Position | None:
    """Return the position of the first post after viewed_at, or None."""
    row = await db.fetchrow(_Q["first_unread"], channel_id, viewed_at, roots_only)
    return None if row is None else (row["create_at"], row["id"])


async def viewed_at(db: Database, channel_id: str, user_id: str) -> int | None:
    """Return when the member last viewed the channel; None for who is no member."""
    at: int | None = await db.fetchval(_Q["read_state"], channel_id, user_id)
    return at


async def event_numbers(db: Database, channel_id: str, user_id: str) -> tuple[int, int]:
    """Return the numbers of the last events of a channel and of a user, 0 for what does not exist."""
    row = await db.fetchrow(_Q["event_numbers"], channel_id, user_id)
    return (row["n"] or 0, row["own_n"] or 0) if row else (0, 0)


async def channel_users(db: Database, channel_id: str, limit: int) -> list[str]:
    """Return ids of a channel's members, at most `limit`."""
    return [row["user_id"] for row in await db.fetch(_Q["channel_users"], channel_id, limit)]


async def hold(tx: Transaction, post_id: str) -> bool:
    """Keep everyone else from changing a live post until the transaction ends; False if there is none."""
    return await tx.fetchrow(_Q["lock"], post_id) is not None


async def lock(tx: Transaction, post_id: str) -> Post | None:
    """Hold a live post and return it as it is then; None if there is none."""
    if not await hold(tx, post_id):
        return None
    row = await tx.fetchrow(_Q["by_ids"], [post_id], False)
    assert row is not None
    return decode_post(row)


async def update(tx: Transaction, post: Post, *, keep: bool) -> None:
    """Write a locked post's editable members and times. keep: its old version stays, as a deleted row of its own."""
    if keep:
        await tx.execute(_Q["keep_version"], post.id, new_id(post.update_at), post.update_at)
    await tx.execute(
        _Q["update_post"],
        post.id,
        post.message,
        post.stored_props,
        post.hashtags,
        post.is_pinned,
        post.edit_at,
        post.update_at,
        post.file_ids,
    )


async def delete(tx: Transaction, post: Post, at_ms: int, by: str) -> list[tuple[str, int]]:
    """Mark a locked post, and the replies of a root, as deleted; keep the thread's counters true.

    Returns (follower, number of his last event) of a root's thread, of TOLD_MAX followers at most.
    """
    connection: Connection = tx.connection
    await connection.execute(_Q["delete_thread"], post.id, at_ms, by)
    if post.root_id:
        await connection.execute(_Q["lock_thread"], post.root_id)
        await connection.execute(_Q["recount_thread"], post.root_id)
        return []
    await connection.execute(_Q["end_thread"], post.id, at_ms)
    followers = [row["user_id"] for row in await tx.fetch(_Q["await_followers"], post.id)]
    # Their numbers by another statement: this one may have waited with an old snapshot.
    rows = await tx.fetch(_Q["event_numbers_of"], followers[:TOLD_MAX]) if followers else []
    return [(row["id"], row["event_n"]) for row in rows]
