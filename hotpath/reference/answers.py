"""Plain twin of hotpath/answers.pyx. See there."""

import re
from typing import Any

_LINE = re.compile(rb"-?[0-9]{1,18}\r\n")
_PLACE = re.compile(rb"([0-9]{1,18})-([0-9]{1,18})")
BULK_MAX, ARRAY_MAX = 1 << 29, 1 << 24


class _Partial(Exception):
    """The rest has not come yet."""


def _value(data: bytes, at: int) -> tuple[Any, int]:
    """Return the value that begins there and where it ends. Raises: _Partial, ValueError."""
    kind, line = data[at : at + 1], data.find(b"\n", at)
    if not kind or line < 0:
        raise _Partial
    if kind in b"+-:":
        return data[at : line + 1], line + 1
    head = _LINE.match(data, at + 1)
    if kind not in b"$*" or head is None or head.end() != line + 1:
        raise ValueError("not an answer of Redis")
    n, at = int(head[0]), line + 1
    if n > (BULK_MAX if kind == b"$" else ARRAY_MAX):
        raise ValueError("not an answer of Redis")
    if n < 0:
        return None, at
    if kind == b"$":
        if len(data) < at + n + 2:
            raise _Partial
        return data[at : at + n], at + n + 2
    members = []
    for _ in range(n):
        member, at = _value(data, at)
        members.append(member)
    return members, at


class Answers:
    """Cuts what comes from Redis (RESP 2) into whole answers."""

    def __init__(self) -> None:
        self._data = b""
        self._room = bytearray()

    def get_buffer(self, hint: int) -> memoryview:
        """Return where the next bytes may be written."""
        self._room = bytearray(max(hint, 65536))
        return memoryview(self._room)

    def buffer_updated(self, size: int) -> None:
        """Take what was written there."""
        if size > len(self._room):
            raise ValueError("more than the buffer holds")
        self.feed(bytes(self._room[:size]))

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._data += data

    def next(self) -> bytes | None:
        """Return the bytes of the next whole answer, None until it is here."""
        try:
            _, end = _value(self._data, 0)
        except _Partial:
            return None
        whole, self._data = self._data[:end], self._data[end:]
        return whole


class Entries(list[tuple[str, int, bytes]]):
    """The entries of an answer, stream by stream."""

    def __init__(self, entries: list[tuple[str, int, bytes]], places: list[tuple[int, int]]) -> None:
        super().__init__(entries)
        self._places = places
        self.size_bytes = sum(len(data) for _, _, data in entries)

    def take_copies(self, count: int) -> list[bytes]:
        """Take the last entries out; return the last field of each."""
        first = len(self) - count
        if not 0 <= first <= len(self):
            raise IndexError("not so many entries")
        copies = [data for _, _, data in self[first:]]
        self.size_bytes -= sum(map(len, copies))
        del self[first:], self._places[first:]
        return copies

    def place(self, index: int) -> tuple[int, int]:
        """Return the id of an entry."""
        if index < 0:
            raise IndexError("no such entry")
        return self._places[index]


Stream = tuple[bytes, int, bytes, bytes]


def shape_streams(raw: bytes) -> tuple[Entries, list[Stream]] | None:
    """Return the entries of an XREAD answer and (name, number of entries, last id, last fields) of its streams."""
    try:
        answer, end = _value(raw, 0)
    except (_Partial, ValueError):
        return None
    if end != len(raw) or not isinstance(answer, list) or not answer:
        return None
    entries: list[tuple[str, int, bytes]] = []
    places: list[tuple[int, int]] = []
    found = [_stream(stream, entries, places) for stream in answer]
    whole = [stream for stream in found if stream is not None]
    return (Entries(entries, places), whole) if len(whole) == len(found) else None


def _stream(
    stream: object, entries: list[tuple[str, int, bytes]], places: list[tuple[int, int]]
) -> Stream | None:
    match stream:
        case [bytes() as name, [_, *_] as raw]:
            last, packed = b"", b""
            for one in raw:
                match one:
                    case [bytes() as last, [bytes(), bytes() as copy]]:
                        entries.append(("", 0, copy))
                    case [bytes() as last, [bytes(), bytes() as key, bytes(), bytes() as n, bytes(), bytes() as data]]:
                        if not key.isascii() or not _LINE.fullmatch(n + b"\r\n"):
                            return None
                        entries.append((key.decode(), int(n), data))
                    case _:
                        return None
                place = _PLACE.fullmatch(last)
                if place is None:
                    return None
                places.append((int(place[1]), int(place[2])))
                packed = _pack([field for field in one[1] if isinstance(field, bytes)])
            return name, len(raw), last, packed
    return None


def _pack(fields: list[bytes]) -> bytes:
    """Return the array as Redis writes it."""
    return b"*%d\r\n" % len(fields) + b"".join([b"$%d\r\n%s\r\n" % (len(field), field) for field in fields])
