"""Row ids, secret ids and times, as clients see them. No I/O but the clock and the random source."""

import os
import re
import secrets
import time

# The contract's 32 characters in code-point order, so that ids sort as their times do (B-trees stay warm).
ALPHABET = "13456789abcdefghijkmnopqrstuwxyz"
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_BY_BYTE = bytes(ord(ALPHABET[value & 31]) for value in range(256))
_ID = re.compile(r"[a-zA-Z0-9]{26}\Z")
# Random bytes of row ids, asked of the system for many at once: 0.2 µs an id instead of 2. Each is used once; a forked
# process must not use its parent's.
_SPARE_BYTES = 17 * 240
_spare: list[bytes] = []
os.register_at_fork(after_in_child=_spare.clear)


def new_id(at_ms: int | None = None) -> str:
    """Return a row id: 26 characters, ordered by time (48 bits of ms, 82 random bits)."""
    try:
        random = _spare.pop()
    except IndexError:
        block = os.urandom(_SPARE_BYTES)
        _spare.extend([block[at : at + 17] for at in range(17, _SPARE_BYTES, 17)])
        random = block[:17]
    top = (at_ms or now_ms()) << 2 | random[16] & 3
    return _time_part(top) + random[:16].translate(_BY_BYTE).decode()


def _time_part(top: int) -> str:
    """Return 50 bits as ten characters."""
    two = _PAIRS
    high = f"{two[top >> 40 & 1023]}{two[top >> 30 & 1023]}"
    return f"{high}{two[top >> 20 & 1023]}{two[top >> 10 & 1023]}{two[top & 1023]}"


def first_id(at_ms: int) -> str:
    """Return what is not above any id of new_id made at that time or later."""
    return _time_part(max(0, at_ms) << 2) + ALPHABET[0] * 16


def new_token() -> str:
    """Return a secret id (session, CSRF, invite, connection): 26 characters of 130 random bits."""
    return secrets.token_bytes(26).translate(_BY_BYTE).decode()


def is_id(value: object) -> bool:
    """Tell whether value has the form of an id. Source: Mattermost API v4, validators take 26 letters or digits."""
    return isinstance(value, str) and _ID.match(value) is not None


def now_ms() -> int:
    """Return the time in milliseconds since 1970, the unit of every `*_at`."""
    return time.time_ns() // 1_000_000
