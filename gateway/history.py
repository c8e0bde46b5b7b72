"""What was read from the bus in the last seconds, and how far this process is: where a moved connection goes on.

Kept as the reader's batches, so that an event costs nothing here. Knows places in streams; order and audiences are the
relay's and the hub's.
"""

from collections import deque
from collections.abc import Sequence

from hotpath import Entries, index_of
from tidewire.bus.contract import Entry, Events, Place

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
        self.after: Place = (0, 0)  # everything behind this place is in `stretches`
        self.position: Place = (0, 0)  # everything up to it has been applied, and what `stretches` say
        self.stretches: deque[Stretch] = deque()

    def reached(self) -> Place:
        """Return the place through which everything has been applied."""
        for stretch in reversed(self.stretches):
            if stretch.done:
                return stretch.events.places[stretch.done - 1]
        return self.position


class History:
    """The last seconds of every shard's stream."""

    def __init__(self, shards: int) -> None:
        self._shards = [_Shard() for _ in range(shards)]
        self._order: deque[Stretch] = deque()  # of all shards, oldest first
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
        order, stretch = self._order, Stretch(events, now)
        self._bytes += stretch.bytes
        while order and (order[0].at < now - KEEP_S or self._bytes > LIMIT_BYTES):
            gone = order.popleft()
            shard = self._shards[gone.events.shard]
            shard.stretches.popleft()
            shard.position = gone.events.places[-1]
            shard.after = max(shard.after, shard.position)
            self._bytes -= gone.bytes
        self._shards[events.shard].stretches.append(stretch)
        order.append(stretch)
        return stretch

    def restart(self, number: int) -> None:
        """Take note that a stream is read again from before: nothing up to where we were can be told apart."""
        shard = self._shards[number]
        shard.after = max(shard.after, shard.reached())
        self._bytes -= sum(stretch.bytes for stretch in shard.stretches)
        self._order = deque(stretch for stretch in self._order if stretch.events.shard != number)
        shard.stretches.clear()
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
            for stretch in shard.stretches:
                if stretch.done and stretch.events.places[stretch.done - 1] > place:
                    both = zip(stretch.events.places[: stretch.done], stretch.events.entries, strict=False)
                    found += [entry for at, entry in both if at > place]
        return found

    def had(self, key: str, n: int, positions: Sequence[Place]) -> bool:
        """Tell whether the announcement stands up to these places too: it was published twice."""
        for shard, place in zip(self._shards, positions, strict=True):
            for stretch in shard.stretches:
                first = index_of(stretch.events.entries, key, n)
                if first >= 0 and stretch.events.places[first] <= place:
                    return True
        return False
