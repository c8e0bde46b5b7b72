"""One world, one gateway and one mail server for all tests of this folder: they take seconds to start."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from tests.fixtures.api import Api, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.accounts.office import Mailbox, Office, new_bot
from tests.integration.gateway.world import world
from tests.integration.people.crew import enlist
from tests.integration.people.crew import new_bot as crew_bot
from tidewire.actions import mail

SITE = "https://chat.example.org"


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared_office(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    """The folder's world; its Redis is its own, since `redis_url` empties the session's."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    root = Path(tmp_path_factory.mktemp("smtp")) / "root.pem"
    authority.cert_pem.write_to_path(str(root))
    mailbox, redis = Mailbox(), Redis(durable=False)
    redis.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(root))  # what OpenSSL trusts in this process
            mail._tls.cache_clear()  # and not what an earlier world of this process was to trust
            mailbox.start(context)
            async with cloned(postgres) as url, world(url, redis.url) as town:
                # Failed logins are many here, and all from one address; other tests try that limit.
                limits = {"logins_per_minute": 0}
                api = Api(new_settings(url, redis.url, limits=limits))
                await api.start()
                crew = await enlist(await settle(api), town)
                admin = crew.people.admin
                crew.bot = await crew_bot(crew.people)
                operator = await new_bot(admin, api, "operator")
                grant = "UPDATE users SET roles = 'system_admin system_user' WHERE id = $1"
                await town.db.execute(grant, operator.id)  # before its first call: no worker has it in memory
                office = Office(crew, crew.bot, operator, mailbox)
                await office.configure(
                    ServiceSettings__SiteURL=SITE,
                    TeamSettings__SiteName='Tide & "Wire"',
                    EmailSettings__SMTPServer="127.0.0.1",
                    EmailSettings__SMTPPort=str(mailbox.port),
                    EmailSettings__EnableSMTPAuth=True,
                    EmailSettings__SMTPUsername="tide",
                    EmailSettings__SMTPPassword="wire",
                    EmailSettings__ConnectionSecurity="STARTTLS",
                    EmailSettings__FeedbackEmail="noreply@example.org",
                    EmailSettings__FeedbackName="Tidewire",
                    EmailSettings__SMTPServerTimeout=2,
                )
                yield office
                await api.stop()
    finally:
        mail._tls.cache_clear()
        mailbox.stop()
        redis.stop()


@pytest_asyncio.fixture(loop_scope="package")
async def office(shared_office: Office) -> AsyncIterator[Office]:
    """The folder's world. Sockets are the test's own; they are cut at its end, and every other message is forgotten."""
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while await shared_office.crew.town.db.fetchval("SELECT count(*) FROM mails"):
                await asyncio.sleep(0.01)
    await shared_office.crew.town.db.execute("DELETE FROM mails")
    shared_office.mailbox.messages.clear()
    yield shared_office
    shared_office.crew.town.cut_clients()
    shared_office.mailbox.refuse.clear()
    shared_office.mailbox.stall_s = 0.0
