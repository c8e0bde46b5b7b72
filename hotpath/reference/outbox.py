"""What waits for one connection and what is kept for a resume, in plain Python: the twin of hotpath/outbox.pyx.

It counts the bytes that the compiled one would allocate for events and ring entries, without the overheads.
"""

from collections.abc import Iterator

from hotpath.reference.fanout import Event, encode_frame_of

ENTRY_BYTES = 8
SCRATCH, MARKS = 262144, 512  # bytes and frames carried by one system call at most


def _size(event: Event) -> int:
    return len(event.prefix) + len(event.packed or b"")


class Shelf:
    """All events that rings refer to, oldest first, with the number of references."""

    def __init__(self) -> None:
        self.references: dict[Event, int] = {}
        self.order = self.bytes = self.ring_bytes = self.evicted = 0

    def take(self, event: Event) -> None:
        """One ring more refers to the event."""
        if event not in self.references:
            event.shelf, event.order = self, self.order
            self.order += 1
            self.bytes += _size(event)
        self.references[event] = self.references.get(event, 0) + 1
        self.bytes += ENTRY_BYTES
        self.ring_bytes += ENTRY_BYTES

    def pack(self, event: Event) -> bool:
        """See to the compressed form of an event; return whether there is one."""
        before = _size(event)
        packed = event.pack() is not None
        if event in self.references:
            self.bytes += _size(event) - before
        return packed

    def give(self, event: Event) -> None:
        """One ring less."""
        self.bytes -= ENTRY_BYTES
        self.ring_bytes -= ENTRY_BYTES
        self.references[event] -= 1
        if not self.references[event]:
            del self.references[event]
            self.bytes -= _size(event)

    def floor(self, goal: int) -> int:
        """Return the order below which everything must go for `bytes` to come down to the goal."""
        left = self.bytes
        for event, rings in self.references.items():
            if left <= goal:
                return event.order
            left -= _size(event) + rings * ENTRY_BYTES
        return self.order


class Outbox:
    """base <= cursor <= next: [base, cursor) is sent and kept for resume; [cursor, next) waits."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        # Events base … next - 1, their tails, and whether each goes out compressed where that was agreed on.
        self.ring: list[tuple[Event, int, bool]] = []
        self.deflate = False                       # agreed on; as long as the socket lives
        self.notes: list[tuple[int, bytes]] = []   # (goes out before the event of this seq, bytes)
        self.base = self.cursor = self.next = 0
        self.sent = 0                              # bytes of the first waiting frame that are already out

    @property
    def waiting(self) -> int:
        """Frames that wait, the one that is partly out included."""
        return self.next - self.cursor + len(self.notes)

    def _drop_oldest(self) -> None:
        self.shelf.give(self.ring.pop(0)[0])
        self.base += 1

    def push(self, event: Event, tails: int, retain: int) -> None:
        """Append an event; it gets the seq `next`. Of the sent ones the last `retain` - 1 stay."""
        while self.base < self.cursor and self.next - self.base >= retain:
            self._drop_oldest()
        packed = self.deflate and self.shelf.pack(event)
        self.shelf.take(event)
        self.ring.append((event, tails, packed))
        self.next += 1

    def trim(self, retain: int) -> None:
        """Drop sent events beyond `retain`."""
        while self.base < self.cursor and self.next - self.base > retain:
            self._drop_oldest()

    def note(self, data: bytes) -> None:
        """Append a frame without seq, after the events pushed so far."""
        self.notes.append((self.next, data))

    def _frame(self, user: bytes, seq: int) -> bytes:
        event, tails, packed = self.ring[seq - self.base]
        form = event.packed if packed and self.deflate else None
        return encode_frame_of(event.body_for(user), form, tails, user, seq)

    def _frames(self, user: bytes, notes_only: bool) -> Iterator[tuple[bool, bytes]]:
        notes, seq = list(self.notes), self.cursor
        while True:
            if notes and (notes_only or notes[0][0] <= seq):
                yield True, notes.pop(0)[1]
            elif seq < self.next and not notes_only:
                yield False, self._frame(user, seq)
                seq += 1
            else:
                return

    def fill(self, user: bytes, notes_only: bool) -> tuple[bytes, int]:
        """Return the waiting frames side by side, from where the last send ended, as one call carries them, and how
        many these are."""
        out, count = b"", 0
        for count, (_, frame) in enumerate(self._frames(user, notes_only), 1):
            out += frame
            if count == MARKS or len(out) - self.sent >= SCRATCH:
                break
        return out[self.sent:self.sent + SCRATCH], count

    def advance(self, sent: int, user: bytes, notes_only: bool) -> None:
        """Take note that `sent` bytes of fill() are out."""
        self.sent += sent
        for is_note, frame in self._frames(user, notes_only):
            if self.sent < len(frame):
                break
            self.sent -= len(frame)
            if is_note:
                self.notes.pop(0)
            else:
                self.cursor += 1

    def stash(self, user: bytes) -> None:
        """If an event is partly out, turn its frame into a note at the front, and count it as sent."""
        if self.sent and not (self.notes and self.notes[0][0] <= self.cursor):
            self.notes.insert(0, (self.cursor, self._frame(user, self.cursor)))
            self.cursor += 1

    def drop_notes(self, keep_started: bool) -> None:
        """Drop the waiting notes; keep_started: but the first one if a part of it is out."""
        self.notes = self.notes[:1] if keep_started and self.sent else []
        if not self.notes:
            self.sent = 0

    def restart(self) -> None:
        """Drop all events and begin again at seq 0; notes stay, before the next event."""
        while self.ring:
            self._drop_oldest()
        self.base = self.cursor = self.next = 0
        self.notes = [(0, data) for _, data in self.notes]

    def evict(self, floor: int) -> bool:
        """Drop the events older than the floor; tell whether one of them was still waiting."""
        lost = False
        while self.ring and self.ring[0][0].order < floor:
            if self.base == self.cursor:
                lost = True
                self.cursor += 1
            self.shelf.evicted += 1
            self._drop_oldest()
        return lost
