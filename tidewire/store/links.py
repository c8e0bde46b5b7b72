"""Rows of addresses that posts name: what was found there lately, and what each post shows of it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.links import OpenGraph, PostImage, Preview, Target

_Q = sql.load("links")
_encode = msgspec.json.Encoder().encode
_preview = msgspec.json.Decoder(Preview).decode


class Look(NamedTuple):
    """Who looks at a post's links since when (ms); as a row, so that another worker takes it over from a dead one."""

    post_id: str
    worker: str
    at: int


def _hash(url: str) -> bytes:
    return sha256(url.encode("utf-8", "replace")).digest()


async def known(db: Database, urls: Sequence[str], *, found_since: int, none_since: int) -> dict[str, Target]:
    """Return url → what was found there, an empty Target for nothing; without what is unknown or too old."""
    by_hash = {_hash(url): url for url in urls}
    rows = await db.fetch(_Q["known"], list(by_hash), found_since, none_since) if by_hash else ()
    return {by_hash[row["hash"]]: _target(row["type"], row["data"]) for row in rows}


def _target(kind: str, data: str) -> Target:
    if kind == "opengraph":
        return Target(page=msgspec.json.decode(data, type=OpenGraph))
    return Target(image=msgspec.json.decode(data, type=PostImage)) if kind == "image" else Target()


async def keep(db: Database, found: Mapping[str, Target], at_ms: int) -> None:
    """Remember what was found at some addresses."""
    kinds = [
        "opengraph" if one.page is not None else "image" if one.image is not None else "none" for one in found.values()
    ]
    datas = [_encode(one.page or one.image).decode() if one.page or one.image else "" for one in found.values()]
    await db.execute(_Q["keep"], [_hash(url) for url in found], list(found), at_ms, kinds, datas)


async def prune(db: Database, before_ms: int, limit: int) -> None:
    """Forget some of what was found before a time."""
    await db.execute(_Q["prune"], before_ms, limit)


async def of_posts(source: Database | Transaction, post_ids: Sequence[str]) -> dict[str, Preview]:
    """Return post id → what it shows, for those that show something."""
    return {row["post_id"]: _preview(row["preview"]) for row in await source.fetch(_Q["of_posts"], post_ids)}


async def put(tx: Transaction, post_id: str, preview: Preview) -> None:
    """Store what a locked post shows."""
    await tx.execute(_Q["put"], post_id, _encode(preview).decode())


async def forget(tx: Transaction, post_id: str) -> None:
    """A locked post shows nothing any more, and nothing is looked at for it."""
    await tx.execute(_Q["forget"], post_id)


async def begin(tx: Transaction, look: Look) -> None:
    """Note that a locked post's links are looked at from now on. With new posts, the group commit notes it."""
    await tx.execute(_Q["await"], *look)


async def end(source: Database | Transaction, look: Look) -> bool:
    """Note that a look is over; return False if it was not this worker's any more."""
    return await source.fetchval(_Q["end"], *look) is not None


async def end_all(db: Database, looks: Sequence[Look]) -> None:
    """Note that looks that were claimed together are over."""
    if looks:
        await db.execute(_Q["end_all"], [look.post_id for look in looks], looks[0].worker, looks[0].at)


async def claim(
    db: Database, in_hand: Sequence[str], *, now_ms: int, lost_ms: int, grace_ms: int, limit: int, tries: int
) -> list[Look]:
    """Make looks of workers that are gone this worker's, and its own that it lost: not in hand and older than lost_ms.

    grace_ms: how long others keep theirs in any case. tries: how often a look is taken over.
    """
    before = now_ms - lost_ms, now_ms - grace_ms
    rows = await db.fetch(_Q["claim"], db.worker, in_hand, *before, limit, tries, now_ms)
    return [Look(row["post_id"], db.worker, now_ms) for row in rows]


async def give_up(db: Database, *, since_ms: int, tries: int, before_ms: int) -> None:
    """Forget looks of posts older than since_ms, and those whose last try began before before_ms."""
    await db.execute(_Q["give_up"], since_ms, tries, before_ms)
