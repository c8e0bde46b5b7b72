"""Events, sets of slots and the per-receiver tail, in plain Python: the twin of hotpath/fanout.pyx."""

from collections.abc import Iterable, Iterator

from hotpath.reference.frames import TEXT, encode_head

MENTION, FOLLOW, ACK = 1, 2, 4
USER_ID_MAX = 32


class Event:
    """The bytes of one event up to the per-receiver tail: `{"event":…,"broadcast":{…},"data":{…`.

    droppable: refused by connections whose outbox is half full (typing, status and the like).
    """

    __slots__ = ("droppable", "order", "prefix", "shelf")

    def __init__(self, prefix: bytes, droppable: bool = False) -> None:
        if not isinstance(prefix, bytes):
            raise TypeError("prefix must be bytes")
        self.prefix, self.droppable = prefix, droppable
        self.order = 0                     # position on its shelf
        self.shelf: object = None          # the only one it may stand on


def encode_event(prefix: bytes, tails: int, user_id: bytes, seq: int) -> bytes:
    """Return the whole frame of an event, as the receiver with this id gets it under this seq."""
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
