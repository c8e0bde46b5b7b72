"""E-mail waits in the database: sealed, in the transaction of its cause, sent by any worker, given up in the end."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest
import structlog

from tests.fixtures.api import PASSWORD, Api, Client, new_settings
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.accounts.office import Office, texts, token_in, waiting
from tests.integration.accounts.test_switches import switched
from tidewire.actions import mail
from tidewire.actions.vault import Vault
from tidewire.store.db import Database
from tidewire.wire.ids import now_ms

pytestmark = pytest.mark.asyncio(loop_scope="package")
ROOT = Path(__file__).parents[3]


async def test_what_waits_is_sealed_and_bound_to_its_cause(office: Office) -> None:
    user, db = await office.newcomer("sealed"), office.crew.town.db
    async with switched(office, EmailSettings__SMTPPort=str(free_port())):
        await office.crew.people.anonymous.post("/users/password/reset/send", {"email": "sealed@example.org"})
        async with asyncio.timeout(30):
            while not (rows := await waiting(db)):
                await asyncio.sleep(0.01)
        assert rows[0]["kind"] == "password_reset"
        for word in (b"sealed@example.org", b"Reset", b"token"):
            assert word not in rows[0]["sealed"]
        # A change that fails leaves no message.
        body = {"current_password": "wrong", "new_password": PASSWORD}
        await user.put("/users/me/password", body, expect=400)
        assert len(await waiting(db)) == 1
    await office.configure(EmailSettings__SMTPPort=str(office.mailbox.port))
    await db.execute("UPDATE mails SET next_at = 0")
    token = token_in(await office.mailbox.get("sealed@example.org", "Reset"))
    new = {"token": token, "new_password": PASSWORD}
    await office.crew.people.anonymous.post("/users/password/reset", new, expect=200)
    async with asyncio.timeout(30):
        while await waiting(db):
            await asyncio.sleep(0.01)


async def test_what_cannot_be_sent_is_given_up_with_one_line(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "RETRIES_S", (0.01, 0.01))
    user, db = await office.newcomer("unlucky"), office.crew.town.db
    change = {"current_password": PASSWORD, "new_password": PASSWORD}
    with structlog.testing.capture_logs() as logs:
        office.mailbox.refuse[:] = ["451 later"] * 9
        await user.put("/users/me/password", change)
        async with asyncio.timeout(30):
            while not (lines := [one for one in logs if one.get("outcome") == "given_up"]):
                await asyncio.sleep(0.01)
        assert lines == [one for one in logs if one["log_level"] == "error"]
        assert (lines[0]["attempts"], lines[0]["code"], len(office.mailbox.refuse)) == (3, 451, 6)
        # One that has grown too old is tried once more.
        monkeypatch.setattr(mail, "AGE_S", -1)
        await user.put("/users/me/password", change)
        async with asyncio.timeout(30):
            while len([one for one in logs if one.get("outcome") == "given_up"]) < 2:
                await asyncio.sleep(0.01)
        assert len(office.mailbox.refuse) == 5
    async with asyncio.timeout(30):
        while await waiting(db):
            await asyncio.sleep(0.01)
    assert not office.mailbox.messages


async def test_what_the_mailer_stumbles_over_holds_up_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard library's parser raises an AttributeError for such a header, wherever it may have come from."""
    user, db = await office.newcomer("behind"), office.crew.town.db
    vault = await Vault.open(office.crew.people.api.settings, db)
    monkeypatch.setattr(mail, "RETRIES_S", ())
    await db.execute(
        "INSERT INTO mails (kind, created_at, next_at, sealed) VALUES ('poison', $1, 0, $2)",
        now_ms(),
        vault.seal(mail.SEALED_AS, b"From: a@example.org\r\nTo: x@[\r\n\r\nhello"),
    )
    await user.put("/users/me/password", {"current_password": PASSWORD, "new_password": PASSWORD})
    await office.mailbox.get("behind@example.org", "password has changed")
    async with asyncio.timeout(30):
        while await waiting(db):
            await asyncio.sleep(0.01)


async def test_no_more_wait_than_may(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    user, db = await office.newcomer("crowded"), office.crew.town.db
    change = {"current_password": PASSWORD, "new_password": PASSWORD}
    monkeypatch.setattr(mail, "QUEUE", 0)
    await user.put("/users/me/password", change)  # the change itself is not refused
    monkeypatch.undo()
    assert not await waiting(db)
    assert not office.mailbox.messages


async def test_messages_survive_the_process_that_took_them(office: Office, postgres: Postgres) -> None:
    """SIGKILL while the mail server is away; another worker sends what was acknowledged, once."""
    redis = Redis(durable=False)
    redis.start()
    port = free_port()
    try:
        async with cloned(postgres) as url:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tidewire", "api"),
                cwd=ROOT,
                env=os.environ
                | {
                    "TIDEWIRE_DATABASE_URL": url,
                    "TIDEWIRE_REDIS_URL": redis.url,
                    "TIDEWIRE_API_PORT": str(port),
                    "TIDEWIRE_API_WORKERS": "1",
                    "TIDEWIRE_METRICS_PORT": "0",
                },
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
                    names = await _leave_messages(Client(http))
            finally:
                os.killpg(process.pid, 9)
                await process.wait()
            db = Database(url)
            rows = await waiting(db)
            assert len(rows) == len(names)
            await db.execute("UPDATE mails SET next_at = 0")  # not to wait until the dead one's claims run out
            heir = Api(new_settings(url, redis.url))
            await heir.start()
            admin = await heir.anonymous().log_in("admin")
            await admin.put("/config/patch", {"EmailSettings": {"SMTPPort": str(office.mailbox.port)}})
            await db.execute("UPDATE mails SET next_at = 0")
            for name in names:
                message = await office.mailbox.get(f"{name}@example.org", "password has changed")
                assert name in texts(message)[0]
            async with asyncio.timeout(30):
                while await waiting(db):
                    await asyncio.sleep(0.01)
            assert not office.mailbox.messages
            await heir.stop()
            await db.close()
    finally:
        redis.stop()


async def _leave_messages(caller: Client) -> list[str]:
    """Let some users change their passwords while the mail server does not answer; return their names."""
    async with asyncio.timeout(60):
        while True:
            try:
                if (await caller.request("GET", "/system/ping")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    names = ["kim", "lou", "max"]
    for name in ("admin", *names):
        body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        await caller.post("/users", body, expect=201)
    await caller.log_in("admin")
    email = {
        "SMTPServer": "127.0.0.1",
        "SMTPPort": str(free_port()),
        "EnableSMTPAuth": True,
        "SMTPUsername": "tide",
        "SMTPPassword": "wire",
        "ConnectionSecurity": "STARTTLS",
        "FeedbackEmail": "noreply@example.org",
        "SMTPServerTimeout": 2,
    }
    await caller.put("/config/patch", {"EmailSettings": email})
    for name in names:
        user = await caller.get(f"/users/username/{name}")
        await caller.put(f"/users/{user['id']}/password", {"new_password": PASSWORD})
    return names
