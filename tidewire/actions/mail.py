"""E-mail: a message is put into a bounded queue and sent by SMTP outside the request, again and again if need be.

Off while EmailSettings name no server and no sender. What waits lives in this process's memory: a message may be lost
with the process, and whoever waits for it asks for another.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import cache
from typing import TYPE_CHECKING, Any

import aiosmtplib
import structlog
from prometheus_client import Counter

from tidewire.actions.mail_texts import render
from tidewire.wire.errors import AppError, Unavailable

if TYPE_CHECKING:
    from tidewire.actions.services import Services

QUEUE = 1000  # messages that wait or are being sent; some 10 MB
CONNECTIONS = 4  # to the server at once
# Seconds before each further attempt: a server that starts again, then one that greylists (RFC 6647: minutes).
RETRIES_S = (2.0, 15.0, 90.0, 300.0)
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
FLUSH_S = 3.0  # a stop waits so long for what is being sent
_SENT = Counter(
    "tidewire_mails", "E-mails by outcome: sent, retried, refused, given_up, dropped.", ["outcome"]
)
_log = structlog.get_logger("mail")


@dataclass(frozen=True, slots=True)
class Server:
    """Where to send. security: "", "TLS" (from the start) or "STARTTLS"."""

    host: str
    port: int
    user: str
    password: str
    security: str
    check_certificate: bool
    timeout_s: float


def server_of(services: "Services") -> Server | None:
    """Return the configured server, None while there is none."""
    return server_in(services.config.values)


def server_in(values: dict[str, Any]) -> Server | None:
    """Return the server that configuration values (flat) name, None if they name none."""
    email = {name.removeprefix("EmailSettings."): value for name, value in values.items() if name.startswith("Email")}
    if not email["SMTPServer"] or not email["FeedbackEmail"]:
        return None
    port = email["SMTPPort"]
    return Server(
        email["SMTPServer"],
        int(port) if len(port) < 6 and port.isascii() and port.isdigit() else 25,
        email["SMTPUsername"] if email["EnableSMTPAuth"] else "",
        email["SMTPPassword"] if email["EnableSMTPAuth"] else "",
        email["ConnectionSecurity"].upper(),
        not email["SkipServerCertificateVerification"],
        float(email["SMTPServerTimeout"] or 10),
    )


def site_url(services: "Services") -> str:
    """Return the public address without a slash at its end, "" if none is set. Never taken from a request."""
    return (services.config.text("ServiceSettings.SiteURL") or services.settings.site.url).rstrip("/")


def parse_address(text: str, name: str = "") -> Address:
    """Return an address for a header. Raises: AppError 400 for anything that is none, line breaks above all."""
    try:
        if any(char < " " or char == "\x7f" for char in text + name):
            raise ValueError("control character")
        return Address(name, addr_spec=text)
    except (ValueError, IndexError, HeaderParseError) as error:
        raise AppError("model.user.is_valid.email.app_error", 400, "Invalid email.") from error


def compose(services: "Services", kind: str, to: Address, values: dict[str, object]) -> EmailMessage:
    """Return the whole message. Raises: AppError where the configured sender is no address; as render."""
    config = services.config
    site_name = config.text("TeamSettings.SiteName")
    made = render(kind, site_name, site_url(services), values)
    message = EmailMessage()
    sender = parse_address(
        config.text("EmailSettings.FeedbackEmail"), config.text("EmailSettings.FeedbackName")
    )
    message["From"] = sender
    message["To"] = to
    if reply_to := config.text("EmailSettings.ReplyToAddress"):
        message["Reply-To"] = parse_address(reply_to)
    message["Subject"] = made.subject
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=sender.domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes in return
    message.set_content(made.plain)
    message.add_alternative(made.html, subtype="html")
    return message


def plain_message(sender: str, recipient: str, subject: str, text: str) -> EmailMessage:
    """Return a message of text only. Raises: AppError 400 where one of the addresses is none."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = parse_address(sender), parse_address(recipient), subject
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=message["From"].addresses[0].domain)
    message.set_content(text)
    return message


def send(services: "Services", kind: str, to: str, **values: object) -> bool:
    """Queue a message (kinds and what they name: mail_texts); never waits. False if e-mail is off or the queue full.

    Raises: AppError 400 for a recipient that is no address.
    """
    if server_of(services) is None:
        return False
    recipient = parse_address(to)
    try:
        message = compose(services, kind, recipient, values)
    except AppError:
        _log.error("the configured sender is no e-mail address", kind=kind)
        return False
    return services.mail.put(services, kind, message)


@cache
def _tls(check_certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not check_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _code(error: Exception) -> int:
    """Return the server's answer to what failed, 0 if there was none."""
    refused = getattr(error, "recipients", None)
    return max((one.code for one in refused), default=0) if refused else getattr(error, "code", 0)


def _is_final(error: Exception) -> bool:
    """Tell whether trying again cannot help. A refused login can be corrected meanwhile."""
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return False
    return isinstance(error, ValueError | aiosmtplib.SMTPNotSupported) or _code(error) >= 500


async def deliver(server: Server, message: EmailMessage) -> None:
    """Send a message now. Raises: aiosmtplib.SMTPException, OSError, TimeoutError; ValueError for a login in clear."""
    if server.user and not server.security and server.host not in LOCAL:
        raise ValueError("a password would cross the network in clear")
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.security == "TLS",
        start_tls=server.security == "STARTTLS",
        tls_context=_tls(server.check_certificate) if server.security else None,
        timeout=server.timeout_s,
    )
    # The library's time-outs are per command: this one is for the whole.
    async with asyncio.timeout(3 * server.timeout_s), client:
        if server.user:
            await client.login(server.user, server.password)
        await client.send_message(message)


class Mailer:
    """The queue of one process."""

    def __init__(self, *, retries_s: tuple[float, ...] = RETRIES_S) -> None:
        self._retries_s = retries_s
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, services: "Services", kind: str, message: EmailMessage) -> bool:
        """Take a message to send; False when too many wait."""
        if len(self._tasks) >= QUEUE:
            _SENT.labels("dropped").inc()
            _log.warning("too many e-mails wait", kind=kind)
            return False
        self._keep(self._send(services, kind, message))
        return True

    def later(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do work outside the request, so that its time says nothing; dropped when too many wait."""
        if len(self._tasks) >= QUEUE:
            _SENT.labels("dropped").inc()
            return
        self._keep(self._guarded(work))

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Unavailable as error:
            _log.warning("e-mail not made", service=error.service)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("e-mail failed", exc_info=error)

    async def _send(self, services: "Services", kind: str, message: EmailMessage) -> None:
        for delay_s in (*self._retries_s, None):
            server = server_of(services)  # asked each time: a correction helps what waits
            if server is None:
                break
            try:
                async with self._connections:
                    await deliver(server, message)
                _SENT.labels("sent").inc()
                return
            except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
                # The texts of servers repeat addresses; the code says enough.
                final = _is_final(error)
                _log.warning(
                    "e-mail not sent", kind=kind, error=type(error).__name__, code=_code(error), final=final
                )
                if final:
                    _SENT.labels("refused").inc()
                    return
            if delay_s is not None:
                _SENT.labels("retried").inc()
                await asyncio.sleep(delay_s * random.uniform(0.8, 1.2))  # noqa: S311 (spreads retries)
        _SENT.labels("given_up").inc()

    async def close(self) -> None:
        """Give what is being sent a moment, then stop."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FLUSH_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
