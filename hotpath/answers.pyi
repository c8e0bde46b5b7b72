from collections.abc import Iterator
from typing import overload

Entry = tuple[str, int, bytes]

class Answers:
    """Cuts what comes from Redis (RESP 2) into whole answers. Each byte is looked at once."""

    def get_buffer(self, hint: int) -> memoryview:
        """Return where the next bytes may be written (`asyncio.BufferedProtocol`): valid until any other call."""
    def buffer_updated(self, size: int) -> None:
        """Take what was written there. Raises: ValueError if that is more than there was room for."""
    def feed(self, data: bytes) -> None:
        """Add what was read."""
    def next(self) -> bytes | None:
        """Return the bytes of the next whole answer, None until it is here.

        Raises: ValueError if this is no answer; nothing can be read behind it.
        """

class Entries:
    """The entries of an answer, stream by stream: (key, number, envelope), made when they are asked for.

    size_bytes: of all envelopes. Equal to a list of the same entries.
    """

    size_bytes: int
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Entry]: ...
    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def take_copies(self, count: int) -> list[bytes]:
        """Take the last entries out; return the last field of each. Raises: IndexError if there are not so many."""
    def place(self, index: int) -> tuple[int, int]:
        """Return the id of an entry, index ≥ 0: ms, number. Raises: IndexError."""

def shape_streams(raw: bytes) -> tuple[Entries, list[tuple[bytes, int, bytes, bytes]]] | None:
    """Return the entries of an XREAD answer and its streams; None for every other answer.

    Each stream is (name, how many of the entries, in order, are its, id of the last one and its fields as sent).

    Entries have the fields k, n, e, or one field only: then key and number are "" and 0.
    """
