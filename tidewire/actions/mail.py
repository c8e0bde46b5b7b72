"""E-mail: a message waits in PostgreSQL, stored with its cause, and any worker sends it, again and again if need be.

Off while EmailSettings name no server and no sender. What waits is sealed: it may hold a token. A message is sent at
least once; one that is sent again by another worker has the same Message-ID.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from functools import cache
from typing import TYPE_CHECKING, Any

import aiosmtplib
import structlog
from prometheus_client import Counter

from tidewire.actions.mail_texts import render
from tidewire.actions.vault import Unreadable
from tidewire.loops import again
from tidewire.store import mails as store
from tidewire.store.mails import Waiting
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.ids import now_ms

if TYPE_CHECKING:
    from tidewire.actions.services import Services
    from tidewire.store.db import Database, Transaction

QUEUE = 10_000  # messages that wait, in all; some 100 MB
MAKING = 1000  # messages that are being made after the answer, in this process
CONNECTIONS = 4  # to the server at once
# Seconds before each further attempt: a server that starts again, one that greylists (RFC 6647: minutes), one that is
# repaired. Then a message is given up, and any that is older than AGE_S: its token is worth nothing.
RETRIES_S = (2.0, 15.0, 90.0, 300.0, 900.0, 3600.0, 3600.0, 3600.0)
AGE_S = 24 * 3600
POLL_S = 2.0  # how late others' messages and further attempts may be
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
FLUSH_S = 0.8  # a stop waits so long for what is being sent
COMMIT_S = 0.02  # within which what was queued is committed, mostly; else POLL_S later
SEND_FACTOR, LEASE_S = 3, 30.0  # time-outs of the server that one attempt may take; and so much more
SEALED_AS = "mail"
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


async def send(
    services: "Services", source: "Transaction | Database", kind: str, to: str, **values: object
) -> bool:
    """Queue a message (kinds and what they name: mail_texts), with the transaction that causes it.

    False if e-mail is off or too many wait. Raises: AppError 400 for a recipient that is no address.
    """
    return await send_many(services, source, kind, {to: values})


async def send_many(
    services: "Services", source: "Transaction | Database", kind: str, mails: "dict[str, dict[str, object]]"
) -> bool:
    """Queue messages of one kind, recipient → values, in one statement; all of them or none. As send."""
    if server_of(services) is None:
        return False
    recipients = {to: parse_address(to) for to in mails}
    try:
        made = [compose(services, kind, recipients[to], values) for to, values in mails.items()]
    except AppError:
        _log.error("the configured sender is no e-mail address", kind=kind)
        return False
    sealed = [services.vault.seal(SEALED_AS, message.as_bytes(policy=SMTP)) for message in made]
    taken = await store.queue(source, kind, sealed, now=now_ms(), most=QUEUE)
    if not taken:
        _SENT.labels("dropped").inc(len(sealed))
        _log.warning("too many e-mails wait", kind=kind)
    services.mail.poke()
    return taken


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
    return isinstance(error, ValueError | Unreadable | aiosmtplib.SMTPNotSupported) or _code(error) >= 500


def _outcome(error: Exception, waiting: Waiting) -> str:
    """Return what becomes of a message after an attempt that failed."""
    if _is_final(error):
        return "refused"
    old = waiting.created_at + AGE_S * 1000 < now_ms()
    return "given_up" if old or waiting.attempts > len(RETRIES_S) else "retried"


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
    async with asyncio.timeout(SEND_FACTOR * server.timeout_s), client:
        if server.user:
            await client.login(server.user, server.password)
        await client.send_message(message)


class Mailer:
    """Sends what waits, in each worker; and makes messages outside of requests."""

    def __init__(self) -> None:
        self._making: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._poked = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self, services: "Services") -> None:
        """Send, on the running loop."""
        self._loop = asyncio.get_running_loop().create_task(
            again("e-mail", lambda: self._send_due(services), POLL_S, wake=self._poked)
        )

    def poke(self) -> None:
        """Look soon: a transaction that is about to commit has queued something."""
        self._poked.set()

    def later(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do work outside the request, so that its time says nothing; dropped when too many wait."""
        if len(self._making) >= MAKING:
            _SENT.labels("dropped").inc()
            return
        self._keep(self._making, self._guarded(work))

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Unavailable as error:
            _log.warning("e-mail not made", service=error.service)

    def _keep(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(lambda done: self._done(tasks, done))

    def _done(self, tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("e-mail failed", exc_info=error)

    async def _send_due(self, services: "Services") -> None:
        """Send what is due, a few at a time; what waits for a server stays."""
        await asyncio.sleep(COMMIT_S)  # who pokes is about to commit
        while (server := server_of(services)) is not None:
            room = CONNECTIONS - len(self._sending)
            if room <= 0:
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
                continue
            now = now_ms()
            # The one who has claimed a message has given up or is dead when others may take it.
            until = now + int((SEND_FACTOR * server.timeout_s + LEASE_S) * 1000)
            claimed = await store.claim(services.db, now=now, until=until, limit=room)
            for waiting in claimed:
                self._keep(self._sending, self._send(services, server, waiting))
            if len(claimed) < room:
                return

    async def _send(self, services: "Services", server: Server, waiting: Waiting) -> None:
        outcome = await self._attempt(services, server, waiting)
        try:
            if outcome == "retried":
                delay_s = RETRIES_S[waiting.attempts - 1] * random.uniform(0.8, 1.2)  # noqa: S311 (spreads retries)
                await store.put_off(services.db, waiting.id, until=now_ms() + int(delay_s * 1000))
            else:
                await store.delete(services.db, waiting.id)
        except Unavailable:
            pass  # it is due again when the claim has run out
        _SENT.labels(outcome).inc()

    async def _attempt(self, services: "Services", server: Server, waiting: Waiting) -> str:
        """Try once; return what came of it."""
        try:
            data = services.vault.unseal(SEALED_AS, waiting.sealed)
            await deliver(server, message_from_bytes(data, policy=SMTP))
            return "sent"
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError, Unreadable) as error:
            outcome = _outcome(error, waiting)
            # The texts of servers repeat addresses; the code says enough. One line for a message that is lost.
            log = _log.debug if outcome == "retried" else _log.error
            log("e-mail not sent", kind=waiting.kind, outcome=outcome, error=type(error).__name__, code=_code(error),
                attempts=waiting.attempts)  # fmt: skip
            return outcome
        except Exception as error:  # a bug of ours: tried again as often as with a server that does not answer
            _log.exception("e-mail not sent", kind=waiting.kind, attempts=waiting.attempts)
            return _outcome(error, waiting)

    async def close(self) -> None:
        """Give what is being sent a moment, then stop; the rest waits for another worker."""
        if self._loop is not None:
            self._loop.cancel()
        if tasks := self._making | self._sending:
            await asyncio.wait(tasks, timeout=FLUSH_S)
        rest = [*self._making, *self._sending, *([self._loop] if self._loop else [])]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
