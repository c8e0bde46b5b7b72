"""Pushes from the queue to a stand-in of Google's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from push.start import providers_of
from tests.fixtures.authority import authority
from tests.fixtures.fcm_peer import FcmPeer, error
from tests.fixtures.http2_peer import GoAway, HangUp, Reply, Reset, running
from tests.integration.push.world import sending, settings_for, until, until_empty, write_config
from tidewire.bus.push_queue import PushQueue, RemovedReader
from tidewire.bus.redis_client import RedisClient
from tidewire.settings import Settings
from tidewire.wire.push import Job, Notification, new_job

TARGET = "android_rn"


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[FcmPeer]:
    async with running(FcmPeer(authority().issue(tmp_path))) as peer:
        yield peer
    assert peer.violations == []


@pytest.fixture
def settings(google: FcmPeer, redis_url: str, tmp_path: Path) -> Settings:
    google.write_account(tmp_path / "account.json")
    config = write_config(tmp_path, android=[{"Type": TARGET, "ServiceFileLocation": "account.json"}])
    return settings_for(
        redis_url, mattermost_config=str(config), fcm_url=google.url, ca_file=str(tmp_path / "ca.pem")
    )


def push_for(token: str, kind: str = "message") -> Job:
    body = Notification(
        platform="android_rn-v2", server_id="s", device_id=token, type=kind, message="hi :tada:"
    )
    return new_job(body, provider="fcm")


async def test_pushes_reach_google_with_one_token(
    google: FcmPeer, settings: Settings, redis_url: str
) -> None:
    google.script.say("t7", Reset())
    google.script.say("t9", HangUp())
    google.script.say("t11", GoAway(keep=2))
    async with sending(settings) as sender:
        await sender.add([push_for(f"t{n}") for n in range(150)])
        await until(lambda: {one.token for one in google.received} == {f"t{n}" for n in range(150)})
        await until_empty(redis_url, TARGET)
    assert google.grants == 1
    assert google.received[0].data["message"] == "hi 🎉 "


async def test_verdicts_of_google(google: FcmPeer, settings: Settings, redis_url: str) -> None:
    google.script.always = {
        "gone": error(404, "UNREGISTERED"),
        "other": error(403, "SENDER_ID_MISMATCH"),
        "malformed": error(400, "INVALID_ARGUMENT", field_name="message.token"),
        "wrong": error(400, "INVALID_ARGUMENT", field_name="message.data"),
    }
    google.script.say(
        "later", error(429, "QUOTA_EXCEEDED", retry_after=1), error(503, "UNAVAILABLE", retry_after=1)
    )
    async with sending(settings) as sender:
        await sender.add([push_for(token) for token in ("gone", "other", "malformed", "wrong", "later")])
        await until(lambda: [one.token for one in google.received] == ["later"])
        await until_empty(redis_url, TARGET)
    reader = RemovedReader(redis_url, consumer="c")
    assert {one.device: one.reason for _, one in await reader.read()} == {
        "gone": "UNREGISTERED",
        "other": "SENDER_ID_MISMATCH",
        "malformed": "INVALID_ARGUMENT",
    }
    await reader.close()
    client = RedisClient(redis_url)
    assert await client.call("XLEN", "push:dead") == 1
    await client.close()


async def test_a_token_is_replaced_in_the_background_and_when_it_is_refused(
    google: FcmPeer, settings: Settings, redis_url: str
) -> None:
    google.expires_in = 320  # due in 160 s, at its end in 310
    providers, _ = providers_of(settings.push)
    token = providers[TARGET]._token  # type: ignore[attr-defined]
    async with sending(settings, providers) as sender:
        await sender.add([push_for("one")])
        await until_empty(redis_url, TARGET)
        token._due -= 200
        assert await token.get() == "ya29.1"  # nobody waits for the new one
        await until(lambda: google.grants == 2)
        await sender.add([push_for("two")])
        await until_empty(redis_url, TARGET)
        google.forget_tokens()
        await sender.add([push_for("three")])
        await until(lambda: len(google.received) == 3)
        await until_empty(redis_url, TARGET)
    assert google.grants == 3


async def test_without_a_token_everything_waits(google: FcmPeer, settings: Settings, redis_url: str) -> None:
    google.grant_answer = Reply(400, body=b'{"error":"invalid_grant"}')
    async with sending(settings) as sender:
        await sender.add([push_for(f"t{n}") for n in range(20)])
        await until(lambda: not sender.stations[TARGET].breaker.closed)
    queue = PushQueue(redis_url)
    assert await queue.depth(TARGET) == 20
    await queue.close()
    assert google.received == [] and google.grants < 10
