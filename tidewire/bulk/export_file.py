"""The file that an export writes: whole or not at all, readable by its owner only. Knows nothing of what is in it.

Lines go to a plain file, or to `import.jsonl` in a zip that has what they name beside it.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from tidewire.bulk.lines import DATA_FOLDER, JSONL_NAME

_BUFFER_BYTES = 1 << 20
_MODE = 0o600


@contextmanager
def whole_file(path: Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Give a file to write to that gets its name at the end; whatever ends it before, nothing stays.

    force: what has the name already is replaced. Raises: FileExistsError, OSError.
    """
    _check_free(path, force)
    number, name = tempfile.mkstemp(prefix=".tidewire-", suffix=".part", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(number, "w+b", buffering=_BUFFER_BYTES) as file:
            yield file
            file.flush()
            os.fsync(number)
        _check_free(path, force)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else the name may be lost with the power
    finally:
        os.close(folder)


def _check_free(path: Path, force: bool) -> None:
    if not force and os.path.lexists(path):
        raise FileExistsError(f"{path} is there already")


class Archive:
    """A zip that is being written, member by member. Each name stands in it once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = ZipFile(file, "w", ZIP_STORED)
        self._time = datetime.now(UTC).timetuple()[:6]

    def _member(self, name: str, kind: int, size: int = 0) -> ZipInfo:
        info = ZipInfo(name, self._time)
        info.compress_type, info.file_size, info.external_attr = kind, size, _MODE << 16
        return info

    @contextmanager
    def lines(self) -> Iterator[Callable[[bytes], object]]:
        """Give what lines are written with; no other member can be written meanwhile."""
        info = self._member(JSONL_NAME, ZIP_DEFLATED)
        with self._zip.open(info, "w", force_zip64=True) as member:
            yield member.write

    def put(self, path: str, data: bytes) -> None:
        """Add a small file to the data folder. Pictures and the like are compressed already."""
        name = f"{DATA_FOLDER}/{path}"
        if name not in self._zip.NameToInfo:
            self._zip.writestr(self._member(name, ZIP_STORED), data)

    def has(self, path: str) -> bool:
        """Tell whether the data folder has it."""
        return f"{DATA_FOLDER}/{path}" in self._zip.NameToInfo

    async def copy(self, path: str, size: int, pieces: AsyncIterator[bytes]) -> None:
        """Add a file to the data folder, piece by piece. size: what it will be, for zips above 4 GiB."""
        info = self._member(f"{DATA_FOLDER}/{path}", ZIP_STORED, size)
        with self._zip.open(info, "w") as member:
            async for piece in pieces:
                member.write(piece)

    def close(self) -> None:
        """Write the directory."""
        self._zip.close()


class Spool:
    """Texts that are kept on disk until they are wanted, in their order. No file of that disk has a name."""

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self._file = tempfile.TemporaryFile("w+", dir=folder, encoding="utf-8", newline="\n")  # noqa: SIM115  (see close)

    def add(self, text: str) -> None:
        """Keep a text without line ends."""
        self._file.write(text + "\n")
        self.count += 1

    def texts(self) -> Iterable[str]:
        """Give all of them."""
        self._file.seek(0)
        return (line[:-1] for line in self._file)

    def close(self) -> None:
        """Forget them."""
        self._file.close()
