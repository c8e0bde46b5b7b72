"""Removes what failed uploads left: files that were being received, objects that no row names, sessions nobody ends.

One task per API process; several share the work. What is to be deleted stands in PostgreSQL before it exists, so that
no process has to look through the whole store.
"""

import asyncio

import structlog

from tidewire.actions.file_store import FileStore
from tidewire.loops import again
from tidewire.store import files, upload_sessions
from tidewire.store.db import Database
from tidewire.store.incoming import sweep
from tidewire.store.objects import INCOMING
from tidewire.wire.ids import now_ms

EVERY_S = 60.0
# How long an object may take from being named as doomed to the commit of its row; beyond, the upload fails.
GRACE_MS = 15 * 60_000
SESSION_MS = 3 * 86_400_000  # how long an upload in several requests may take
LATER_MS = 3_600_000  # an object that cannot be deleted is tried again
AT_ONCE = 100
# A transaction that does nothing for 15 s is ended (store/db.py): one after the other, S3's deletions may take longer.
DELETIONS = 10
_log = structlog.get_logger("files")


class Janitor:
    """Sweeps at its start, then every EVERY_S and when woken."""

    def __init__(self, db: Database, store: FileStore) -> None:
        self._db = db
        self._store = store
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(
            again("files that nobody needs", lambda: self.sweep(now_ms()), EVERY_S, wake=self._woken)
        )

    def wake(self) -> None:
        """Sweep now: something failed in this process."""
        self._woken.set()

    async def close(self) -> None:
        """Stop; what is left is swept after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def sweep(self, now: int) -> int:
        """Remove all that is due at a time, ms; return how many files and objects. Raises: Unavailable."""
        incoming = self._store.directory / INCOMING
        swept = await asyncio.to_thread(sweep, incoming) if incoming.is_dir() else 0
        while await self._expire(now):
            pass
        while found := await self._delete(now):
            swept += found
        return swept

    async def _expire(self, now: int) -> bool:
        async with self._db.transaction() as tx:
            ended = await upload_sessions.expire(tx, now - SESSION_MS, AT_ONCE)
            await files.doom(tx, ended, now)
        return bool(ended)

    async def _delete(self, now: int) -> int:
        async with self._db.transaction() as tx:
            taken, keys = await files.take_doomed(tx, now, AT_ONCE)
            # Before the commit: what could not be deleted stays on the list, behind the others.
            stay: list[str] = []
            for some in (keys[at : at + DELETIONS] for at in range(0, len(keys), DELETIONS)):
                deleted = await asyncio.gather(*[self._is_deleted(key) for key in some])
                stay += [key for key, gone in zip(some, deleted, strict=True) if not gone]
            await files.doom(tx, stay, now + LATER_MS)
        return taken

    async def _is_deleted(self, key: str) -> bool:
        """Delete an object; False if it is one that cannot be. Raises: Unavailable."""
        try:
            await self._store.objects.delete([key])
        except Exception as error:
            await self._store.objects.check()  # is it this object, or is the store away?
            _log.error("an object cannot be deleted", key=key, exc_info=error)
            return False
        return True
