"""The installation's two key pairs for pushes, made once and kept in PostgreSQL: one signs what phones get, the other
tells browsers' push services who sends (VAPID, RFC 8292).

Source: Mattermost API v4, `AsymmetricSigningPublicKey`: the app checks each push by it. P-256 (ES256) both.
"""

import base64
from typing import TYPE_CHECKING, NamedTuple

from tidewire.settings import Settings
from tidewire.store import system
from tidewire.store.db import Database

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from tidewire.actions.vault import Vault

SIGNING, VAPID = "PushSigningKey", "WebPushVapidKey"  # names in the table `system`


class KeyPair(NamedTuple):
    """public: DER (SubjectPublicKeyInfo), base64. sealed: the private key, DER (PKCS 8) in base64, by the vault."""

    public: str
    sealed: str


async def get_pair(settings: Settings, db: Database, name: str) -> KeyPair:
    """Return a key pair, made by the first process that asks. Raises: Unavailable.

    Cost: one query; the cryptography library (8 MiB) is loaded only where the pair is made.
    """
    stored = await system.value_of(db, name)
    if not stored:
        from tidewire.actions.vault import Vault

        public, private = _make()
        vault = await Vault.open(settings, db)
        stored = await system.keep(db, name, f"{public} {vault.seal_text(name, private)}")
    return KeyPair(*stored.split(" "))


def _make() -> tuple[str, str]:
    """Return a new pair: (public, private)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return base64.b64encode(public).decode(), base64.b64encode(private).decode()


def private_pem(vault: "Vault", name: str, pair: KeyPair) -> bytes:
    """Return the private key as PEM (RFC 7468). Raises: Unreadable, if it was sealed with another key."""
    private = vault.unseal_text(name, pair.sealed)
    return f"-----BEGIN PRIVATE KEY-----\n{private}\n-----END PRIVATE KEY-----\n".encode()


def load_private(pem: bytes) -> "EllipticCurvePrivateKey":
    """Return a private key, ready to sign."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, EllipticCurvePrivateKey), "only such keys are made here"
    return key


def application_server_key(pair: KeyPair) -> str:
    """Return the public key as browsers want it to subscribe: the uncompressed point, base64url without padding.

    The point is the last 65 bytes of a P-256 SubjectPublicKeyInfo (RFC 5480).
    """
    point = base64.b64decode(pair.public)[-65:]
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()
