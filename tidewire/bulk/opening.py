"""Opens what an import needs and closes it. Knows how the parts fit, and no lines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from tidewire.actions.config import Config
from tidewire.actions.file_store import FileStore
from tidewire.bulk.archive import Source
from tidewire.bulk.kit import Kit
from tidewire.bulk.names import Names
from tidewire.bulk.report import Report
from tidewire.pictures.workshop import Workshop
from tidewire.settings import Settings
from tidewire.store import imports as store
from tidewire.store.db import Database
from tidewire.store.imports import Progress
from tidewire.wire.ids import new_id, now_ms

CONNECTIONS = 3  # one at a time, and what a look-up beside a transaction takes


class Busy(Exception):
    """Another import is under way in this installation."""


@asynccontextmanager
async def open_kit(
    settings: Settings, source: Source, digest: bytes, name: str, *, dry: bool
) -> AsyncIterator[tuple[Kit, Progress]]:
    """Open what an import needs; return it, and how far the import of this file is. Raises: Busy, Unavailable.

    Announcements are put on the bus by an API worker, within 5 s, or when the next one starts.
    """
    db = Database(settings.database.url, size=CONNECTIONS, worker=new_id())
    held = await db.connect(application_name="tidewire import")
    workshop = Workshop()
    try:
        if not dry and not await store.hold(held):
            raise Busy
        config = Config(settings, db)
        await config.reload()
        files = FileStore(settings, config, "")
        if dry:
            progress = Progress(0, 0, 0, now_ms(), {})
        else:
            progress = await store.begin(db, digest, name, now_ms(), msgspec.to_builtins(Report()))
        report = msgspec.convert(progress.report, Report)
        names = Names(db, dry=dry)
        at = progress.started_at
        yield (
            Kit(
                db, config, files, workshop, source, names, report, digest, at, settings.search.language, dry
            ),
            progress,
        )
    finally:
        workshop.close()
        held.terminate()
        await db.close()
