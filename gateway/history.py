"""What was read from the bus in the last seconds, and how far this process is: where a moved connection goes on.

Kept as the reader's batches, so that an event costs nothing here. Knows places in streams; order and audiences are the
relay's and the hub's.
"""

from collections import deque
from collections.abc import Sequence

from hotpath import Entries, index_of
from tidewire.bus.contract import Entry, Events, Place
from tidewire.bus.envelope import shard_of

# A connection moves within a fraction of a second; what is older belongs to a process that was frozen.
KEEP_S = 5.0
LIMIT_BYTES = 16 << 20  # 2 s at 5,000 events/s of 1.5 KB


class Stretch:
    """A batch. done: how many of its entries have been applied; all, once another batch is here."""

    __slots__ = ("at", "bytes", "done", "events")

    def __init__(self, events: Events, at: float) -> None:
        self.events = events
        self.at = at
        entries = events.entries
        self.bytes = (
            entries.size_bytes if isinstance(entries, Entries) else sum([len(data) for _, _, data in entries])
        )
        self.done = 0


class _Shard:
    def __init__(self) -> None:
        self.after: Place = (0, 0)  # everything behind this place is in `parts`
        self.position: Place = (0, 0)  # everything up to it has been applied, and what `parts` say
        self.parts: deque[tuple[Stretch, int, int]] = deque()  # its entries in a batch: the first, behind the last

    def reached(self) -> Place:
        """Return the place through which everything has been applied."""
        for stretch, start, end in reversed(self.parts):
            if stretch.done > start:
                return stretch.events.places[min(stretch.done, end) - 1]
        return self.position

    def drop(self, gone: Stretch) -> None:
        """Forget what it has in the oldest batch."""
        if self.parts and self.parts[0][0] is gone:
            self.position = gone.events.places[self.parts.popleft()[2] - 1]
            self.after = max(self.after, self.position)


class History:
    """The last seconds of every shard's stream."""

    def __init__(self, shards: int) -> None:
        self._shards = [_Shard() for _ in range(shards)]
        self._stretches: deque[Stretch] = deque()
        self._bytes = 0
        self._begun = False

    def begin(self, starts: Sequence[Place]) -> None:
        """Take note where reading begins; only the first call counts."""
        if self._begun:
            return
        self._begun = True
        for shard, start in zip(self._shards, starts, strict=True):
            shard.after = shard.position = start

    def add(self, events: Events, now: float) -> Stretch:
        """Keep a batch that is about to be applied; the caller counts on in its `done`."""
        stretches, stretch = self._stretches, Stretch(events, now)
        self._bytes += stretch.bytes
        while stretches and (stretches[0].at < now - KEEP_S or self._bytes > LIMIT_BYTES):
            gone = stretches.popleft()
            for shard, _ in gone.events.shards:
                self._shards[shard].drop(gone)
            self._bytes -= gone.bytes
        stretches.append(stretch)
        start = 0
        for shard, count in events.shards:
            self._shards[shard].parts.append((stretch, start, start + count))
            start += count
        return stretch

    def restart(self, number: int) -> None:
        """Take note that a stream is read again from before: nothing up to where we were can be told apart."""
        shard = self._shards[number]
        shard.after = max(shard.after, shard.reached())
        shard.parts.clear()
        shard.position = (0, 0)

    def positions(self) -> list[Place]:
        """Return how far each shard has been applied."""
        return [shard.reached() for shard in self._shards]

    def reached(self, positions: Sequence[Place]) -> bool:
        """Tell whether everything up to these places has been applied here."""
        return all(shard.reached() >= place for shard, place in zip(self._shards, positions, strict=True))

    def since(self, positions: Sequence[Place]) -> list[Entry] | None:
        """Return what has been applied here behind these places, in order; None if that is not all here."""
        found: list[Entry] = []
        for shard, place in zip(self._shards, positions, strict=True):
            if place < shard.after:
                return None
            for stretch, start, end in shard.parts:
                entries, places = stretch.events.entries, stretch.events.places
                end = min(end, stretch.done)
                if end > start and places[end - 1] > place:
                    found += [entries[at] for at in range(start, end) if places[at] > place]
        return found

    def had(self, key: str, n: int, positions: Sequence[Place]) -> bool:
        """Tell whether the announcement stands up to these places too: it was published twice."""
        number = shard_of(key, len(self._shards))
        for stretch, _, _ in self._shards[number].parts:
            first = index_of(stretch.events.entries, key, n)
            if first >= 0 and stretch.events.places[first] <= positions[number]:
                return True
        return False
