"""Row ids, secret ids and times, as clients see them. No I/O but the clock and the random source."""

import re
import secrets
import time
from functools import lru_cache

# The contract's 32 characters in code-point order, so that ids sort as their times do (B-trees stay warm).
ALPHABET = "13456789abcdefghijkmnopqrstuwxyz"
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_BY_BYTE = bytes(ord(ALPHABET[value & 31]) for value in range(256))
_ID = re.compile(r"[a-zA-Z0-9]{26}\Z")


def new_id(at_ms: int | None = None) -> str:
    """Return a row id: 26 characters, ordered by time (48 bits of ms, 82 random bits)."""
    random = secrets.token_bytes(17)
    top = (at_ms or now_ms()) << 2 | random[16] & 3
    return _eight(top >> 10) + _PAIRS[top & 1023] + random[:16].translate(_BY_BYTE).decode()


@lru_cache(maxsize=16)  # the same for 256 ms
def _eight(number: int) -> str:
    """Return 40 bits as eight characters."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in (30, 20, 10, 0)])


def first_id(at_ms: int) -> str:
    """Return what is not above any id of new_id made at that time or later."""
    top = max(0, at_ms) << 2
    return _eight(top >> 10) + _PAIRS[top & 1023] + ALPHABET[0] * 16


def new_token() -> str:
    """Return a secret id (session, CSRF, invite, connection): 26 characters of 130 random bits."""
    return secrets.token_bytes(26).translate(_BY_BYTE).decode()


def is_id(value: object) -> bool:
    """Tell whether value has the form of an id. Source: Mattermost API v4, validators take 26 letters or digits."""
    return isinstance(value, str) and _ID.match(value) is not None


def now_ms() -> int:
    """Return the time in milliseconds since 1970, the unit of every `*_at`."""
    return time.time_ns() // 1_000_000
