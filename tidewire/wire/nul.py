"""Whether JSON has a NUL in one of its strings, which PostgreSQL stores in no text. Pure functions."""

import re

# The backslash of `\u0000` is no escaped one: an even number of them stands before it, from where they begin. Linear.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def has_nul(data: bytes) -> bool:
    r"""Tell whether a text of JSON says NUL; `"\\u0000"` does not, that is a backslash and five letters."""
    return b"\\u0000" in data and _NUL.search(data) is not None
