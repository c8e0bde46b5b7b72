"""Web Push's encryption and identification: RFC 8291 over RFC 8188 (aes128gcm), and RFC 8292 (VAPID). No I/O."""

import hmac
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

RECORD_BYTES = 4096  # RFC 8291 4: push services need not take more
# RFC 8188 2.1: salt 16, record size 4, key length 1, key 65; 2: delimiter 1, tag 16.
OVERHEAD_BYTES = 16 + 4 + 1 + 65 + 1 + 16
PLAIN_LIMIT_BYTES = RECORD_BYTES - OVERHEAD_BYTES
VAPID_LIFE_S = 12 * 3600  # RFC 8292 2: at most 24 hours
VAPID_RENEW_S = 11 * 3600
_UNCOMPRESSED = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint


class BadKeys(ValueError):
    """A subscription's keys are none: it can never be reached."""


class _Receiver(NamedTuple):
    key: ec.EllipticCurvePublicKey
    point: bytes
    auth: bytes


@lru_cache(10_000)  # parsing a point takes 8 µs of 120
def _receiver(p256dh: str, auth: str) -> _Receiver:
    try:
        point, secret = _bytes(p256dh), _bytes(auth)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise BadKeys("the subscription's p256dh is no point") from error
    if len(secret) != 16 or len(point) != 65:
        raise BadKeys("the subscription's keys have the wrong length")
    return _Receiver(key, point, secret)


def encrypt(plain: bytes, p256dh: str, auth: str) -> bytes:
    """Return the body of a push message; plain: at most PLAIN_LIMIT_BYTES. Raises: BadKeys."""
    receiver = _receiver(p256dh, auth)
    own = ec.generate_private_key(ec.SECP256R1())  # RFC 8291 3.1: a fresh one per message
    point = own.public_key().public_bytes(*_UNCOMPRESSED)
    salt = os.urandom(16)
    shared = own.exchange(ec.ECDH(), receiver.key)
    # RFC 8291 3.4, and RFC 8188 2.2 and 2.3; HKDF of one block is two HMACs.
    secret = _derive(receiver.auth, shared, b"WebPush: info\0" + receiver.point + point, 32)
    key = _derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(key).encrypt(nonce, plain + b"\x02", None)  # 2: the last record
    return salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(point)]) + point + sealed


def _derive(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    return hmac.digest(hmac.digest(salt, material, "sha256"), info + b"\x01", "sha256")[:length]


class Vapid:
    """Says who sends: a signed token for each push service. Raises: ValueError for a key that is none.

    private_key: PEM of a P-256 key; browsers subscribe with its `public_key`. subject: `mailto:` or `https:` of who
    runs this server.
    """

    def __init__(self, private_key: bytes, subject: str) -> None:
        try:
            key = serialization.load_pem_private_key(private_key, None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("no private key in PEM") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a P-256 key")
        self._key, self._subject = key, subject
        self.public_key = _text(key.public_key().public_bytes(*_UNCOMPRESSED))
        self._made: dict[str, tuple[float, str]] = {}

    def authorization(self, origin: str) -> str:
        """Return the header for a push service, one token per origin and half a day. Source: RFC 8292 3."""
        now = time.time()
        made, header = self._made.get(origin, (0.0, ""))
        if not made <= now < made + VAPID_RENEW_S:
            if len(self._made) > 1000:  # origins come from clients
                self._made.clear()
            claims = {"aud": origin, "exp": int(now) + VAPID_LIFE_S, "sub": self._subject}
            header = f"vapid t={jwt.encode(claims, self._key, 'ES256')}, k={self.public_key}"
            self._made[origin] = now, header
        return header


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
