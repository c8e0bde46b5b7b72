"""Rows of addresses that posts name: what was found there lately, and what each post shows of it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.links import OpenGraph, PostImage, Preview, Target

_Q = sql.load("links")
_encode = msgspec.json.Encoder().encode
_preview = msgspec.json.Decoder(Preview).decode


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
    """A locked post shows nothing any more."""
    await tx.execute(_Q["forget"], post_id)
