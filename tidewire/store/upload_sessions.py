"""Rows of upload sessions. Requests of one session may come to different processes: `append` lets one win."""

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.files import StoredUpload, UploadSession

_Q = sql.load("upload_sessions")


async def insert(db: Database, upload: UploadSession) -> None:
    """Write a new session."""
    await db.execute(
        _Q["insert"],
        upload.id,
        upload.type,
        upload.create_at,
        upload.user_id,
        upload.channel_id,
        upload.filename,
        upload.file_size,
    )


async def find(db: Database, upload_id: str) -> StoredUpload | None:
    """Return a session, or None."""
    found = sql.structs(StoredUpload, await db.fetch(_Q["find"], upload_id))
    return found[0] if found else None


async def of_user(db: Database, user_id: str) -> list[StoredUpload]:
    """Return a user's sessions, oldest first."""
    return sql.structs(StoredUpload, await db.fetch(_Q["of_user"], user_id))


async def count_of_user(db: Database, user_id: str) -> int:
    """Return how many sessions a user has open."""
    count: int = await db.fetchval(_Q["count_of_user"], user_id)
    return count


async def append(tx: Transaction, upload_id: str, offset: int, key: str, size: int) -> bool:
    """Add an object to what has come, if that still ends at offset."""
    return await tx.fetchval(_Q["append"], upload_id, offset, key, size) is not None


async def delete(tx: Transaction, upload_id: str, offset: int) -> bool:
    """End a session, if what has come still ends at offset."""
    return await tx.fetchval(_Q["delete"], upload_id, offset) is not None


async def expire(tx: Transaction, before_ms: int, limit: int) -> list[str]:
    """End sessions that began before a time; return the objects that they leave."""
    return [key for row in await tx.fetch(_Q["expire"], before_ms, limit) for key in row["keys"]]
