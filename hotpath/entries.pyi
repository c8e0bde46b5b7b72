from collections.abc import Sequence

from hotpath.answers import Entries

def first_wanted(
    entries: Entries | Sequence[tuple[str, int, bytes]],
    start: int,
    lines: dict[str, object],
    heard: dict[str, int],
    head: bytes,
    before: bytes,
    to_channel: bytes,
    after: bytes,
) -> int:
    """Return the index of the first entry from `start` on that must be looked at; the number of entries if none.

    Passed over is an entry whose key of 28 bytes is in neither dict and whose envelope has these bytes: `head` first,
    the key's place, `before`, a 16-bit length and so many bytes, `to_channel`, the key's id, `after`.
    """

def index_of(entries: Entries | Sequence[tuple[str, int, bytes]], key: str, n: int) -> int:
    """Return the index of the first entry with this key and number, -1 if there is none."""
