"""Password hashes as Mattermost's servers keep them: bcrypt, and since 11 PBKDF2. Checked only, never made. No I/O.

`$2a$10$…` and `$pbkdf2$f=SHA256,w=600000,l=32$<salt>$<hash>`, both parts base64 without padding.
"""

import re
from base64 import b64decode
from hashlib import pbkdf2_hmac
from hmac import compare_digest

import bcrypt

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}\Z")
_PBKDF2 = re.compile(
    r"\$pbkdf2\$f=SHA(256|512),w=([1-9]\d{0,6}),l=([1-9]\d{0,2})\$([A-Za-z0-9+/]{1,128})\$([A-Za-z0-9+/]{16,256})\Z"
)
_MAX_ROUNDS = 4_000_000  # 2 s of one core; theirs are 600,000
_BCRYPT_BYTES = 72  # of a password; Mattermost refuses longer ones


def is_one(stored: str) -> bool:
    """Tell whether a text is such a hash."""
    if _BCRYPT.match(stored):
        return True
    found = _PBKDF2.match(stored)
    return found is not None and int(found[2]) <= _MAX_ROUNDS and len(_decoded(found[5])) == int(found[3])


def matches(stored: str, password: str) -> bool:
    """Tell whether a password is the hash's. Takes some 50 to 300 ms."""
    if not is_one(stored):
        return False
    given = password.encode("utf-8", "replace")
    if _BCRYPT.match(stored):
        return len(given) <= _BCRYPT_BYTES and b"\0" not in given and bcrypt.checkpw(given, stored.encode())
    found = _PBKDF2.match(stored)
    assert found is not None
    made = pbkdf2_hmac("sha" + found[1], given, _decoded(found[4]), int(found[2]), int(found[3]))
    return compare_digest(made, _decoded(found[5]))


def _decoded(text: str) -> bytes:
    """Return the bytes of base64 without padding; none for what is no such text."""
    return b"" if len(text) % 4 == 1 else b64decode(text + "=" * (-len(text) % 4))
