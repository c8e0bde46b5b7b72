"""Google's OAuth2 token for a service account: granted for an hour, fetched before it ends, once for all who wait.

Source: Google, "Using OAuth 2.0 for server to server applications"; RFC 7523.
"""

import asyncio
import time
from pathlib import Path
from urllib.parse import urlencode

import jwt
import msgspec
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from push.metrics import TOKENS
from push.providers.http2 import Line, Lines, NoAnswer, builder
from push.targets import BadConfig

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EARLY_S = 300.0  # before its end a token is replaced in the background …
TRY_AGAIN_S = 5.0  # … and after a failure again, while the old one still works

log = structlog.get_logger("push")


class ServiceAccount(msgspec.Struct):
    """The file that Google gives out, as far as it is needed."""

    project_id: str
    client_email: str
    private_key: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address, not a token
    private_key_id: str = ""


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class Refused(Exception):
    """Google refuses the account: an operator must act. str(): its word."""


def read_account(path: Path) -> tuple[ServiceAccount, rsa.RSAPrivateKey]:
    """Return a service account and its key. Raises: BadConfig."""
    try:
        account = msgspec.json.decode(path.read_bytes(), type=ServiceAccount)
    except OSError as error:
        raise BadConfig(f"ServiceFileLocation {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"ServiceFileLocation {path}: no service account: {error}") from error
    try:
        key = serialization.load_pem_private_key(account.private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadConfig(f"ServiceFileLocation {path}: private_key is none") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadConfig(f"ServiceFileLocation {path}: private_key is not RSA")
    return account, key


class GoogleToken:
    """The token of one account. Raises: BadConfig."""

    def __init__(self, path: Path, line: Line) -> None:
        self._path, self._line = path, line
        self.account, self._key = read_account(path)
        self._modified = path.stat().st_mtime_ns
        self._lines = Lines([builder(line).http2(True)])
        self._token = ""
        self._due = self._end = 0.0
        self._fetching: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """Return a token that works; waits only where there is none. Raises: NoAnswer, Refused."""
        now = time.monotonic()
        if now < self._due:
            return self._token
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        if now < self._end:
            return self._token
        return await asyncio.shield(self._fetching)

    def renew(self) -> None:
        """Google does not take the present token: fetch another one before the next use."""
        self._due = self._end = 0.0

    def _fetched(self, task: asyncio.Task[str]) -> None:
        self._fetching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._due = min(self._end, time.monotonic() + TRY_AGAIN_S)
            log.warning("token refused or not fetched", account=self.account.client_email, error=repr(error))

    async def _fetch(self) -> str:
        await asyncio.to_thread(self._reload)
        started = time.monotonic()
        claims = {
            "iss": self.account.client_email,
            "scope": SCOPE,
            "aud": self.account.token_uri,
            "iat": int(time.time()),
            "exp": int(time.time()) + 3600,
        }
        headers = {"kid": self.account.private_key_id} if self.account.private_key_id else None
        assertion = jwt.encode(claims, self._key, "RS256", headers)
        form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        status, body, _ = await self._lines.post(self.account.token_uri, kind, form, read=True)
        if status >= 500 or status == 429:
            raise NoAnswer(f"HTTP {status}")
        try:
            grant = msgspec.json.decode(body, type=_Grant)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(f"HTTP {status}") from error
        if status != 200 or not grant.access_token:
            raise Refused(f"HTTP {status}")
        TOKENS.labels("android").inc()
        self._token = grant.access_token
        self._end = started + max(0.0, grant.expires_in - 10)
        self._due = started + max(grant.expires_in / 2, grant.expires_in - EARLY_S)
        self._due = min(self._due, self._end)
        return self._token

    def _reload(self) -> None:
        """Read the file again if it changed. Raises: nothing; what cannot be read is logged, and the old key stays."""
        try:
            modified = self._path.stat().st_mtime_ns
            if modified != self._modified:
                self.account, self._key = read_account(self._path)
                self._modified = modified
        except (BadConfig, OSError) as error:
            log.error("credentials cannot be read; the old ones stay", error=str(error))

    async def close(self) -> None:
        """Stop fetching and drop the connection."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        await self._lines.close()
