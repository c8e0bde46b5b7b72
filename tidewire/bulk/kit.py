"""What the parts of an import share: the database, the configuration, where files go, known names, the report."""

import hashlib
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from tidewire.actions.config import Config
from tidewire.actions.file_store import FileStore
from tidewire.bulk.archive import Source
from tidewire.bulk.lines import Shape
from tidewire.bulk.names import Names
from tidewire.bulk.report import Report
from tidewire.pictures.workshop import Workshop
from tidewire.store.db import Database, Transaction
from tidewire.wire.ids import ALPHABET, first_id

S = TypeVar("S", bound=Shape, covariant=True)
# No clock is more than a day ahead. What is later would hide the channel's next posts.
AHEAD_MS = 86_400_000


class Kit(Struct):
    """at: when the import was begun, ms; a resumed one has the same. language: of the full text. dry: write nothing."""

    db: Database
    config: Config
    files: FileStore
    workshop: Workshop
    source: Source
    names: Names
    report: Report
    digest: bytes
    at: int
    language: str
    dry: bool = False

    def good_time(self, at: int | None) -> bool:
        """Tell whether a time may stand in a row."""
        return at is not None and 0 < at <= self.at + AHEAD_MS

    def stable_id(self, at_ms: int, line: int, place: int) -> str:
        """Return the id of a thing in the file: the same one each time, in the order of times, lines and places."""
        own = hashlib.sha256(self.digest + b"%d/%d" % (line, place)).digest()
        return (
            first_id(at_ms)[:10]
            + _letters(line, 7)
            + _letters(place, 4)
            + "".join(ALPHABET[b & 31] for b in own[:5])
        )


    def made(self, thing_id: str, at_ms: int) -> bool:
        """Tell whether an id was given by this very file, by whichever of its lines."""
        try:
            line, place = (_number(thing_id[start:end]) for start, end in ((10, 17), (17, 21)))
        except ValueError:
            return False
        return self.stable_id(at_ms, line, place) == thing_id


def _number(letters: str) -> int:
    """Return what _letters() was given. Raises: ValueError."""
    number = 0
    for letter in letters:
        number = number << 5 | ALPHABET.index(letter)
    return number


def _letters(number: int, length: int) -> str:
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (length - 1), -1, -5))


class Item(NamedTuple, Generic[S]):
    """A line that was decoded."""

    line: int
    value: S


class Batch(Protocol):
    """Lines of one kind that go into the database together."""

    async def prepare(self) -> None:
        """Find names, decide what is to be written, note in the report what cannot be. Writes no rows."""

    async def write(self, tx: Transaction) -> set[str]:
        """Write it; return the channels whose read states are to be counted again."""

    async def close(self) -> None:
        """Called in any case. What was stored but not written about is let go."""


MakeBatch = Callable[[Kit, list[Item[Shape]]], Batch]
