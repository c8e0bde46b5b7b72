"""Whether the crowd knows the truth: compares clients with PostgreSQL and with the numbers on the bus.

The stream itself says which number each post had, so that "in order, without a hole" can be checked exactly.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg
import msgspec

from tests.chaos.crowd import Crowd, Member, Post
from tidewire.bus import envelope
from tidewire.bus.redis import events_stream
from tidewire.bus.resp import Link


@dataclass
class Truth:
    """What the database and the bus hold of the crowd's channels."""

    rows: dict[str, dict[str, Post]]  # channel → id → post
    places: dict[str, dict[str, int]]  # channel → id → its place among the channel's posts, from 0


class _Data(msgspec.Struct):
    post: str


class _Body(msgspec.Struct):
    event: str
    data: _Data


class _Id(msgspec.Struct):
    id: str


async def judge(crowd: Crowd, data_dir: Path, timeout_s: float) -> list[str]:
    """Give everybody time to hear all there is; return every broken promise. data_dir: that of a running serve."""
    database_url, redis_url = [
        (data_dir / f"{name}.url").read_text().strip() for name in ("database", "redis")
    ]
    rows = await _rows(database_url, {member.channel_id for member in crowd.members})
    await _wait_until_complete(crowd, rows, timeout_s)
    return problems(crowd, Truth(rows, await _places(redis_url, set(rows))))


async def _rows(database_url: str, channels: Iterable[str]) -> dict[str, dict[str, Post]]:
    rows: dict[str, dict[str, Post]] = {channel: {} for channel in channels}
    connection = await asyncpg.connect(database_url)
    query = """SELECT id, create_at, update_at, delete_at, message, edit_at, channel_id FROM posts
        WHERE channel_id = ANY($1) AND original_id = ''"""
    for row in await connection.fetch(query, list(rows)):
        *values, channel_id = row.values()
        rows[channel_id][row["id"]] = Post(*values)
    await connection.close()
    return rows


async def _places(redis_url: str, channels: set[str]) -> dict[str, dict[str, int]]:
    numbers: dict[str, dict[int, str]] = {channel: {} for channel in channels}
    link = await Link.open(redis_url)
    position = "-"
    while entries := await link.call("XRANGE", events_stream(0), position, "+", "COUNT", 5000, timeout_s=30):
        for _, fields in entries:
            channel = fields[1].decode()[2:]
            copy = envelope.decode(fields[5]).copies[:1]
            if channel in channels and copy and copy[0].name == "posted":
                body = msgspec.json.decode(copy[0].body + b"}}", type=_Body)
                numbers[channel][int(fields[3])] = msgspec.json.decode(body.data.post, type=_Id).id
        position = "(" + entries[-1][0].decode()
    link.close()
    return {
        channel: {post_id: place for place, (_, post_id) in enumerate(sorted(found.items()))}
        for channel, found in numbers.items()
    }


async def _wait_until_complete(crowd: Crowd, rows: dict[str, dict[str, Post]], timeout_s: float) -> None:
    """Wait until every member knows every post as it is stored; who does not is told by problems()."""
    try:
        async with asyncio.timeout(timeout_s):
            for member in crowd.members:
                while not member.synced.is_set() or _missing(member, rows):
                    member.heard.clear()
                    await member.heard.wait()
    except TimeoutError:
        return


def _missing(member: Member, rows: dict[str, dict[str, Post]]) -> list[str]:
    return [
        post_id
        for post_id, row in rows[member.channel_id].items()
        if post_id not in member.posts or member.posts[post_id].message != row.message
    ]


def problems(crowd: Crowd, truth: Truth) -> list[str]:
    """Return every broken promise, one line each."""
    found = [f"{member.user_id}: {fault}" for member in crowd.dismissed for fault in member.faults]
    for member in crowd.members:
        who, rows = member.user_id, truth.rows[member.channel_id]
        found += [f"{who}: {fault}" for fault in member.faults]
        if missing := _missing(member, truth.rows):
            found.append(f"{who} misses {len(missing)} of {len(rows)} posts: {missing[:3]}")
        if invented := set(member.posts) - set(rows):
            found.append(f"{who} knows {len(invented)} posts that are not in the database")
        by_message: dict[str, list[str]] = {}
        for post_id, row in rows.items():
            by_message.setdefault(row.message, []).append(post_id)
        for message, post_id in member.acknowledged.items():
            if by_message.get(message) != [post_id]:
                found.append(
                    f"{message!r} was acknowledged as {post_id}, stored as {by_message.get(message)}"
                )
        found += [f"{who}: {hole}" for hole in _holes(member, truth.places[member.channel_id])]
    return found


def _holes(member: Member, places: dict[str, int]) -> list[str]:
    """Between two hellos the posts heard are an unbroken run of the channel's."""
    found = []
    for stretch in member.stretches:
        heard = [places.get(post_id, -1) for post_id in stretch]
        for before, after in itertools.pairwise(heard):
            if after != before + 1:
                found.append(f"heard post {after} of the channel after {before}")
    return found


def histogram(title: str, seconds: list[float]) -> list[str]:
    """Return recovery times as lines, one bar for each half second that has any."""
    lines = [f"{title}: {len(seconds)} times, median {median(seconds):.2f} s, longest {max(seconds):.2f} s"]
    buckets = Counter(int(value * 2) for value in seconds)
    return lines + [f"  {b / 2:5.1f} s {'#' * count}" for b, count in sorted(buckets.items())]
