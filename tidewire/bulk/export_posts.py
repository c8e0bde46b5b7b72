"""Lines of posts, each with its replies and all that hangs on them. A handful of queries for a thousand posts."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import Raw

from tidewire.bulk.export_job import Job
from tidewire.bulk.lines import Attachment, DirectPostLine, Follower, PostLine, Priority, ReactionPart, Reply
from tidewire.store.db import Record
from tidewire.store.posts import decode_priority
from tidewire.wire.file_types import clean_name

NO_AUTHOR = "posts of accounts that are gone"
_NAMELESS = "unnamed"
_encode = msgspec.json.Encoder().encode


class _Hanging(NamedTuple):
    """What hangs on some posts: by post id, attachments by file id. What is not wanted is not there."""

    replies: dict[str, list[Record]]
    reactions: dict[str, list[ReactionPart]]
    savers: dict[str, list[str]]
    followers: dict[str, list[Follower]]
    attachments: dict[str, Attachment]


async def write_posts(job: Job) -> None:
    """Write the posts of public and private channels, channel by channel."""
    args = job.team_id, job.options.archived_channels
    async for rows in job.rows.pieces("posts", *args, weight="replies"):
        written, lines = _written(job, rows), []
        hanging = await _hanging(job, written)
        for row in written:
            lines.append(PostLine(team=row["team"], channel=row["channel"], **_root(job, row, hanging)))
        job.put("post", lines)
        job.advance()


async def write_direct_posts(job: Job, without: Sequence[str]) -> None:
    """Write the posts of direct and group channels, but for some channels."""
    async for rows in job.rows.pieces("direct_posts", list(without), weight="replies"):
        written, lines = _written(job, rows), []
        hanging = await _hanging(job, written)
        for row in written:
            lines.append(DirectPostLine(channel_members=pair(row["names"]), **_root(job, row, hanging)))
        job.put("direct_post", lines)
        job.advance()


def pair(names: list[str]) -> list[str]:
    """Return the members of a direct channel: one who writes to himself stands there twice."""
    return names * 2 if len(names) == 1 else names


def _written(job: Job, rows: Sequence[Record]) -> list[Record]:
    """Return those whose author is known; the others are counted."""
    kept = [row for row in rows if row["username"] is not None]
    if len(kept) < len(rows):
        job.report.left_out[NO_AUTHOR] += len(rows) - len(kept)
    return kept


async def _hanging(job: Job, roots: Sequence[Record]) -> _Hanging:
    rows, people = job.rows, job.people
    root_ids = [row["id"] for row in roots]
    replies = await rows.by("root_id", "replies", root_ids)
    posts = list(chain(roots, *replies.values()))
    reactions: dict[str, list[ReactionPart]] = defaultdict(list)
    reacted = [row["id"] for row in posts if row["has_reactions"]]
    for post_id, username, emoji_name, at in await rows.all("reactions", reacted) if reacted else ():
        reactions[post_id].append(ReactionPart(username, emoji_name, at))
    savers: dict[str, list[str]] = defaultdict(list)
    for post_id, user_id, username in await rows.all("savers", [row["id"] for row in posts]):
        if people is None or user_id in people:
            savers[post_id].append(username)
    followers: dict[str, list[Follower]] = defaultdict(list)
    for root_id, user_id, username, viewed_at, mentions in await rows.all("followers", root_ids):
        if people is None or user_id in people:
            followers[root_id].append(Follower(username, viewed_at, mentions or None))
    return _Hanging(replies, reactions, savers, followers, await _attachments(job, posts))


async def _attachments(job: Job, posts: Sequence[Record]) -> dict[str, Attachment]:
    """Return file id → attachment, and see to it that its bytes will follow."""
    file_ids = [one for row in posts if row["username"] is not None for one in row["file_ids"]]
    if not file_ids:
        return {}
    if job.archive is None or not job.options.attachments:
        job.report.left_out["attachments"] += len(file_ids)
        return {}
    rows = {row["id"]: row for row in await job.rows.all("attachments", file_ids)}
    found = {}
    for file_id in file_ids:
        if (row := rows.get(file_id)) is None:  # deleted alone
            continue
        end = clean_name(row["name"]) or _NAMELESS
        path = f"attachments/{row['sha256'].hex()}/{end}"
        found[file_id] = Attachment(path, row["name"] if row["name"] != end else None)
        job.attachments.add(_encode((row["key"], row["size"], path)).decode())
    return found


def _root(job: Job, row: Record, hanging: _Hanging) -> dict[str, Any]:
    replies = _written(job, hanging.replies.get(row["id"], ()))
    job.report.replies += len(replies)
    followers = hanging.followers.get(row["id"])
    # An import makes the writers of a thread follow it where nothing is said of followers.
    says_so = followers is not None or replies
    return _common(row, hanging) | {
        "replies": [Reply(**_common(reply, hanging)) for reply in replies] or None,
        "thread_followers": (followers or []) if says_so else None,
        "priority": _priority(row["priority"]) if row["priority"] else None,
    }


def _common(row: Record, hanging: _Hanging) -> dict[str, Any]:
    post_id, file_ids, props = row["id"], row["file_ids"], row["props"]
    files = hanging.attachments
    return {
        "user": row["username"],
        "message": row["message"],
        "create_at": row["create_at"],
        "type": row["type"] or None,
        # As PostgreSQL wrote it: it is not looked into.
        "props": None if props == "{}" else cast(dict[str, Any], Raw(props)),
        "edit_at": row["edit_at"] or None,
        "flagged_by": hanging.savers.get(post_id),
        "reactions": hanging.reactions.get(post_id),
        "attachments": [files[one] for one in file_ids if one in files] or None if file_ids else None,
        "is_pinned": row["is_pinned"] or None,
    }


def _priority(words: str) -> Priority:
    found = decode_priority(words)
    assert found is not None, "there are words"
    return Priority(found.priority or None, found.requested_ack or None)
