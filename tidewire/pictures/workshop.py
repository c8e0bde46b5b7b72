"""One worker process that decodes pictures, so that a bomb costs a process and never the event loop.

One job at a time; who waits is counted. A job that takes too long is ended by the kernel's timer inside the process,
whatever C code it is in; one that does not even do that is killed from here. The next job starts a new process.
"""

import asyncio
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from typing import TypeVar

import structlog

from tidewire.pictures.emojis import make_emoji
from tidewire.pictures.previews import Previews, Small, make_previews
from tidewire.pictures.squares import NotAPicture, make_square
from tidewire.pictures.texts import CHARACTERS_MAX, read_text
from tidewire.wire.errors import Unavailable

T = TypeVar("T")
log = structlog.get_logger()

JOB_S = 5.0  # the largest JPEG allowed takes 0.4 s on a slow core
START_S = 20.0  # of a new process: 0.3 s, more while a machine starts everything at once
# Who waits for his own picture may hear 503 and try again; a file has been sent already, and lies on the disk.
WAITING_MAX, FILES_WAITING_MAX = 16, 64
FILES_OF_ONE_MAX = 16  # of one user; clients send the ten files of a post at once
_SEARCH = "search"  # among the users' lines: an id is longer
# Enough for an RGBA picture of the 33 megapixels that are allowed by default, twice, and Python.
MEMORY_BYTES = 1 << 30


def _begin() -> None:
    """Called once in the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _job(make: Callable[[str, int], T], path: str, max_pixels: int, seconds: float) -> T:
    signal.signal(
        signal.SIGALRM, signal.SIG_DFL
    )  # ends the process; a Python handler would wait for C code to return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return make(path, max_pixels)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Line:
    """What waits of one user, or of search."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting = 0


class Workshop:
    """Makes squares and previews in another process, which starts at the first job and lives until close()."""

    def __init__(self, *, job_s: float = JOB_S) -> None:
        self._job_s = job_s
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._in_line = 0  # of them, those whose turn depends on others: of each user's files one
        self._lines: dict[str, _Line] = {}
        self._pool: ProcessPoolExecutor | None = None
        self.pid = 0  # of the process, 0 while there is none

    async def make_square(self, path: str, max_pixels: int) -> bytes:
        """Return the PNG of a file's middle square.

        Raises: NotAPicture, also for what took too long or too much memory; TooManyPixels; Unavailable when too many
        wait already.
        """
        self._check_line()
        return await self._in_turn(make_square, path, max_pixels)

    async def make_previews(self, path: str, max_pixels: int, *, of: str = "") -> Previews:
        """Return the smaller pictures of a file. of: whose it is; each user has one place in the line.

        Raises: as make_square; Unavailable also when too many of this user wait.
        """
        self._check_files(of)
        return await self._in_turn(make_previews, path, max_pixels, of)

    async def read_text(self, path: str) -> str:
        """Return what a file says, for search, which has one place in the line. Raises: as make_square."""
        self._check_files()
        return await self._in_turn(read_text, path, CHARACTERS_MAX, _SEARCH)

    async def make_emoji(self, path: str, max_pixels: int) -> Small:
        """Return the emoji of a file. Raises: as make_square."""
        self._check_line()
        return await self._in_turn(make_emoji, path, max_pixels)

    def _check_line(self) -> None:
        if self._in_line >= WAITING_MAX:
            raise Unavailable("pictures")

    def _check_files(self, of: str = "") -> None:
        line = self._lines.get(of) if of else None
        if self._waiting >= FILES_WAITING_MAX or (line is not None and line.waiting >= FILES_OF_ONE_MAX):
            raise Unavailable("pictures")

    async def _in_turn(self, make: Callable[[str, int], T], path: str, max_pixels: int, of: str = "") -> T:
        line = self._lines.setdefault(of, _Line())
        self._waiting += 1
        line.waiting += 1
        try:
            # One's own first: sixteen bombs of one user take a turn each, and others' pictures come between them.
            async with line.turn if of else nullcontext():
                self._in_line += 1
                try:
                    async with self._turn:
                        return await self._run(make, path, max_pixels)
                finally:
                    self._in_line -= 1
        finally:
            self._waiting -= 1
            line.waiting -= 1
            if not line.waiting:
                del self._lines[of]

    async def _run(self, make: Callable[[str, int], T], path: str, max_pixels: int) -> T:
        loop = asyncio.get_running_loop()
        try:
            pool = await self._open()
            async with asyncio.timeout(self._job_s + 1):
                return await loop.run_in_executor(pool, _job, make, path, max_pixels, self._job_s)
        except (BrokenProcessPool, TimeoutError) as error:
            log.warning("picture worker ended", reason=type(error).__name__)
            self.close()
            raise NotAPicture("too much work") from error
        except asyncio.CancelledError:
            self.close()  # the job would go on in the next one's time
            raise

    async def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not fork: this process has threads of Granian's, and locks that they may hold.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin)
            async with asyncio.timeout(START_S):
                self.pid = await asyncio.get_running_loop().run_in_executor(self._pool, os.getpid)
        return self._pool

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._pool is None:
            return
        pool, pid = self._pool, self.pid
        self._pool, self.pid = None, 0
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended already
        pool.shutdown(wait=False, cancel_futures=True)
