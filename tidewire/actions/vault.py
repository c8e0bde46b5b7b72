"""Seals what must be read again and shall not lie open in the database: secrets of second factors, e-mail that waits.

AES-256-GCM. The key is the setting database.secrets_key, or one that is made at the first start and kept in the
database; what was sealed with the latter can be read after the setting was given.
"""

import os
from base64 import b64decode, b64encode
from hashlib import sha256

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidewire.settings import Settings
from tidewire.store import system, users
from tidewire.store.db import Database
from tidewire.wire.ids import new_token

MARK = "v1:"  # what a sealed text begins with; base32, which secrets of second factors are in, has no such letters
NONCE_BYTES = 12
ROWS_AT_ONCE = 500

_log = structlog.get_logger("vault")


class Unreadable(Exception):
    """What was sealed with another key, or for something else."""


class Vault:
    """Seals with the first key, reads with all."""

    def __init__(self, *keys: str) -> None:
        self._boxes = [AESGCM(sha256(key.encode()).digest()) for key in keys]

    @classmethod
    async def open(cls, settings: Settings, db: Database) -> "Vault":
        """Return the installation's vault; rows from before there was one are sealed. Raises: Unavailable."""
        made = await system.keep(db, "AtRestKey", new_token() + new_token())
        given = settings.database.secrets_key
        vault = cls(given, made) if given else cls(made)
        await vault._seal_old_rows(db)
        return vault

    def seal(self, what: str, data: bytes) -> bytes:
        """Return data sealed for one use, such as "mfa:<user id>"."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._boxes[0].encrypt(nonce, data, what.encode())

    def unseal(self, what: str, sealed: bytes) -> bytes:
        """Return what was sealed for this use. Raises: Unreadable."""
        for box in self._boxes:
            try:
                return box.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], what.encode())
            except (InvalidTag, ValueError):
                continue
        raise Unreadable(what.partition(":")[0])

    def seal_text(self, what: str, text: str) -> str:
        """Return a text sealed, as a text; "" stays."""
        return MARK + b64encode(self.seal(what, text.encode())).decode() if text else ""

    def unseal_text(self, what: str, text: str) -> str:
        """Return what seal_text was given; a text without its mark is not sealed. Raises: Unreadable."""
        if not text.startswith(MARK):
            return text
        return self.unseal(what, b64decode(text[len(MARK) :])).decode()

    async def _seal_old_rows(self, db: Database) -> None:
        """Seal second factors that lie open. Costs one look into an index once there are none."""
        count = 0
        while found := await users.open_mfa_secrets(db, ROWS_AT_ONCE):
            sealed = {user_id: self.seal_text("mfa:" + user_id, secret) for user_id, secret in found.items()}
            await users.seal_mfa_secrets(db, found, sealed)
            count += len(found)
        if count:
            _log.info("second factors sealed", users=count)
