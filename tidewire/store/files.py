"""Rows of files, and the list of objects that no row may need any more."""

from collections.abc import Iterable, Sequence

from msgspec import structs

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.files import StoredFile

_Q = sql.load("files")
_COLUMNS = StoredFile.__struct_fields__
DELETED_AT_ONCE = 1000


async def by_ids(
    db: Database | Transaction, ids: Iterable[str], *, deleted: bool = False
) -> dict[str, StoredFile]:
    """Return the files that exist, by id. deleted: deleted ones too."""
    rows = await db.fetch(_Q["by_ids"], list(ids), deleted)
    return {file.id: file for file in sql.structs(StoredFile, rows)}


async def of_post(db: Database, post_id: str, *, deleted: bool) -> list[StoredFile]:
    """Return the files of a post, oldest first."""
    return sql.structs(StoredFile, await db.fetch(_Q["of_post"], post_id, deleted))


async def insert(tx: Transaction, files: Sequence[StoredFile]) -> bool:
    """Write new files whose objects were doomed before they were written; False if they may be gone already."""
    keys = [key for file in files for key in file.keys]
    if len(await tx.fetch(_Q["spare"], keys)) != len(keys):
        return False
    rows = [structs.astuple(file) for file in files]
    await tx.execute(_Q["insert"], *([row[i] for row in rows] for i in range(len(_COLUMNS))))
    return True


async def attach(
    tx: Transaction, ids: Sequence[str], *, post_id: str, user_id: str, channel_id: str, at_ms: int
) -> bool:
    """Attach files to a post that the transaction holds; False if one of them is not the user's to attach."""
    rows = await tx.fetch(_Q["attach"], ids, post_id, user_id, channel_id, at_ms)
    return len(rows) == len(ids)


async def restore(tx: Transaction, ids: Sequence[str], post_id: str, at_ms: int) -> set[str]:
    """Bring back those of the files that the post held before; return their ids."""
    return {row["id"] for row in await tx.fetch(_Q["restore"], post_id, ids, at_ms)}


async def detach(tx: Transaction, ids: Sequence[str], post_id: str, at_ms: int) -> None:
    """Mark files of a post as deleted."""
    await tx.execute(_Q["detach"], post_id, ids, at_ms)


async def count_in_channel(db: Database, channel_id: str) -> int:
    """Return how many files the live posts of a channel hold."""
    count: int = await db.fetchval(_Q["count_in_channel"], channel_id)
    return count


async def doom(db: Database | Transaction, keys: Sequence[str], at_ms: int) -> None:
    """Note objects that may be deleted at a time, unless a row names them by then."""
    await db.execute(_Q["doom"], keys, at_ms)


async def hasten(db: Database, keys: Sequence[str], at_ms: int) -> None:
    """Let those objects that are on the list go at a time."""
    await db.execute(_Q["hasten"], keys, at_ms)


async def spare(tx: Transaction, keys: Sequence[str]) -> bool:
    """Take objects off that list; False if some were taken already."""
    return len(await tx.fetch(_Q["spare"], keys)) == len(keys)


async def take_doomed(tx: Transaction, now_ms: int, limit: int) -> tuple[int, list[str]]:
    """Take objects off the list whose time has come.

    Return how many they were, and which of them no row names: those are the caller's to delete before it commits.
    """
    rows = await tx.fetch(_Q["take_doomed"], now_ms, limit)
    return len(rows), [row["key"] for row in rows if not row["needed"]]


async def delete_in_channels(db: Database | Transaction, channel_ids: Sequence[str], at_ms: int) -> None:
    """Delete the rows of files of channels for good; their objects go at a time."""
    while await db.fetch(_Q["doom_of_channels"], channel_ids, at_ms, DELETED_AT_ONCE):
        pass
