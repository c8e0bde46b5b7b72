"""Apple: one app build, by token or by certificate.

Source: Apple, "Sending notification requests to APNs" (headers, authentication, at most one token per 20 minutes).
"""

import asyncio
import re
import time
from collections import OrderedDict
from pathlib import Path

import jwt
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyreqwest.client import ClientBuilder

from push import payloads, verdicts
from push.metrics import HELD_REMOVALS, TOKENS
from push.providers.contract import Platform
from push.providers.http2 import Line, Lines, NoAnswer, builder
from push.targets import Apple, BadConfig
from push.verdicts import Action, Verdict
from tidewire.wire.push import SILENT_TYPES, Job

PRODUCTION = "https://api.push.apple.com"
DEVELOPMENT = "https://api.sandbox.push.apple.com"
JWT_RENEW_S = 45 * 60  # Apple: between 20 and 60 minutes
JWT_YOUNG_S = 20 * 60
MESSAGE_LIFE_S = 72 * 3600  # how long Apple keeps it for a phone that is off
SILENT_LIFE_S = 3600
LOOK_S = 10.0  # between looks at the files of keys
# Of so many devices that answered last, this share of bad tokens means a wrong environment, not dead phones.
GUARD_DEVICES, GUARD_LEAST, GUARD_SHARE = 100, 20, 0.9
_TOKEN = re.compile(r"[0-9A-Za-z_-]{1,200}\Z")
_NO_TOKEN = Verdict(Action.REMOVE, "BadDeviceToken", "not the form of a device token")
_TOO_LARGE = Verdict(Action.OPERATOR, "PayloadTooLarge", "does not fit even without its text")

log = structlog.get_logger("push")


class Guard:
    """Holds back removals while nearly every device is refused: a swapped environment would unregister all phones."""

    def __init__(self) -> None:
        self._devices: OrderedDict[str, bool] = OrderedDict()
        self._bad = 0

    def holds(self, device: str, *, bad: bool) -> bool:
        """Note an answer; tell whether a removal must be held back. Bounded: the last GUARD_DEVICES devices."""
        devices = self._devices
        self._bad += bad - devices.pop(device, False)
        devices[device] = bad
        if len(devices) > GUARD_DEVICES:
            self._bad -= devices.popitem(last=False)[1]
        return len(devices) >= GUARD_LEAST and self._bad >= GUARD_SHARE * len(devices)


class Signer:
    """Makes the ES256 token that all connections of a target share. Raises: BadConfig for a key that is none."""

    def __init__(self, path: Path, key_id: str, team_id: str) -> None:
        self._path, self._key_id, self._team_id = path, key_id, team_id
        self._key = self._load()
        self._modified = _modified(path)
        self._token, self._made = "", 0.0

    def _load(self) -> ec.EllipticCurvePrivateKey:
        try:
            key = serialization.load_pem_private_key(self._path.read_bytes(), None)
        except OSError as error:
            raise BadConfig(f"AppleAuthKeyFile {self._path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadConfig(f"AppleAuthKeyFile {self._path}: no private key in PEM") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BadConfig(f"AppleAuthKeyFile {self._path}: not a P-256 key")
        return key

    @property
    def age_s(self) -> float:
        """How old the present token is."""
        return time.time() - self._made

    def token(self) -> str:
        """Return the present token, or a new one when it is due."""
        now = time.time()
        if now - self._made > JWT_RENEW_S or now < self._made - 60:  # the clock went back
            claims = {"iss": self._team_id, "iat": int(now)}
            self._token = jwt.encode(claims, self._key, "ES256", {"kid": self._key_id})
            self._made = now
            TOKENS.labels("apple").inc()
        return self._token

    def renew(self) -> bool:
        """Make the next token anew, unless the present one is too young for Apple. Tells whether it will."""
        if self.age_s < JWT_YOUNG_S:
            return False
        self._made = 0.0
        return True

    def reload(self) -> bool:
        """Read the key again if its file changed; tells whether it did. Raises: BadConfig; then the old one stays."""
        if (modified := _modified(self._path)) == self._modified:
            return False
        self._modified = modified
        self._key = self._load()
        self._made = 0.0
        return True


class Apns:
    """One target at Apple; see `contract.Provider`. Raises: BadConfig."""

    platform: Platform = "apple"

    def __init__(
        self, target: Apple, line: Line, *, folder: Path, url: str = "", background: bool = False
    ) -> None:
        """url: instead of Apple's. background: silent pushes as Apple wants them, not as the reference sends them."""
        self._name, self._topic, self._background = target.type, target.apple_push_topic, background
        self._base = url or (DEVELOPMENT if target.apple_push_use_development else PRODUCTION)
        self._path = f"{self._base}/3/device/"
        self._line = line
        self._signer: Signer | None = None
        self._certificate: Path | None = None
        self._password = target.apple_push_cert_password
        if not self._topic:
            raise BadConfig("ApplePushTopic is not set")
        if target.by_token:
            file = folder / target.apple_auth_key_file
            self._signer = Signer(file, target.apple_auth_key_id, target.apple_team_id)
        elif target.apple_push_cert_private:
            self._certificate = folder / target.apple_push_cert_private
        else:
            raise BadConfig("set AppleAuthKeyFile, AppleAuthKeyID and AppleTeamID, or ApplePushCertPrivate")
        self._modified = _modified(self._certificate) if self._certificate else 0
        self._lines = self._open()
        self._guard = Guard()
        self._looked = 0.0

    def _open(self) -> Lines:
        identity = _identity(self._certificate, self._password) if self._certificate else None
        return Lines([self._builder(identity) for _ in range(self._line.connections)])

    def _builder(self, identity: bytes | None) -> ClientBuilder:
        made = builder(self._line).http2_prior_knowledge().https_only(True)
        if identity is not None:
            made = made.identity_pem(identity)
        return made.default_headers(
            {
                "content-type": "application/json; charset=utf-8",
                "apns-priority": "10",
                "apns-push-type": "alert",
                "apns-topic": self._topic,
            }
        )

    async def send(self, job: Job) -> Verdict:
        """See contract.Provider.send."""
        body = job.notification
        if not _TOKEN.match(body.device_id):
            return _NO_TOKEN  # it would be part of the path
        voip = body.transport == "voip"
        payload = payloads.apns(job)
        if len(payload) > (payloads.VOIP_LIMIT_BYTES if voip else payloads.APNS_LIMIT_BYTES):
            return _TOO_LARGE
        signer = self._signer
        try:
            status, text, retry_after = await self._lines.post(
                self._path + body.device_id, self._headers(job, voip), payload
            )
        except NoAnswer as error:
            return verdicts.unreachable(error.word, error.why)
        verdict = verdicts.apns(status, text, retry_after)
        if verdict.renew and (signer is None or not signer.renew()):
            # The token was fresh: our clock is wrong, which no other token mends.
            return Verdict(Action.OPERATOR, verdict.reason, verdict.answer, pause=True)
        return self._guarded(body.device_id, verdict)

    def _headers(self, job: Job, voip: bool) -> dict[str, str]:
        body = job.notification
        silent = body.type in SILENT_TYPES
        life_s = SILENT_LIFE_S if silent else MESSAGE_LIFE_S
        # The phone shows one of those that share this: a push that came twice once, and the newest of badges alone.
        collapse = f"badge-{body.server_id}" if body.type == "update_badge" else body.ack_id or job.apns_id
        if not (collapse.isascii() and collapse.isprintable()):
            collapse = job.apns_id
        headers = {
            "apns-id": job.apns_id,
            "apns-expiration": str(job.created_at // 1000 + life_s),
            "apns-collapse-id": collapse[:64],
        }
        if self._signer is not None:
            headers["authorization"] = "bearer " + self._signer.token()
        if voip:
            headers |= {"apns-topic": self._topic + ".voip", "apns-push-type": "voip"}
        elif self._background and body.type in ("clear", "test"):
            headers |= {"apns-push-type": "background", "apns-priority": "5"}
        return headers

    def _guarded(self, device: str, verdict: Verdict) -> Verdict:
        if verdict.action not in (Action.SENT, Action.REMOVE):
            return verdict
        bad = verdict.reason in ("BadDeviceToken", "DeviceTokenNotForTopic")
        if not (self._guard.holds(device, bad=bad) and bad):
            return verdict
        HELD_REMOVALS.labels(self._name).inc()
        return Verdict(
            Action.OPERATOR, verdict.reason, "nearly every device is refused: is the environment right?"
        )

    async def keep(self) -> None:
        """See contract.Provider.keep."""
        self._lines.open()
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        try:
            if self._signer is not None:
                changed = await asyncio.to_thread(self._signer.reload)
            else:
                changed = await self._reload_certificate()
            if changed:
                log.info("credentials read again", target=self._name)
        except BadConfig as error:
            log.error("credentials cannot be read; the old ones stay", target=self._name, error=str(error))

    async def _reload_certificate(self) -> bool:
        assert self._certificate is not None
        if (modified := _modified(self._certificate)) == self._modified:
            return False
        self._modified = modified
        old, self._lines = self._lines, self._open()
        # What is under way on the old connections gets its answer.
        asyncio.get_running_loop().call_later(2 * self._line.attempt_timeout_s, lambda: _later(old))
        return True

    async def close(self) -> None:
        """See contract.Provider.close."""
        await self._lines.close()


_closing: set[asyncio.Task[None]] = set()


def _later(lines: Lines) -> None:
    task = asyncio.get_running_loop().create_task(lines.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _identity(path: Path, password: str) -> bytes:
    """Return certificate and key, the key unlocked, as the TLS library takes them. Raises: BadConfig."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadConfig(f"ApplePushCertPrivate {path}: {error.strerror}") from error
    try:
        key = serialization.load_pem_private_key(
            data, password.encode() if password and b"ENCRYPTED" in data else None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadConfig(
            f"ApplePushCertPrivate {path}: no private key, or ApplePushCertPassword is wrong"
        ) from error
    try:
        certificates = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise BadConfig(f"ApplePushCertPrivate {path}: no certificate") from error
    public = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if certificates[0].public_key().public_bytes(*public) != key.public_key().public_bytes(*public):
        raise BadConfig(f"ApplePushCertPrivate {path}: the key is not the certificate's")
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates) + plain
