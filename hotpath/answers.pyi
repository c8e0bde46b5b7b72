class Answers:
    """Cuts what comes from Redis (RESP 2) into whole answers. Each byte is looked at once."""

    def feed(self, data: bytes) -> None:
        """Add what was read."""
    def next(self) -> bytes | None:
        """Return the bytes of the next whole answer, None until it is here.

        Raises: ValueError if this is no answer; nothing can be read behind it.
        """

def shape_streams(raw: bytes) -> list[tuple[bytes, list[object], list[bytes], list[bytes]]] | None:
    """Return (stream, entries, ids, fields of the last entry) for each stream of an XREAD answer.

    An entry with the fields k, n, e becomes (key, number, envelope), one with a single field that field's value. None
    for every other answer. Raises: UnicodeDecodeError for a key that is not UTF-8.
    """
