"""Small tools of the system console: tests of the mail server and the address, onboarding, caches."""

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiosmtplib

from tidewire.actions import mail, permissions
from tidewire.actions.copies import announce
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.bus.cache import EVERYTHING
from tidewire.bus.envelope import user_key
from tidewire.store import system
from tidewire.store import users as user_store
from tidewire.wire.config import ITEMS, fault, is_masked
from tidewire.wire.errors import AppError
from tidewire.wire.models import Session

ONBOARDING = "FirstAdminSetupComplete"
PROBE_S = 5.0


async def do_test_email(services: Services, session: Session, given: dict[str, Any]) -> None:
    """Send the caller a message by the mail server of the configuration, with the given keys over it.

    Raises: 403; 400 without a server, for bad values, when the server refuses, and when a stored password would go to
    another server than the one it was stored for.
    """
    permissions.check_system(session, "test_email")
    before = services.config.values
    known = {name: value for name, value in given.items() if name.startswith("EmailSettings.")}
    if not known:
        raise AppError(
            "api.file.test_connection_email_settings_nil.app_error", 400, "E-mail settings are missing."
        )
    for name, value in known.items():
        if why := fault(ITEMS[name], value):
            raise AppError("api.context.invalid_body_param.app_error", 400, f"{name} {why}.")
    values = before | {name: value for name, value in known.items() if not is_masked(value)}
    same = (
        "SMTPServer",
        "SMTPPort",
        "SMTPUsername",
        "ConnectionSecurity",
        "SkipServerCertificateVerification",
    )
    if is_masked(known.get("EmailSettings.SMTPPassword", "")) and any(
        values[f"EmailSettings.{key}"] != before[f"EmailSettings.{key}"] for key in same
    ):
        raise AppError(
            "api.admin.test_email.reenter_password", 400, "The server has changed: enter the password again."
        )
    server = mail.server_in(values)
    if server is None:
        raise AppError("api.admin.test_email.missing_server", 400, "SMTP server and sender are required.")
    user = await get_user(services, session.user_id)
    message = mail.plain_message(
        values["EmailSettings.FeedbackEmail"], user.email, "Test of e-mail", "It works."
    )
    try:
        await mail.deliver(server, message)
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
        # The server's words stay in the log: they would tell a caller about machines that he cannot reach himself.
        raise AppError(
            "api.admin.test_email.failure", 400, "The mail server did not take the message."
        ) from error


async def do_test_site_url(session: Session, url: str) -> None:
    """Ask an address for our ping. Raises: 403; 400 if it is no address or does not answer with 200."""
    permissions.check_system(session, "test_site_url")
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and url.isascii()
            and not parts.username
        )
        if not good or any(char <= " " for char in url):
            raise ValueError("no address")
        async with asyncio.timeout(PROBE_S):
            status = await _probe(
                parts.hostname or "", port, parts.path.rstrip("/"), tls=parts.scheme == "https"
            )
    except (OSError, TimeoutError, ValueError, EOFError) as error:
        raise AppError("app.admin.test_site_url.failure", 400, "This is not a valid live URL.") from error
    if status != 200:
        raise AppError("app.admin.test_site_url.failure", 400, "This is not a valid live URL.")


async def _probe(host: str, port: int, path: str, *, tls: bool) -> int:
    """Return the status that GET <path>/api/v4/system/ping is answered with."""
    context = ssl.create_default_context() if tls else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=4096)
    try:
        writer.write(
            f"GET {path}/api/v4/system/ping HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        line = await reader.readuntil(b"\r\n")
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("no HTTP")
        return int(rest[:3])
    except asyncio.LimitOverrunError as error:
        raise ValueError("no HTTP") from error
    finally:
        writer.close()


async def is_onboarded(services: Services, session: Session) -> str:
    """Return "true" once the first administrator has finished the tour, else "false". Raises: 403."""
    permissions.check_system(session, "manage_system")
    return await system.value_of(services.db, ONBOARDING) or "false"


async def do_onboard(services: Services, session: Session) -> None:
    """Note that the tour is finished. Raises: 403."""
    permissions.check_system(session, "manage_system")
    if not await user_store.any_user(services.db):
        raise AppError("app.system.complete_onboarding_request.no_first_user", 403, "There is no user yet.")
    await system.keep(services.db, ONBOARDING, "true")


async def do_invalidate_caches(services: Services, session: Session) -> None:
    """Make every API worker forget its cached rows. Raises: 403."""
    permissions.check_system(session, "invalidate_caches")
    async with services.db.transaction() as tx:
        announce(tx, user_key(session.user_id), invalidates=[EVERYTHING])
