"""The fan-out: one event into many outboxes."""

from collections.abc import Iterable, Iterator

class Event:
    """The bytes of one event up to the per-receiver tail: `{"event":…,"broadcast":{…},"data":{…`.

    They are copied once and shared by all receivers. droppable: refused, before it gets a seq, by connections whose
    outbox is half full and by those without a socket (typing, status and the like). personal: a NUL stands for the
    receiver's own id, so that one event tells many users of themselves; at most 512 bytes with 8 NULs.
    """

    def __init__(self, prefix: bytes, droppable: bool = False, personal: bool = False) -> None:
        """Raises: ValueError if it is too large."""
    @property
    def prefix(self) -> bytes: ...
    @property
    def droppable(self) -> bool: ...

class SlotSet:
    """A set of slot numbers as a compact array: 4 bytes a member, about 12 once it has more than 128.

    add, discard and `in` are O(1). Iteration gives a snapshot; discard moves the last member into the gap.
    """

    def __init__(self, slots: Iterable[int] = ()) -> None: ...
    def add(self, slot: int) -> None:
        """Add a slot; nothing happens if it is there."""
    def discard(self, slot: int) -> None:
        """Remove a slot; nothing happens if it isn't there."""
    def __contains__(self, slot: int) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...

def encode_event(prefix: bytes, tails: int, user_id: bytes, seq: int, *, deflate: bool = False) -> bytes:
    """Return the whole frame of an event, as the receiver with this id gets it under this seq. tails: MENTION,
    FOLLOW, ACK; deflate: the receiver takes compressed messages."""
