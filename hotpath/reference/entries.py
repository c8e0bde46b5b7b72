"""Plain twin of hotpath/entries.pyx. See there."""

from collections.abc import Mapping

_KEY_END = 30
_KEY_SIZE = 28


def first_wanted(
    entries: list[tuple[str, int, bytes]],
    start: int,
    lines: Mapping[str, object],
    heard: Mapping[str, int],
    head: bytes,
    before: bytes,
    to_channel: bytes,
    after: bytes,
) -> int:
    """Return the index of the first entry from `start` on that must be looked at; the number of entries if none."""
    for index in range(max(start, 0), len(entries)):
        key, _, data = entries[index]
        name, at = key.encode(), _KEY_END + len(before) + 2
        at += int.from_bytes(data[at - 2 : at])
        behind = to_channel + name[2:] + after
        if key in lines or key in heard or len(name) != _KEY_SIZE or not data.startswith(head):
            return index
        if data[_KEY_END : _KEY_END + len(before)] != before or data[at : at + len(behind)] != behind:
            return index
    return len(entries)


def index_of(entries: list[tuple[str, int, bytes]], key: str, n: int) -> int:
    """Return the index of the first entry with this key and number, -1 if there is none."""
    return next((index for index, entry in enumerate(entries) if entry[:2] == (key, n)), -1)
