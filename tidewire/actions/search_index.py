"""Fills the search index, beside everything else: new posts within a second, changed ones, and what files say.

One of the API workers does it at a time. New posts are found by their ids, which begin with the time; a few seconds are
looked through again, since transactions end in any order. All older posts are looked through in turn, so that late and
imported ones come in too.
"""

import asyncio
import tempfile
from pathlib import Path
from time import monotonic

import structlog
from prometheus_client import Counter

from tidewire.actions.services import Services
from tidewire.pictures.squares import NotAPicture
from tidewire.pictures.texts import TEXT_TYPES
from tidewire.store import search as store
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.files import StoredFile
from tidewire.wire.ids import first_id, now_ms

PASS_S = 0.5
OVERLAP_MS = 3000  # a transaction that takes longer is found by the next look through all
CHUNK, AGAIN, CHECKED = 2000, 500, 5000  # posts in one statement
CHECK_EVERY_S = 5.0
FILES = 8
FILE_BYTES = 20 << 20
_INDEXED = Counter("tidewire_search_indexed", "Rows added to the search index.")
log = structlog.get_logger()


class SearchIndex:
    """The indexer of one worker."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._check_at = 0.0

    def start(self, services: Services) -> None:
        """Index, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(services))

    async def close(self) -> None:
        """Stop; another worker goes on where this one was."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, services: Services) -> None:
        while True:
            busy = False
            try:
                check = monotonic() >= self._check_at
                busy = await index_some(services, check=check)
                if check:
                    self._check_at = monotonic() + CHECK_EVERY_S
                if not busy:
                    await read_files(services)
            except Unavailable as error:
                log.warning("search index waits", waits_for=error.service)
            if not busy:
                await asyncio.sleep(PASS_S)


async def index_some(services: Services, *, check: bool = True) -> bool:
    """Index a chunk of what is new and of what was changed; tell whether there is more at once.

    check: look a stretch of the older ones through, too. Raises: Unavailable.
    """
    language = services.settings.search.language
    async with services.db.transaction() as tx:
        if not await store.lead(tx):
            return False
        state = await store.state(tx)
        if state is None or state.language != language:
            log.info("search index is made anew", language=language)
            state = await store.start_over(tx, language)
        start = min(state.newest, first_id(now_ms() - OVERLAP_MS))
        newest, full = await _advance(tx, language, start)
        newest = max(newest, state.newest)
        again = await store.index_again(tx, language, AGAIN)
        checked = state.checked
        if check and not full and not again:
            checked, seen, added = await store.index_after(tx, language, checked, CHECKED)
            _INDEXED.inc(added)
            checked = checked if seen == CHECKED else ""
        await store.set_state(tx, newest, checked)
    return full or again == AGAIN


async def _advance(tx: Transaction, language: str, start: str) -> tuple[str, bool]:
    """Index the chunk after an id; return (its last id, whether there may be more)."""
    last, seen, added = await store.index_after(tx, language, start, CHUNK)
    _INDEXED.inc(added)
    return last, seen == CHUNK


async def read_files(services: Services) -> None:
    """Add what some files say. One that cannot be read is found by its name."""
    wanted = services.config.flag("FileSettings.ExtractContent")
    for file in await store.unread_files(services.db, FILES):
        text = ""
        if wanted and file.extension in TEXT_TYPES and 0 < file.size <= FILE_BYTES:
            try:
                text = await _text_of(services, file)
            except (NotAPicture, AppError) as error:
                log.info("a file cannot be read for search", file_id=file.id, reason=str(error))
        await store.add_content(services.db, services.settings.search.language, file.id, text)


async def _text_of(services: Services, file: StoredFile) -> str:
    with tempfile.NamedTemporaryFile(prefix="tidewire-", suffix="." + file.extension) as copy:
        opened = await services.files.objects.get(file.key)
        async for piece in opened.pieces:
            copy.write(piece)
        copy.flush()
        return await services.workshop.read_text(str(Path(copy.name)))
