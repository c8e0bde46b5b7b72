"""The certificate of `serve --tls-cert`: can it be used, how long, does the balancer take a renewed one."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509

from tidewire.supervisor.layout import StartError

LOOK_S = 5.0
_TRIES, _TRY_S = 60, 0.5  # Caddy takes some 0.1 s for it, on a busy machine seconds
SOON_DAYS = 14.0  # those who renew by themselves do it a month before
_DAY_S = 86_400.0
_Stamp = tuple[int, int, int]
_log = structlog.get_logger("certificate")


class Certificate:
    """Two PEM files that somebody may write anew at any time, one after the other."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._files = cert, key
        self._taken = self._stamps()
        self._refused: list[_Stamp] | None = None
        self._ends = datetime.max.replace(tzinfo=UTC)  # the one that was good last, which is shown
        self._warned_at = datetime.min.replace(tzinfo=UTC)

    def check(self) -> float:
        """Return the days until it ends. Raises: StartError, with the reason in one line, if it cannot be used."""
        cert, key = self._files
        for file in self._files:
            try:
                file.read_bytes()
            except OSError as error:
                raise StartError(f"cannot read {file}: {error.strerror}") from error
        try:
            # A password that is none: else OpenSSL would ask at the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
            self._ends = self._leaf().not_valid_after_utc
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise StartError(f"{cert} and {key} are no certificate and its key: {reason}") from error
        return self._days_left()

    def _days_left(self) -> float:
        return (self._ends - datetime.now(UTC)).total_seconds() / _DAY_S

    def _leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self._files[0].read_bytes())[0]

    async def look(self, reload: Callable[[], None], served: Callable[[], Awaitable[str]]) -> None:
        """Let the balancer read the files again if they changed and can be used; warn once a day of a near end.

        To be called after a `check` of what the balancer reads at its start.
        reload: tells the balancer; served: returns what it shows to clients now, PEM.
        """
        stamps = self._stamps()
        if stamps != self._taken:
            try:
                days = self.check()
            except StartError as error:
                # Half written, or wrong. Told once, and tried again: rights to read are not in the stamps.
                if stamps != self._refused:
                    self._refused = stamps
                    _log.error("the certificate stays as it was", why=str(error))
            else:
                self._taken = stamps
                reload()
                await self._see(served, days)
        self._warn()

    async def _see(self, served: Callable[[], Awaitable[str]], days: float) -> None:
        ours = self._leaf()
        for _ in range(_TRIES):
            try:
                shown = x509.load_pem_x509_certificate((await served()).encode())
            except OSError:  # it is busy, or starts again, and reads the files then
                shown = None
            if shown == ours:
                _log.info("certificate read again", days_left=round(days, 1))
                return
            await asyncio.sleep(_TRY_S)
        _log.error("this caddy does not read a certificate again: restart serve, or take a newer one")

    def _warn(self) -> None:
        now = datetime.now(UTC)
        if (now - self._warned_at).total_seconds() < _DAY_S:
            return
        self._warned_at = now
        if (days := self._days_left()) < SOON_DAYS:
            what = "the certificate ends soon" if days > 0 else "the certificate has ended"
            _log.warning(what, days_left=round(days, 1))

    def _stamps(self) -> list[_Stamp]:
        """Return what tells one version of the files from another; links are followed, as certbot's are."""
        found = []
        for file in self._files:
            try:
                status = file.stat()
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
            except OSError:  # it is being replaced
                found.append((0, 0, 0))
        return found
