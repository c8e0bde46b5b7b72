def first_wanted(
    entries: list[tuple[str, int, bytes]],
    start: int,
    lines: dict[str, object],
    heard: dict[str, int],
    head: bytes,
    before: bytes,
    to_channel: bytes,
    after: bytes,
) -> int:
    """Return the index of the first entry from `start` on that must be looked at; the number of entries if none.

    Passed over is an entry whose key of 28 bytes is in neither dict and whose envelope has these bytes: `head` first,
    the key's place, `before`, a 16-bit length and so many bytes, `to_channel`, the key's id, `after`.
    """
