"""A file that is being received: written and hashed by a thread, locked by its writer, so that others can tell.

Whoever dies leaves a file that nobody has locked; `sweep` finds it. Nothing in here knows what the file is.
"""

import asyncio
import fcntl
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType

import structlog

from tidewire.wire.errors import Unavailable

# Handed to the thread at once: a call costs some 80 µs, 1 MiB some 2 ms. Two such pieces are in memory at most.
FLUSH_BYTES = 1 << 20
HEAD_BYTES = 512  # enough to tell what a file is
_log = structlog.get_logger("files")


class Incoming:
    """`async with Incoming(directory) as file`: gone at the end, unless it was moved.

    Everything raises Unavailable for a full disk.

    path, size: where and how long it is; head: its first bytes; digest: SHA-256 of all that was written.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self._file, self.path = _open_locked(directory)
        except OSError as error:
            raise Unavailable("files") from error
        self._hash = sha256()
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._job: asyncio.Future[None] | None = None
        self.size = 0
        self.head = b""

    async def write(self, piece: bytes) -> None:
        """Append a piece."""
        if len(self.head) < HEAD_BYTES:
            self.head = (self.head + piece)[:HEAD_BYTES]
        self.size += len(piece)
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= FLUSH_BYTES:
            await self._flush()

    async def finish(self) -> None:
        """Wait until all of it is in the file."""
        await self._flush()
        await self._settle()

    async def _flush(self) -> None:
        await self._settle()
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        self._job = asyncio.get_running_loop().run_in_executor(None, self._store, pieces)

    async def _settle(self) -> None:
        if self._job is not None:
            job, self._job = self._job, None
            try:
                await job
            except OSError as error:
                raise Unavailable("files") from error

    def _store(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._file.write(piece)
            self._hash.update(piece)
        self._file.flush()

    @property
    def digest(self) -> bytes:
        """SHA-256; true after finish()."""
        return self._hash.digest()

    async def __aenter__(self) -> "Incoming":
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget it, wherever it is."""
        if self._job is not None:
            await asyncio.wait([self._job])  # the thread must not write to a closed file
            self._job = None
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # on a full disk the buffer is tried once more, and nobody wants it
            self._file.close()


def _open_locked(directory: Path) -> tuple["tempfile._TemporaryFileWrapper[bytes]", Path]:
    while True:
        file = tempfile.NamedTemporaryFile(dir=directory, delete=False)  # noqa: SIM115  (closed by its owner)
        fcntl.flock(file, fcntl.LOCK_EX)
        # A sweep may have found it before it was locked.
        if os.fstat(file.fileno()).st_nlink:
            return file, Path(file.name)
        file.close()


def sweep(directory: Path) -> int:
    """Delete files that nobody is receiving any more; return how many. Blocks for the time of a directory listing."""
    swept = 0
    for path in directory.iterdir():
        try:
            with path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                swept += 1
        except (BlockingIOError, FileNotFoundError):
            continue  # somebody's, or moved or swept meanwhile
        except OSError as error:  # what it is, we have not put it there: the others are not to stay for it
            _log.warning("a file cannot be swept", name=path.name, reason=error.strerror)
    return swept
