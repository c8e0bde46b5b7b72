"""E-mail leaves by a real SMTP server (STARTTLS, login), outside the request, and comes through failures."""

import asyncio
import time

import pytest

from tests.fixtures.ports import free_port
from tests.integration.accounts.conftest import SITE
from tests.integration.accounts.office import Office, texts, waiting
from tidewire.actions import mail
from tidewire.wire.errors import AppError

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_message_is_plain_and_html_and_secured(office: Office) -> None:
    user = await office.newcomer("mailed")
    await user.put("/users/me/patch", {"email": "moved@example.org", "password": "correct horse"})
    message = await office.mailbox.get("mailed@example.org", "address has changed")
    assert office.mailbox.secured[-1]
    assert message["From"] == "Tidewire <noreply@example.org>"
    assert message["To"] == "mailed@example.org"
    assert message["Subject"].startswith('[Tide & "Wire"]')
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.org>")
    plain, html = texts(message)
    assert "moved@example.org" in plain
    assert 'Tide & "Wire"' in plain
    assert "Tide &amp; &#34;Wire&#34;" in html
    # The new address is to be shown as one's own.
    verify = await office.mailbox.get("moved@example.org", "Confirm")
    assert f"{SITE}/do_verify_email?token=" in texts(verify)[0]


@pytest.mark.alone("an answer within two seconds")
async def test_the_request_does_not_wait_and_failures_are_tried_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await office.newcomer("patient")
    office.mailbox.refuse[:] = ["451 try again"]
    office.mailbox.stall_s = 1.8  # below the limit of 2 s
    began = time.monotonic()
    change = {"current_password": "correct horse", "new_password": "correct horse"}
    await user.put("/users/me/password", change)
    assert time.monotonic() - began < 1.7
    await office.mailbox.get("patient@example.org", "password has changed")
    assert not office.mailbox.refuse
    # What is refused for good is not.
    office.mailbox.stall_s = 0.0
    office.mailbox.refuse[:] = ["550 no such user"]
    await user.put("/users/me/password", change)
    async with asyncio.timeout(30):
        while office.mailbox.refuse:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert not office.mailbox.messages


async def test_a_dead_server_costs_time_and_a_wrong_setting_the_message(office: Office) -> None:
    user = await office.newcomer("unheard")
    change = {"current_password": "correct horse", "new_password": "correct horse"}
    for changes, arrives in (
        ({"EmailSettings__SMTPPort": str(free_port()), "EmailSettings__SMTPPassword": "wrong"}, True),
        ({"EmailSettings__ConnectionSecurity": "", "EmailSettings__SMTPServer": "mail.invalid"}, False),
        ({"EmailSettings__FeedbackEmail": "no address"}, False),
        ({"EmailSettings__SMTPServer": ""}, False),
    ):
        before = {name: _present(office, name) for name in changes}
        await office.configure(**changes)
        await user.put("/users/me/password", change)
        async with asyncio.timeout(30):  # until it has been tried so
            while (rows := await waiting(office.crew.town.db)) and not (arrives and rows[0]["attempts"]):
                await asyncio.sleep(0.01)
        await office.configure(**before)
        if arrives:  # at the next attempt, which uses what was corrected
            await office.mailbox.get("unheard@example.org")
    assert not office.mailbox.messages


def _present(office: Office, name: str) -> object:
    found: object = office.crew.town.gateway._context.config.values[name.replace("__", ".")]
    return found


@pytest.mark.parametrize(
    "address",
    [
        "a@example.org\r\nBcc: everybody@example.org", "a@example.org\nX: y", "a@example.org, b@example.org",
        "<a@example.org>", "a", "", "a@\x00example.org", "Ann <a@example.org>",
    ],
)  # fmt: skip
async def test_no_address_adds_a_header(address: str) -> None:
    with pytest.raises(AppError):
        mail.parse_address(address)


async def test_no_name_adds_a_header() -> None:
    with pytest.raises(AppError):
        mail.parse_address("a@example.org", "Ann\r\nBcc: everybody@example.org")


async def test_a_password_does_not_cross_the_network_in_clear() -> None:
    server = mail.Server("mail.example.org", 25, "user", "secret", "", True, 1.0)
    with pytest.raises(ValueError, match="clear"):
        await mail.deliver(server, mail.EmailMessage())


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    began = time.monotonic()
    with pytest.raises((TimeoutError, mail.aiosmtplib.SMTPException)):
        await mail.deliver(mail.Server("127.0.0.1", port, "", "", "", True, 0.3), mail.EmailMessage())
    assert time.monotonic() - began < 20
    silent.close()


async def test_too_many_waiting_messages_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "MAKING", 2)
    mailer, gate = mail.Mailer(), asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    for _ in range(5):
        mailer.later(wait)
    assert len(mailer._making) == 2
    gate.set()
    await mailer.close()
