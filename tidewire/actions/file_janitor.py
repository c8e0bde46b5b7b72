"""Removes what failed uploads left: files that were being received, objects that no row names, sessions nobody ends.

One task per API process; several share the work. What is to be deleted stands in PostgreSQL before it exists, so that
no process has to look through the whole store.
"""

import asyncio

import structlog

from tidewire.actions.file_store import FileStore
from tidewire.store import files, upload_sessions
from tidewire.store.db import Database
from tidewire.store.incoming import sweep
from tidewire.store.objects import INCOMING
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

EVERY_S = 60.0
# How long an object may take from being named as doomed to the commit of its row; beyond, the upload fails.
GRACE_MS = 15 * 60_000
SESSION_MS = 3 * 86_400_000  # how long an upload in several requests may take
AT_ONCE = 100
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
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Sweep now: something failed in this process."""
        self._woken.set()

    async def close(self) -> None:
        """Stop; what is left is swept after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.sweep(now_ms())
            except (Unavailable, OSError) as error:  # the next sweep will do it
                _log.info("files stay for the next sweep", reason=type(error).__name__)
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def sweep(self, now: int) -> int:
        """Remove all that is due at a time, ms; return how many files and objects. Raises: Unavailable, OSError."""
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
            if keys:  # before the commit: what could not be deleted stays on the list
                await self._store.objects.delete(keys)
        return taken
