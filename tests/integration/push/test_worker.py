"""From a post by HTTPS to a strict stand-in of Apple's or a browser's push service, through a worker that is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import pytest
import pytest_asyncio

from push import housekeeping
from tests.fixtures.api import Client
from tests.fixtures.apns_peer import ApnsPeer, Received, error
from tests.fixtures.authority import authority
from tests.fixtures.http2_peer import running
from tests.fixtures.postgres import Postgres
from tests.fixtures.webpush_peer import WebPushPeer
from tests.integration.push.phones import Phones, phones_of
from tests.integration.push.world import apple_target, until, write_config
from tidewire.bus.push_queue import PushQueue
from tidewire.settings import child_environment
from tidewire.store.db import Database
from tidewire.wire.ids import new_id, now_ms

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLAIM_S = 7


@dataclass
class Town:
    """The world, Apple, a browser's push service, and the worker between them."""

    phones: Phones
    apple: ApnsPeer
    service: WebPushPeer
    environment: dict[str, str]
    log: Path
    worker: "subprocess.Popen[bytes] | None" = None
    device: str = field(default_factory=new_id)

    async def start(self) -> None:
        """Start a worker and wait until it works."""
        ready, theirs = os.pipe()
        with self.log.open("ab") as out:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "tidewire", "push", "worker"],
                env=self.environment | {"TIDEWIRE_PUSH_READY_FD": str(theirs)},
                stdout=out,
                stderr=out,
                pass_fds=(theirs,),
            )
        os.close(theirs)
        with os.fdopen(ready, "rb") as pipe:
            assert await asyncio.to_thread(pipe.read, 1) == b"1", self.log.read_text()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.send_signal(how)
            self.worker.wait(20)
            self.worker = None

    def of(self, post: dict[str, Any]) -> list[Received]:
        """Return what Apple got for a post."""
        return [one for one in self.apple.received if one.body.get("post_id") == post["id"]]

    async def say(self, message: str = "@owner") -> dict[str, Any]:
        """Mention the owner, who looks elsewhere."""
        body = {"channel_id": self.phones.people.channel["id"], "message": message}
        made: dict[str, Any] = await self.phones.people.member.post("/posts", body, expect=201)
        return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The module's town, with a worker that runs."""
    folder = tmp_path_factory.mktemp("push")
    certificate = authority().issue(folder)
    async with running(ApnsPeer(certificate)) as apple, running(WebPushPeer(certificate, "")) as service:
        sections = {
            "push": {
                "mattermost_config": str(write_config(folder, apple=[apple_target(folder)])),
                "apns_url": apple.url,
                "ca_file": str(folder / "ca.pem"),
                "webpush_allowed": f"localhost:{service.port}",
                "attempt_timeout_s": "2",
                "claim_after_s": str(CLAIM_S),
            }
        }
        async with phones_of(postgres, **sections) as phones:
            state = await phones.people.owner.get("/users/me/webpush")
            service._vapid = state["public_key"]
            environment = child_environment(
                {"database": {"url": phones.database_url}, "redis": {"url": phones.redis_url}, **sections}
            )
            made = Town(phones, apple, service, environment, folder / "log")
            await phones.give_phone(phones.people.owner, f"apple_rn-v2:{made.device}")
            await made.start()
            yield made
            made.kill(signal.SIGTERM)
            print(made.log.read_text())  # shown if a test failed
    assert apple.violations == []
    assert service.violations == []


async def test_a_post_rings_a_phone_and_a_browser_once(town: Town) -> None:
    owner = await town.phones.log_in_again(town.phones.people.owner)
    subscription = town.service.subscribe("laptop")
    keys = {"p256dh": subscription.p256dh, "auth": subscription.auth}
    await owner.post("/users/me/webpush", {"endpoint": subscription.endpoint, "keys": keys})
    made = await town.say("*hello*, @owner")
    await until(lambda: town.of(made) and town.service.received)
    (got,) = town.of(made)
    assert got.device == town.device
    assert got.body["aps"]["alert"] == {"title": "Harbour", "body": "@member: hello, @owner"}
    claims = jwt.decode(got.body["signature"], options={"verify_signature": False})
    assert claims == {"ack_id": got.body["ack_id"], "device_id": town.device}
    (shown,) = town.service.received
    assert (shown.payload["channel_name"], shown.payload["message"]) == ("Harbour", "@member: hello, @owner")
    await owner.post("/users/logout")
    last = await town.say()
    await until(lambda: town.of(last))
    assert len(town.of(made)) == 1
    assert len(town.service.received) == 1


async def test_reading_elsewhere_clears_the_phone(town: Town) -> None:
    web = await town.phones.log_in_again(town.phones.people.owner)
    made = await town.say()
    await until(lambda: town.of(made))
    before = len(town.apple.received)
    await web.post("/channels/members/me/view", {"channel_id": made["channel_id"]})
    await until(lambda: len(town.apple.received) > before)
    cleared = town.apple.received[-1]
    assert (cleared.body["type"], cleared.body["channel_id"]) == ("clear", made["channel_id"])
    await web.post("/channels/members/me/view", {"channel_id": town.phones.sentinel})
    await web.post("/users/logout")


async def test_whether_a_device_can_be_reached(town: Town) -> None:
    anonymous = town.phones.people.anonymous
    town.apple.script.say("gone", error(410, "Unregistered", timestamp=now_ms()))
    for device, expected in (("alive", "true"), ("gone", "false")):
        ping = await anonymous.get(f"/system/ping?device_id=apple_rn-v2:{device}")
        assert ping["CanReceiveNotifications"] == expected
    ping = await anonymous.get("/system/ping?device_id=android_rn-v2:nobody-sends-to-it")
    assert ping["CanReceiveNotifications"] == "unknown"


async def test_nothing_is_lost_by_killing_the_worker(town: Town) -> None:
    """While it works, and while it is dead; what comes twice has the same name."""

    async def chat(count: int) -> list[dict[str, Any]]:
        return [await town.say(f"@owner {number}") for number in range(count)]

    first = asyncio.create_task(chat(60))
    await until(lambda: len([one for one in town.apple.received if "post_id" in one.body]) > 10)
    town.kill()
    between = await town.say("@owner, while nobody works")
    posts = [*await first, between]
    await town.start()
    # What the dead one had is taken over some seconds later; the rest at once.
    await until(lambda: all(town.of(post) for post in posts), timeout_s=4 * CLAIM_S)
    for post in posts:
        assert len({one.apns_id for one in town.of(post)}) == 1
    assert sum(len(town.of(post)) > 1 for post in posts) < 20


async def test_a_device_that_apple_does_not_know_gets_nothing_more(town: Town) -> None:
    phones = town.phones
    teammate, member = phones.people.teammate, phones.people.member
    phone = await phones.log_in_again(teammate)
    await phones.give_phone(phone, "apple_rn-v2:lost")
    town.apple.script.say("lost", error(410, "Unregistered", timestamp=now_ms() + 1000))
    channel = await phones.direct(member, teammate)
    await member.post("/posts", {"channel_id": channel, "message": "to a lost phone"}, expect=201)
    async with asyncio.timeout(30):
        while not await removed_of(phone):
            await asyncio.sleep(0.1)
    assert await removed_of(phone) == "apple_rn-v2:lost"
    await member.post("/posts", {"channel_id": channel, "message": "again"}, expect=201)
    last = await town.say()
    await until(lambda: town.of(last))
    assert [one for one in town.apple.received if one.device == "lost"] == []
    await phones.give_phone(phone, "apple_rn-v2:found")
    made = await member.post("/posts", {"channel_id": channel, "message": "to a new one"}, expect=201)
    await until(lambda: town.of(made))
    await phone.post("/users/logout")


async def removed_of(phone: Client) -> str:
    """Return what the session's props say of a removed device."""
    sessions = await phone.get("/users/me/sessions")
    found = [one["props"].get("last_removed_device_id", "") for one in sessions]
    return next(filter(None, found), "")


async def test_a_phone_is_told_once_that_its_login_has_ended(town: Town) -> None:
    phones = town.phones
    phone = await phones.log_in_again(phones.people.teammate)
    await phones.give_phone(phone, "apple_rn-v2:expired")
    db, queue = Database(phones.database_url), PushQueue(phones.redis_url)
    connection = await asyncpg.connect(phones.database_url)
    try:
        await phones.decide([])
        assert await housekeeping.tell_expired(db, phones.config, queue) == 0
        end = "UPDATE sessions SET expires_at = $2 WHERE device_id = $1"
        await connection.execute(end, "apple_rn-v2:expired", now_ms() - 1)
        assert await housekeeping.tell_expired(db, phones.config, queue) == 1
        assert await housekeeping.tell_expired(db, phones.config, queue) == 0
        await until(lambda: [one for one in town.apple.received if one.device == "expired"])
        (told,) = [one for one in town.apple.received if one.device == "expired"]
        assert told.body["type"] == "session"
        assert told.body["signature"] == "NO_SIGNATURE"
        assert "Session expired" in str(told.body["aps"]["alert"])
    finally:
        await connection.close()
        await queue.close()
        await db.close()
