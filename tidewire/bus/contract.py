"""What the bus promises, in words and types. Every implementation passes tests/shared/bus_contract.py.

The guarantee:

- **Order**: entries of one key arrive in the order in which they were published. Keys share nothing.
- **Numbers**: the database numbers the announcements of a key 1, 2, 3 … without holes; the bus carries the number
  beside the bytes. Duplicates are normal (republication, a new epoch); the reader drops a number it knows.
- **No loss within the retention**: a reader that is connected, or back before `bus.stream_retention_s`, gets every
  entry at least once, also when the carrier lost the end of its stream: publishers then add again what the outbox
  still holds.
- **No silent loss**: a hole shows by the number ahead. Where no later number may come, the reader is told `Lost`, after
  all repair has arrived: compare the numbers you have with the database and make the audiences that lag resync.
- **Ephemeral** copies (typing, status) have no number and no promise but order per producer.

Knows no chat rules and no carrier.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple, Protocol

from hotpath import Entries

Entry = tuple[str, int, bytes]  # ordering key, number within the key, envelope
Place = tuple[int, int]  # of an entry in its shard's stream: rising, the same for every reader of one epoch


class Events(NamedTuple):
    """Entries that were read together, and the place of each in its shard's stream.

    Each shard's stand side by side, in the order of the stream. shards: (shard, how many), in the order of the entries.
    """

    entries: Entries | list[Entry]
    shards: Sequence[tuple[int, int]]
    places: Sequence[Place]

    def parts(self) -> Iterator[tuple[int, int, int]]:
        """Go through (shard, its first entry, the one behind its last)."""
        start = 0
        for shard, count in self.shards:
            yield shard, start, start + count
            start += count


class Ephemeral(NamedTuple):
    """Copies without a number, as `envelope.encode_copy` makes them."""

    copies: list[bytes]


class Epoch(NamedTuple):
    """The shard's stream is another one now, read again from before the last entry: duplicates follow."""

    shard: int


class Lost(NamedTuple):
    """A stretch of the shard may be gone for good, and what could be repaired has been delivered."""

    shard: int


Item = Events | Ephemeral | Epoch | Lost


class Producer(Protocol):
    """Puts entries on the bus."""

    async def publish(
        self, entries: Sequence[Entry], invalidates: Sequence[str] = (), decisions: Sequence[bytes] = ()
    ) -> None:
        """Return when every entry is on the bus; before them, tell all caches to drop these keys.

        decisions: what the push worker is to decide on (envelope.encode_decision), on its queue when this returns.
        Raises: Unavailable if that is not certain; some may be there, publishing all again is harmless.
        """

    def ephemeral(self, copies: Sequence[bytes]) -> None:
        """Send encoded copies some time soon. Never blocks or raises; drops them when the bus is down or behind."""

    async def connect(self) -> bool:
        """Make sure that the bus answers. Return True if the connection is new: then repair before publishing.

        Raises: Unavailable.
        """

    async def repaired(self) -> bool:
        """Tell whether the outbox has been published again since the carrier's present epoch began.

        Raises: Unavailable.
        """

    async def holds(self, newest: Sequence[Entry]) -> bool:
        """Tell whether the bus still has these entries, the last that were published before its present epoch.

        A carrier loses its end or everything, so with these all others are there. Raises: Unavailable.
        """

    async def undecided(self) -> tuple[int, int]:
        """Return how many decisions the push worker has before it, and beyond how many the oldest are dropped.

        Raises: Unavailable.
        """

    async def set_repaired(self) -> None:
        """Note that the outbox has been published again in this epoch. Raises: Unavailable."""

    async def close(self) -> None:
        """Let go of the carrier."""


class Reader(Protocol):
    """Reads the whole bus, for one process."""

    def batches(self) -> AsyncIterator[Item]:
        """Yield what comes, for ever. While the carrier is down it waits and reconnects; it raises nothing of that."""

    async def ready(self) -> None:
        """Return once the start of every stream is fixed: what is committed from now on will be delivered."""

    @property
    def starts(self) -> list[Place]:
        """The place in each shard behind which reading began; fixed once `ready()` has returned."""

    @property
    def healthy(self) -> bool:
        """True while the carrier answered within the last 2.5 s."""

    async def close(self) -> None:
        """End `batches()`."""
