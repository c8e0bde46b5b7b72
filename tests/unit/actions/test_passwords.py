"""Hashes of imported accounts: which are known, what they match."""

from base64 import b64encode
from hashlib import pbkdf2_hmac

import bcrypt
import pytest

from tidewire.actions import imported_hashes, passwords


def pbkdf2(password: str, *, name: str = "SHA256", rounds: int = 1000, length: int = 32) -> str:
    """Return a hash as Mattermost 11 keeps it."""
    salt = b"sixteen bytes of"
    made = pbkdf2_hmac(name.lower(), password.encode(), salt, rounds, length)
    parts = [b64encode(one).decode().rstrip("=") for one in (salt, made)]
    return f"$pbkdf2$f={name},w={rounds},l={length}${parts[0]}${parts[1]}"


@pytest.mark.parametrize(
    "stored",
    [
        bcrypt.hashpw(b"pass\xc3\xa9", bcrypt.gensalt(4)).decode(),
        bcrypt.hashpw(b"pass\xc3\xa9", bcrypt.gensalt(4)).decode().replace("$2b$", "$2a$"),
        pbkdf2("passé"),
        pbkdf2("passé", name="SHA512", length=64),
    ],
    ids=["2b", "2a", "sha256", "sha512"],  # salts differ, and every worker must know the test by the same name
)
async def test_known_hashes_are_checked_and_outdated(stored: str) -> None:
    assert passwords.is_hash(stored)
    assert passwords.is_outdated(stored)
    assert await passwords.verify(stored, "passé")
    assert not await passwords.verify(stored, "passe")
    assert not await passwords.verify(stored, "")
    assert not await passwords.verify(stored, "x" * 1000)


@pytest.mark.parametrize(
    "stored",
    [
        "", "secret", "$2b$31$" + "a" * 53, "$2b$10$short", "$2b$10$" + "a" * 53 + "\n",
        pbkdf2("x").replace("w=1000", "w=9999999"), pbkdf2("x").replace("l=32", "l=31"),
        pbkdf2("x").replace("SHA256", "MD5"),
        "$pbkdf2$f=SHA256,w=1,l=32$!!!$???", "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=19456,t=1000,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$nonsense",
    ],
)  # fmt: skip
def test_others_are_none(stored: str) -> None:
    assert not passwords.is_hash(stored)
    assert not imported_hashes.matches(stored, "x")


def test_mattermosts_own_example_is_known() -> None:
    text = "$pbkdf2$f=SHA256,w=600000,l=32$5Zq8TvET7nMrXof49Rp4Sw$d0Mx8467kv+3ylbGrkyu4jTd8O9SP51k4s1RuWb9S/o"
    assert imported_hashes.is_one(text)


async def test_own_hashes_are_hashes() -> None:
    assert passwords.is_hash(await passwords.hash_password("x"))
