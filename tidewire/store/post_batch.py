"""The group commit: groups new posts into the arrays of one statement, and runs it. No queue and no retry in here.

The statement, its lock order and its all-or-nothing rule are explained in queries/post_writes.sql.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec

from tidewire.store import sql
from tidewire.store.db import Connection, Database, Record, number
from tidewire.store.posts import encode_priority
from tidewire.wire.models import Post

_Q = sql.load("post_writes")
PENDING_MS = 30_000  # Mattermost API v4, posts: how long a pending_post_id is remembered; the SQL says it too
# The connection's planner settings. Generic: planning this statement costs more than running it for one post (580
# against 280 µs). The rest leaves nested loops from the arrays into indexes, on tables of any size above some 50 rows:
# they take the row locks in the arrays' order, and cost no more than hash joins (76 against 70-77 µs per post).
PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "random_page_cost": "0.01",
}
_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode

Committed = tuple[int, list[tuple[str, int, bytes]]]  # (outbox id, [(key, number, envelope), …])


@dataclass(slots=True)
class NewPost:
    """A checked post and what it does besides.

    envelope: the encoded announcement. counted: adds to the channel's message counts. views: the author has
    thereby read what it stands in: the channel if reads_channel, with a reply the thread, which he follows. mentions:
    members whose mention counts grow, with a reply also those of the thread, which they follow from now on. followers:
    who follows the thread unless he chose otherwise. auto_follow: whether replies make anybody follow.
    needs_live_channel: fails in an archived one. awaits_preview: its links are to be looked at. committed: called once
    the post is written, whether or not its author still waits, with the id of its outbox row, 0 if that is not known.
    """

    post: Post
    envelope: bytes
    counted: bool = True
    views: bool = False
    reads_channel: bool = False
    mentions: Sequence[str] = ()
    followers: Sequence[str] = ()
    auto_follow: bool = True
    needs_live_channel: bool = True
    awaits_preview: bool = False
    committed: Callable[[int], None] | None = None


@dataclass(slots=True)
class _Channel:
    events: int = 0
    counted: int = 0
    counted_root: int = 0
    at: int = 0
    root_at: int = 0
    alive: bool = False


@dataclass(slots=True)
class _Thread:
    channel_id: str
    at: int = 0
    replies: int = 0
    users: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Member:
    views: bool = False
    own: int = 0
    own_root: int = 0
    seen: int = 0
    seen_root: int = 0
    mentions: int = 0
    mentions_root: int = 0
    urgent: int = 0
    at: int = 0


@dataclass(slots=True)
class _Follower:
    """viewed_at: 0 if he wrote nothing in it. With no mention either he follows only where he never chose.

    mentioned_at: when replies that mention him were created; posts of a batch come in no order of that.
    """

    channel_id: str
    at: int
    viewed_at: int = 0
    mentioned_at: list[int] = field(default_factory=list)

    @property
    def mentions(self) -> int:
        """How many of them he has not read."""
        return sum(at > self.viewed_at for at in self.mentioned_at)


class Batch:
    """The statement's arguments for some posts. Made once: what is sent again after a lost answer must be the same."""

    def __init__(self, posts: Sequence[NewPost], worker: str, now_ms: int) -> None:
        channels: dict[str, _Channel] = {}
        threads: dict[str, _Thread] = {}
        followers: dict[tuple[str, str], _Follower] = {}
        members: dict[tuple[str, str], _Member] = {}
        for new in posts:
            _group(new, channels, members)
            if new.post.root_id:
                _group_reply(new, threads, followers)
        announced = [("c:" + new.post.channel_id, new.envelope) for new in posts]
        self.announced = announced
        self.worker = worker
        self.created_at = now_ms
        self.payload = _encode(announced)
        rows = [new.post for new in posts]
        rows.sort(key=attrgetter("id"))
        # In the order and shape of the statement's parameters.
        self._rows: list[list[tuple[Any, ...]]] = [
            sorted([(p.user_id, p.pending_post_id, p.id, p.create_at) for p in rows if p.pending_post_id]),
            [
                (
                    p.id,
                    p.create_at,
                    p.user_id,
                    p.channel_id,
                    p.root_id,
                    p.message,
                    p.type,
                    _encode_json(p.stored_props).decode() if p.props or p.refs else "{}",
                    p.hashtags,
                    ",".join(p.file_ids),
                    "" if p.metadata.priority is None else encode_priority(p.metadata.priority),
                )
                for p in rows
            ],
            [(k, t.channel_id, t.at, t.replies, ",".join(t.users)) for k, t in sorted(threads.items())],
            [(*k, f.channel_id, f.at, f.viewed_at, f.mentions) for k, f in sorted(followers.items())],
            [
                (
                    *key,
                    m.views,
                    m.own,
                    m.own_root,
                    m.seen,
                    m.seen_root,
                    m.mentions,
                    m.mentions_root,
                    m.urgent,
                    m.at,
                )
                for key, m in sorted(members.items())
            ],
        ]
        self._files = sorted(
            [
                (one, p.id, p.user_id, p.channel_id, p.create_at)
                for p in rows
                if p.file_ids
                for one in p.file_ids
            ]
        )
        self._awaiting = [new.post.id for new in posts if new.awaits_preview]
        self._channels = [
            (key, c.events, c.counted, c.counted_root, c.at, c.root_at, c.alive)
            for key, c in sorted(channels.items())
        ]

    async def write(self, connection: Connection, published: Sequence[int]) -> Committed:
        """Run the statement and commit, marking outbox rows that are `published` on the way.

        Raises: asyncpg errors. DivisionByZeroError: some post of the batch cannot be written, and none was.
        UniqueViolationError on posts_pkey: this very batch was written before.
        """
        linked = bool(self._awaiting)
        row = await connection.fetchrow(
            _Q["create_batch_with_links" if linked else "create_batch"],
            *self._rows,
            published,
            self._channels,
            self.created_at,
            self.worker,
            self.payload,
            self._files,
            *([self._awaiting] if linked else ()),
        )
        assert row is not None
        return self._committed(row)

    async def find(self, connection: Connection) -> Committed | None:
        """Return what a commit whose answer was lost has numbered; None if its outbox row is published already."""
        row = await connection.fetchrow(_Q["find_batch"], self.created_at, self.worker, self.payload)
        return None if row is None else self._committed(row)

    def _committed(self, row: Record) -> Committed:
        return row["id"], number(self.announced, dict(zip(row["keys"], row["ns"], strict=True)))


def _group(new: NewPost, channels: dict[str, _Channel], members: dict[tuple[str, str], _Member]) -> None:
    """Add one post to what it changes in its channel. The posts come in the order in which they are announced."""
    post = new.post
    is_root = not post.root_id
    channel = channels.get(post.channel_id) or channels.setdefault(post.channel_id, _Channel())
    channel.events += 1
    channel.at = max(channel.at, post.create_at)
    channel.alive |= new.needs_live_channel
    if is_root:
        channel.root_at = max(channel.root_at, post.create_at)
    if new.counted:
        channel.counted += 1
        channel.counted_root += is_root
    if new.views and (is_root or new.reads_channel):
        key = post.channel_id, post.user_id
        member = members.get(key) or members.setdefault(key, _Member())
        member.views = True
        member.own += new.counted
        member.own_root += new.counted and is_root
        member.seen, member.seen_root = channel.counted, channel.counted_root
        member.mentions = member.mentions_root = member.urgent = 0
        member.at = max(member.at, post.create_at)
    urgent = is_root and post.is_urgent
    for user_id in new.mentions:
        key = post.channel_id, user_id
        member = members.get(key) or members.setdefault(key, _Member())
        member.mentions += 1
        member.mentions_root += is_root
        member.urgent += urgent
        member.at = max(member.at, post.create_at)


def _group_reply(
    new: NewPost, threads: dict[str, _Thread], followers: dict[tuple[str, str], _Follower]
) -> None:
    """Add one reply to what it changes in its thread."""
    post = new.post
    thread = threads.get(post.root_id) or threads.setdefault(post.root_id, _Thread(post.channel_id))
    thread.replies += 1
    thread.at = max(thread.at, post.create_at)
    thread.users[post.user_id] = None
    if not new.auto_follow:
        return

    def follower(user_id: str) -> _Follower:
        key = post.root_id, user_id
        found = followers.get(key) or followers.setdefault(key, _Follower(post.channel_id, post.create_at))
        found.at = max(found.at, post.create_at)
        return found

    if new.views:
        author = follower(post.user_id)
        author.viewed_at = max(author.viewed_at, post.create_at)
    for user_id in new.mentions:
        follower(user_id).mentioned_at.append(post.create_at)
    for user_id in new.followers:
        follower(user_id)


async def plan_again(connection: Connection) -> None:
    """Drop the connection's plans. One that was made while a table was empty would walk through it when it is full."""
    await connection.execute("DISCARD PLANS")


async def first_post_id(db: Database, user_id: str, pending_id: str, now_ms: int) -> str | None:
    """Return the id of the post that an author's pending id became within the last 30 s, at any worker."""
    found: str | None = await db.fetchval(_Q["pending_post"], user_id, pending_id, now_ms - PENDING_MS)
    return found


async def prune_pending(db: Database, now_ms: int) -> None:
    """Forget pending ids that no repeat can name any more."""
    await db.execute(_Q["prune_pending"], now_ms - 2 * PENDING_MS)
