"""Fills the search index, beside everything else: new posts within a second, changed ones, and what files say.

One of the API workers does it at a time. New posts are found by their ids, which begin with the time; the last
seconds are looked through again now and then, since transactions end in any order, and all older posts in turn, so that
imported ones come in too, and what was deleted for good while it was indexed goes.
"""

import asyncio
import random
import tempfile
from pathlib import Path
from time import monotonic

import structlog
from prometheus_client import Counter

from tidewire.actions.services import Services
from tidewire.loops import again
from tidewire.pictures.squares import NotAPicture
from tidewire.pictures.texts import TEXT_TYPES
from tidewire.store import search as store
from tidewire.store.objects import Missing
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.files import StoredFile
from tidewire.wire.ids import first_id, now_ms

PASS_S = 0.5
OVERLAP_MS = 10_000  # a transaction that takes longer is found by the next look through all
CHUNK, AGAIN, LATE, CHECKED = 2000, 500, 50_000, 5000  # posts in one statement
CHECK_EVERY_S = 5.0
# Files that are read in one pass, out of so many (each API worker takes others), and at once: while one is in the
# process that reads it, others are fetched and stored.
FILES, FILES_SEEN, FILES_AT_ONCE = 8, 64, 3
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
        self._task = asyncio.get_running_loop().create_task(again("search index", lambda: self._pass(services), PASS_S))

    async def close(self) -> None:
        """Stop; another worker goes on where this one was."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _pass(self, services: Services) -> None:
        busy = True
        while busy:
            check = monotonic() >= self._check_at
            busy = await index_some(services, check=check)
            if check:
                self._check_at = monotonic() + CHECK_EVERY_S
            busy = busy or await read_files(services)


async def index_some(services: Services, *, check: bool = True) -> bool:
    """Index a chunk of what is new and of what was changed; tell whether there is more at once.

    check: look also for what came late, and a stretch of the older ones through. Raises: Unavailable.
    """
    language = services.settings.search.language
    async with services.db.transaction() as tx:
        if not await store.lead(tx):
            return False
        state = await store.state(tx)
        if state is None or state.language != language:
            log.info("search index is made anew", language=language)
            state = await store.start_over(tx, language)
        newest, seen, added = await store.index_after(tx, language, state.newest, CHUNK)
        again = await store.index_again(tx, language, AGAIN)
        more, checked = seen == CHUNK or again == AGAIN, state.checked
        if check and not more:
            _, _, late = await store.index_after(tx, language, first_id(now_ms() - OVERLAP_MS), LATE)
            checked, seen, older = await store.index_after(tx, language, checked, CHECKED)
            checked = checked if seen == CHECKED else ""
            await store.drop_gone(tx, state.checked, checked)
            added += late + older
        await store.set_state(tx, newest, checked)
        _INDEXED.inc(added)
    return more


async def read_files(services: Services) -> bool:
    """Add what some files say; tell whether there are more. One that cannot be read is found by its name.

    Raises: Unavailable.
    """
    found = await store.unread_files(services.db, FILES_SEEN)
    room = asyncio.Semaphore(FILES_AT_ONCE)
    files = random.sample(found, min(FILES, len(found)))
    outcomes = await asyncio.gather(*(_read(services, room, file) for file in files), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return len(found) > len(files)


async def _read(services: Services, room: asyncio.Semaphore, file: StoredFile) -> None:
    wanted = services.config.flag("FileSettings.ExtractContent")
    text = ""
    async with room:
        if wanted and file.extension in TEXT_TYPES and 0 < file.size <= FILE_BYTES:
            try:
                text = await _text_of(services, file)
            except (NotAPicture, Missing, AppError) as error:
                log.info("a file cannot be read for search", file_id=file.id, reason=str(error))
            except Unavailable:
                raise
            except Exception:  # a bug of ours: this file would be one of each later pass
                log.exception("a file cannot be read for search", file_id=file.id)
        while not await store.add_content(services.db, services.settings.search.language, file.id, text):
            text = text[: len(text) // 2]  # the first half of its words has room, or a half of that


async def _text_of(services: Services, file: StoredFile) -> str:
    with tempfile.NamedTemporaryFile(prefix="tidewire-", suffix="." + file.extension) as copy:
        opened = await services.files.objects.get(file.key)
        async for piece in opened.pieces:
            copy.write(piece)
        copy.flush()
        return await services.workshop.read_text(str(Path(copy.name)))
