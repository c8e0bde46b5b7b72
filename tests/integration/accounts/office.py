"""The small world with a bot and a mail server, and its run-time configuration."""

import asyncio
import email
import email.policy
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.fixtures.api import PASSWORD, Api, Client
from tests.fixtures.ports import free_port
from tests.integration.people.crew import Crew
from tidewire.store.db import Database
from tidewire.wire.config import DEFAULTS


@dataclass
class Mailbox:
    """A real SMTP server with STARTTLS and a login. refuse: what to answer to a message instead of taking it."""

    messages: list[EmailMessage] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)
    stall_s: float = 0.0
    secured: list[bool] = field(default_factory=list)
    port: int = 0
    _controller: Controller | None = None

    def start(self, context: ssl.SSLContext) -> None:
        """Listen."""
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._log_in,
        )
        self._controller.start()

    def stop(self) -> None:
        """Stop listening."""
        if self._controller is not None:
            self._controller.stop()

    def _log_in(
        self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"tide", b"wire")
        return AuthResult(success=good)

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        """Take a message."""
        if self.stall_s:
            await asyncio.sleep(self.stall_s)
        if self.refuse:
            return self.refuse.pop(0)
        assert isinstance(envelope.content, bytes)
        self.secured.append(session.ssl is not None)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        message["X-To"] = ",".join(envelope.rcpt_tos)
        self.messages.append(message)
        return "250 OK"

    async def get(self, to: str, subject: str = "") -> EmailMessage:
        """Return the next message to an address, and forget it."""
        async with asyncio.timeout(30):
            while True:
                for message in self.messages:
                    if message["X-To"] == to and subject in message["Subject"]:
                        self.messages.remove(message)
                        return message
                await asyncio.sleep(0.01)


async def waiting(db: Database) -> list[Any]:
    """Return the messages that wait."""
    return await db.fetch("SELECT * FROM mails ORDER BY id")


def texts(message: EmailMessage) -> tuple[str, str]:
    """Return a message's plain and HTML text."""
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


def token_in(message: EmailMessage) -> str:
    """Return the token of a message's link."""
    found = re.search(r"[?&]t(?:oken)?=(\w{64})", texts(message)[0])
    assert found
    return found[1]


@dataclass
class Office:
    """People, two bots that the admin owns, and the configuration of the API and the gateway."""

    crew: Crew
    bot: Client
    operator: Client  # an admin of a kind that no second factor and no other's limit keeps out: a bot
    mailbox: Mailbox

    @property
    def api(self) -> Api:
        """The API."""
        return self.crew.people.api

    async def configure(self, **values: Any) -> None:
        """Put values in force everywhere; `Section__Key` stands for Section.Key, None for the default."""
        patch: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            section, _, key = name.partition("__")
            default = DEFAULTS[f"{section}.{key}"]
            patch.setdefault(section, {})[key] = default if value is None else value
        await self.operator.put("/config/patch", patch)
        n = await self.crew.town.db.fetchval("SELECT n FROM revisions WHERE name = 'config'")
        async with asyncio.timeout(30):
            while self.crew.town.gateway._context.config.n < n:
                await asyncio.sleep(0.005)

    async def newcomer(self, name: str) -> Client:
        """Return a new account, logged in."""
        return await self.api.user(name)

    def bearer(self, token: str) -> Client:
        """Return a caller with a token."""
        return self.api.anonymous(Authorization="Bearer " + token)

    async def fails(
        self, caller: Client, method: str, path: str, body: Any, status: int, error_id: str
    ) -> None:
        """Check that a call is refused with this status and id."""
        answer = await caller.request(method, path, json=body)
        assert (answer.status_code, answer.json().get("id")) == (status, error_id), (path, body, answer.text)


@asynccontextmanager
async def sessions_kept(office: Office) -> AsyncIterator[None]:
    """Put the sessions of now back at the end: the folder's world goes on."""
    db = office.crew.town.db
    rows = await db.fetch("SELECT * FROM sessions")
    try:
        yield
    finally:
        await db.execute("DELETE FROM sessions")
        for row in rows:
            names, values = list(row.keys()), list(row.values())
            places = ", ".join(f"${n + 1}" for n in range(len(names)))
            await db.execute(f"INSERT INTO sessions ({', '.join(names)}) VALUES ({places})", *values)


async def new_bot(admin: Client, api: Api, name: str) -> Client:
    """Return a new bot of the admin, which calls by an access token."""
    made = await admin.post("/bots", {"username": name, "display_name": name.title()}, expect=201)
    token = await admin.post(f"/users/{made['user_id']}/tokens", {"description": "key"})
    bot = api.anonymous(Authorization="Bearer " + token["token"])
    bot.me = {"id": made["user_id"]}
    return bot


async def log_in(caller: Client, name: str, password: str = PASSWORD, **more: Any) -> Any:
    """Return the answer to a login."""
    body = {"login_id": name, "password": password, **more}
    return await caller.request("POST", "/users/login", json=body)
