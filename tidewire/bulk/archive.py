"""What an import is read from: a file of lines with a folder beside it, or a zip with both. Input is hostile.

A zip is looked through before anything of it is used: how many entries, how large, packed how tightly, named how, and
whether they overlap. Nothing is unpacked: lines and files are read out of it as streams. Paths in lines name files of
the data folder only, whatever they say.
"""

import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from tidewire.bulk.lines import DATA_FOLDER

# Each entry costs some 1 KB of memory. Who has more files unpacks them and names the folder.
ENTRIES_MAX = 1_000_000
DIRECTORY_BYTES_MAX = 256 << 20  # of the list of entries
PATH_BYTES_MAX = 1024
# Lines of JSON shrink 10 to 30 times, deflate's limit is 1,032. Small entries may be anything.
RATIO_MAX, RATIO_FREE_BYTES = 200, 16 << 20
TOTAL_RATIO_MAX = 100  # all entries together to the archive
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LOCAL_HEADER_BYTES = 30


class BadArchive(Exception):
    """This cannot be imported; the message says why."""


class NoFile(Exception):
    """A path names no file that may be read; the message says why."""


class Source(Protocol):
    """What an import is read from."""

    lines_bytes: int

    def open_lines(self, offset: int) -> IO[bytes]:
        """Return the lines from an offset on. Raises: OSError, BadArchive."""

    def open_file(self, path: str) -> "OpenedFile":
        """Return a file of the data folder. Raises: NoFile."""

    def close(self) -> None:
        """Let go of what is open."""


class OpenedFile:
    """A file of the data folder: its name (as the path ends), its size, its bytes as a stream."""

    def __init__(self, name: str, size: int, stream: IO[bytes]) -> None:
        self.name, self.size, self.stream = name, size, stream

    def __enter__(self) -> "OpenedFile":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.stream.close()


def clean_path(path: str) -> PurePosixPath:
    """Return a relative path that stays below where it begins. Raises: NoFile."""
    if not path or len(path.encode("utf-8", "replace")) > PATH_BYTES_MAX:
        raise NoFile("the path is empty or too long")
    if "\0" in path or "\\" in path or ":" in path.partition("/")[0]:
        raise NoFile("the path is not a relative one")
    found = PurePosixPath(path)
    if found.is_absolute() or ".." in found.parts or not found.parts:
        raise NoFile("the path is not a relative one")
    return found


class FolderSource:
    """A file of lines, and the folder that paths in them begin in; None: there are no files."""

    def __init__(self, lines: Path, data: Path | None) -> None:
        self._lines = lines
        self._data = data.resolve() if data is not None else None
        self.lines_bytes = lines.stat().st_size

    def open_lines(self, offset: int) -> IO[bytes]:
        """Return the lines from an offset on. Raises: OSError."""
        stream = self._lines.open("rb")
        stream.seek(offset)
        return stream

    def open_file(self, path: str) -> OpenedFile:
        """Return a file of the folder. Links that lead out of it, and what is no plain file, are refused."""
        wanted = clean_path(path)
        if self._data is None:
            raise NoFile("no folder of attachments was named")
        try:
            opened = self._open(self._data, wanted)
        except NoFile:
            if wanted.parts[0] != DATA_FOLDER:
                raise
            opened = self._open(self._data, wanted.relative_to(DATA_FOLDER))  # some converters name the folder too
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            os.close(opened)
            raise NoFile("it is no plain file")
        return OpenedFile(wanted.name, found.st_size, os.fdopen(opened, "rb"))

    @staticmethod
    def _open(folder: Path, wanted: PurePosixPath) -> int:
        try:
            real = (folder / wanted).resolve(strict=True)
            if not real.is_relative_to(folder):
                raise NoFile("the path leads out of the folder")
            return os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, RuntimeError) as error:
            raise NoFile("there is no such file") from error

    def close(self) -> None:
        """Nothing is open."""


class ZipSource:
    """A zip with one file of lines at its root, and files in `data/` or beside it."""

    def __init__(self, path: Path) -> None:
        """Check the whole archive. Raises: BadArchive, OSError."""
        _check_directory(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (
            zipfile.BadZipFile,
            ValueError,
            NotImplementedError,
            UnicodeDecodeError,
            struct.error,
        ) as error:
            raise BadArchive(f"this is no zip that can be read: {error}") from error
        try:
            self._entries = _checked(self._zip.infolist(), path.stat().st_size)
            roots = [name for name in self._entries if "/" not in name and name.endswith(".jsonl")]
            if len(roots) != 1:
                raise BadArchive(
                    f"there must be one .jsonl at the root of the archive, there are {len(roots)}"
                )
        except BaseException:
            self._zip.close()
            raise
        self._lines = self._entries[roots[0]]
        self.lines_bytes = self._lines.file_size

    def open_lines(self, offset: int) -> IO[bytes]:
        """Return the lines from an offset on; what is before it is unpacked and dropped. Raises: BadArchive."""
        with _reading():
            stream = self._zip.open(self._lines)
            stream.seek(offset)
        return stream

    def open_file(self, path: str) -> OpenedFile:
        """Return a file of the archive."""
        wanted = clean_path(path)
        found = self._entries.get(f"{DATA_FOLDER}/{wanted}") or self._entries.get(str(wanted))
        if found is None or found.is_dir() or found is self._lines:
            raise NoFile("there is no such file")
        try:
            with _reading():
                return OpenedFile(wanted.name, found.file_size, self._zip.open(found))
        except BadArchive as error:
            raise NoFile(str(error)) from error

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError) as error:
        raise BadArchive(f"the archive is broken: {error}") from error


def open_source(path: Path, data: Path | None) -> Source:
    """Return what a file holds, by its first bytes. data: folder of attachments; default: `data` beside the file.

    Raises: BadArchive, OSError.
    """
    with path.open("rb") as file:
        is_zip = file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    if is_zip:
        return ZipSource(path)
    if path.suffix == ".zip":
        raise BadArchive("this is no zip")
    beside = path.parent / DATA_FOLDER
    return FolderSource(path, data if data is not None else beside if beside.is_dir() else None)


def _check_directory(path: Path) -> None:
    """Count entries before a list of them is made. Raises: BadArchive.

    PKWARE's APPNOTE 4.3.14 to 4.3.16: the end record has the number of entries at 10 and the bytes of their list at 12;
    where these are all ones, the zip64 record, found by its locator before it, has them at 32 and 40.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 16) - 22 - 20))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < 22:
            raise BadArchive("the archive has no end; was it cut off?")
        entries, directory = struct.unpack_from("<HI", tail, at + 10)
        if entries == 0xFFFF or directory == 0xFFFFFFFF:
            locator = at - 20
            if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
                (record,) = struct.unpack_from("<Q", tail, locator + 8)
                if record > size:
                    raise BadArchive("the archive's end is broken")
                file.seek(record)
                head = file.read(56)
                if len(head) < 56 or head[:4] != b"PK\x06\x06":
                    raise BadArchive("the archive's end is broken")
                entries, directory = struct.unpack_from("<QQ", head, 32)
    if entries > ENTRIES_MAX or directory > DIRECTORY_BYTES_MAX:
        raise BadArchive(f"the archive has {entries:,} entries; {ENTRIES_MAX:,} are the most")


def _checked(infos: list[zipfile.ZipInfo], archive_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by their names. Raises: BadArchive for one that is not to be trusted, whichever it is."""
    if len(infos) > ENTRIES_MAX:
        raise BadArchive(f"the archive has {len(infos):,} entries; {ENTRIES_MAX:,} are the most")
    found: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in infos:
        name = info.filename
        try:
            clean_path(name)
        except NoFile as error:
            raise BadArchive(f"entry {name[:100]!r}: {error}") from error
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadArchive(f"entry {name[:100]!r} is a link")
        if info.flag_bits & 1:
            raise BadArchive(f"entry {name[:100]!r} is encrypted")
        if info.compress_type not in _METHODS:
            raise BadArchive(f"entry {name[:100]!r} is packed in a way that is not read")
        if info.file_size > RATIO_FREE_BYTES and info.file_size > RATIO_MAX * max(1, info.compress_size):
            raise BadArchive(f"entry {name[:100]!r} grows more than {RATIO_MAX} times when it is unpacked")
        if name in found:
            raise BadArchive(f"entry {name[:100]!r} is there twice")
        found[name] = info
        total += info.file_size
    if total > RATIO_FREE_BYTES and total > TOTAL_RATIO_MAX * archive_bytes:
        raise BadArchive(f"the archive grows more than {TOTAL_RATIO_MAX} times when it is unpacked")
    end = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        if info.header_offset < end:
            raise BadArchive("entries of the archive overlap")
        end = info.header_offset + _LOCAL_HEADER_BYTES + len(info.orig_filename.encode()) + info.compress_size
    if end > archive_bytes:
        raise BadArchive("the archive is shorter than it says")
    return found
