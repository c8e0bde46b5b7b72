"""Events, sets of slots and the per-receiver tail, in plain Python: the twin of hotpath/fanout.pyx."""

from collections.abc import Iterable, Iterator

from hotpath.deflate import PACK_FROM_BYTES, end_of, pack
from hotpath.reference.frames import RSV1, TEXT, encode_head

MENTION, FOLLOW, ACK = 1, 2, 4
USER_ID_MAX = 26
PERSONAL_MAX, BLANKS_MAX = 512, 8  # bytes of a personal event, ids to be filled in


class Event:
    """The bytes of one event up to the per-receiver tail: `{"event":…,"broadcast":{…},"data":{…`.

    droppable: refused by connections whose outbox is half full (typing, status and the like). personal: a NUL stands
    for the receiver's own id.
    """

    __slots__ = ("droppable", "order", "packed", "packed_tried", "personal", "prefix", "shelf")

    def __init__(self, prefix: bytes, droppable: bool = False, personal: bool = False) -> None:
        if not isinstance(prefix, bytes):
            raise TypeError("prefix must be bytes")
        self.personal = personal and b"\0" in prefix
        if self.personal and (len(prefix) > PERSONAL_MAX or prefix.count(b"\0") > BLANKS_MAX):
            raise ValueError("event too large")
        self.prefix, self.droppable = prefix, droppable
        self.order = 0                     # position on its shelf
        self.shelf: object = None          # the only one it may stand on
        self.packed: bytes | None = None   # compressed once, when the first connection wants it so
        self.packed_tried = self.personal  # each receiver's has other bytes

    def body_for(self, user_id: bytes) -> bytes:
        """Return the prefix as this user gets it."""
        return self.prefix.replace(b"\0", user_id) if self.personal else self.prefix

    def pack(self) -> bytes | None:
        """Return the compressed form, None if there is none; found out once."""
        if not self.packed_tried:
            self.packed_tried = True
            self.packed = pack(self.prefix) if len(self.prefix) >= PACK_FROM_BYTES else None
        return self.packed


def encode_event(prefix: bytes, tails: int, user_id: bytes, seq: int, *, deflate: bool = False) -> bytes:
    """Return the whole frame of an event, as the receiver with this id gets it under this seq."""
    return encode_frame_of(prefix, Event(prefix).pack() if deflate else None, tails, user_id, seq)


def encode_frame_of(prefix: bytes, packed: bytes | None, tails: int, user_id: bytes, seq: int) -> bytes:
    """As encode_event, with the compressed form of the prefix if the frame shall be so."""
    if len(user_id) > USER_ID_MAX:
        raise ValueError("user id too long")
    tail = b""
    if tails & MENTION:
        tail += b',"mentions":"[\\"' + user_id + b'\\"]"'
    if tails & FOLLOW:
        tail += b',"followers":"[\\"' + user_id + b'\\"]"'
    if tails & ACK:
        tail += b',"should_ack":true'
    tail += b'},"seq":' + str(seq).encode() + b"}"
    if packed is not None:
        tail = end_of(tail)
        return encode_head(RSV1 | TEXT, len(packed) + len(tail)) + packed + tail
    return encode_head(TEXT, len(prefix) + len(tail)) + prefix + tail


class SlotSet:
    """A set of slot numbers; iteration gives a snapshot, discard moves the last member into the gap."""

    def __init__(self, slots: Iterable[int] = ()) -> None:
        self._items: list[int] = []
        self._at: dict[int, int] = {}
        for slot in slots:
            self.add(slot)

    def add(self, slot: int) -> None:
        """Add a slot; nothing happens if it is there."""
        if slot not in self._at:
            self._at[slot] = len(self._items)
            self._items.append(slot)

    def discard(self, slot: int) -> None:
        """Remove a slot; nothing happens if it isn't there."""
        if slot in self._at:
            at, last = self._at.pop(slot), self._items.pop()
            if last != slot:
                self._items[at] = last
                self._at[last] = at

    def __contains__(self, slot: int) -> bool:
        return slot in self._at

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._items))
