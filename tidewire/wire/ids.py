"""Row ids, secret ids and times, as clients see them. No I/O but the clock and the random source."""

import re
import secrets
import time

# The contract's 32 characters in code-point order, so that ids sort as their times do (B-trees stay warm).
ALPHABET = "13456789abcdefghijkmnopqrstuwxyz"
_RANDOM_BITS = 82  # 26 characters of 5 bits, less 48 bits of milliseconds
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_ID = re.compile(r"[a-zA-Z0-9]{26}\Z")


def _encode(number: int) -> str:
    """Return 26 characters for 130 bits, most significant first."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def new_id(at_ms: int | None = None) -> str:
    """Return a row id: 26 characters, ordered by time (48 bits of ms, 82 random bits)."""
    return _encode(((at_ms or now_ms()) << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS))


def new_token() -> str:
    """Return a secret id (session, CSRF, invite, connection): 26 characters of 130 random bits."""
    return _encode(secrets.randbits(130))


def is_id(value: object) -> bool:
    """Tell whether value has the form of an id. Source: Mattermost API v4, validators take 26 letters or digits."""
    return isinstance(value, str) and _ID.match(value) is not None


def now_ms() -> int:
    """Return the time in milliseconds since 1970, the unit of every `*_at`."""
    return time.time_ns() // 1_000_000
