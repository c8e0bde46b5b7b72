"""Lines out of a file of any size, one at a time: where each ends, and which are too long. Knows no JSON.

At most one line and one piece are in memory.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

PIECE_BYTES = 1 << 20
# Of a line, that is a thread: 3 bytes × 16,383 characters × 600 replies. Mattermost's own servers read lines of 16 MiB.
LINE_BYTES = 32 << 20


class RawLine(NamedTuple):
    """A line without its end. end: where the next one begins. data: None for one that is longer than LINE_BYTES."""

    number: int
    end: int
    data: bytes | None


def read_lines(
    stream: IO[bytes], *, number: int = 0, offset: int = 0, limit: int = LINE_BYTES
) -> Iterator[RawLine]:
    """Yield the lines of a stream that stands at an offset, behind line `number`. Empty lines are counted only.

    Raises: OSError and what an archive raises when its bytes are broken.
    """
    buffer, start, long = bytearray(), 0, False
    while True:
        end = buffer.find(b"\n", start)
        if end < 0:
            if len(buffer) > limit:
                offset, long = offset + len(buffer), True
                buffer.clear()
            start = len(buffer)
            piece = stream.read(PIECE_BYTES)
            if not piece:
                break
            buffer += piece
            continue
        data: bytes | None = bytes(memoryview(buffer)[:end])
        del buffer[: end + 1]
        number, offset, start = number + 1, offset + end + 1, 0
        if long or end > limit:
            data, long = None, False
        yield RawLine(number, offset, data)
    if buffer or long:
        yield RawLine(number + 1, offset + len(buffer), None if long else bytes(buffer))


def digest_of(path: Path, progress: Callable[[int], None]) -> bytes:
    """Return the SHA-256 of a file; by it an import is known again. Raises: OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
            progress(len(piece))
    return found.digest()
