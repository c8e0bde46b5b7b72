"""What waits for a user: counted from posts, set on his membership, summed up over channels and threads."""

from collections.abc import Collection
from typing import Any, NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.store.posts import decode_priority
from tidewire.wire.models import Post, PostMetadata

Source = Database | Transaction
_Q = sql.load("unread")


class After(NamedTuple):
    """Live posts from a time on: all and roots, those of them that others wrote, and urgent roots of others.

    total, total_roots: what the channel counted at that moment, read posts too.
    """

    total: int
    total_roots: int
    posts: int
    roots: int
    by_others: int
    roots_by_others: int
    urgent_by_others: int


class ChannelUnreadAt(NamedTuple):
    """A member's read state after he moved it. Source: Mattermost API v4, ChannelUnreadAt."""

    team_id: str
    user_id: str
    channel_id: str
    msg_count: int
    mention_count: int
    mention_count_root: int
    urgent_mention_count: int
    msg_count_root: int
    last_viewed_at: int


async def count_after(
    source: Source, channel_id: str, at: int, user_id: str, *, uncounted: Collection[str]
) -> After:
    """Return how many live posts of a channel are as old as `at` or younger. user_id: the reader."""
    row = await source.fetchrow(_Q["count_after"], channel_id, at, list(uncounted), user_id)
    assert row is not None, "an aggregate has one row"
    return After(*row)


async def count_replies_by_others(source: Source, root_id: str, viewed_at: int, user_id: str) -> int:
    """Return the number of live replies younger than viewed_at that others wrote."""
    found: int = await source.fetchval(_Q["count_replies_by_others"], root_id, viewed_at, user_id)
    return found


async def naming_posts(
    source: Source,
    place_id: str,
    position: tuple[int, str],
    user_id: str,
    *,
    replies: bool,
    any_text: bool,
    limit: int,
) -> list[Post]:
    """Return posts behind a position that may name a user. place_id: a channel or, for replies, a root.

    any_text: those without an @ too. Of a post only what naming needs is filled.
    """
    name = "naming_replies" if replies else "naming_posts"
    rows: list[Record] = await source.fetch(_Q[name], place_id, *position, user_id, any_text, limit)
    return [
        Post(
            id=row["id"],
            channel_id="",
            user_id=row["user_id"],
            create_at=row["create_at"],
            root_id=row["root_id"],
            type=row["type"],
            message=row["message"],
            props=row["props"],
            metadata=PostMetadata(priority=decode_priority(row["priority"])),
        )
        for row in rows
    ]


async def lock_member(tx: Transaction, channel_id: str, user_id: str) -> bool:
    """Lock a membership; False if there is none."""
    return await tx.fetchval(_Q["lock_member"], channel_id, user_id) is not None


async def set_unread(
    tx: Transaction,
    channel_id: str,
    user_id: str,
    *,
    read: int,
    read_root: int,
    mentions: int,
    mentions_root: int,
    urgent: int,
    viewed_at: int,
    at: int,
) -> ChannelUnreadAt:
    """Set a locked member's read state to so many posts that he has read, and so many mentions."""
    values: list[Any] = [read, read_root, mentions, mentions_root, urgent, viewed_at, at]
    row = await tx.fetchrow(_Q["set_unread"], channel_id, user_id, *values)
    assert row is not None, "the membership is locked"
    return ChannelUnreadAt(*row)


async def badge(source: Source, user_id: str) -> int:
    """Return the number that a phone shows on the app."""
    return int(await source.fetchval(_Q["badge"], user_id))
