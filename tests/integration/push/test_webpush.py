"""Pushes from the queue to a browser's push service that decrypts them; and to addresses that must never be called."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from push.providers import webpush
from push.providers.aes128gcm import PLAIN_LIMIT_BYTES, BadKeys, Vapid, encrypt
from tests.fixtures.authority import authority
from tests.fixtures.http2_peer import Reply, Silence, running
from tests.fixtures.webpush_peer import WebPushPeer
from tests.integration.push.world import sending, settings_for, until, until_empty
from tidewire.bus.push_queue import RemovedReader
from tidewire.bus.redis_client import RedisClient
from tidewire.settings import Settings
from tidewire.wire.push import Job, Notification, Subscription, new_job

PEM = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
VAPID = Vapid(PEM, "mailto:ops@example.org")
TARGET = "webpush"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[WebPushPeer]:
    async with running(WebPushPeer(authority().issue(tmp_path), VAPID.public_key)) as peer:
        yield peer
    assert peer.violations == []


@pytest.fixture
def settings(service: WebPushPeer, redis_url: str, tmp_path: Path) -> Settings:
    (tmp_path / "vapid.pem").write_bytes(PEM)
    return settings_for(
        redis_url,
        vapid_key=str(tmp_path / "vapid.pem"),
        vapid_subject="mailto:ops@example.org",
        webpush_allowed=(f"localhost:{service.port}",),
        ca_file=str(tmp_path / "ca.pem"),
    )


def push_for(subscription: Subscription, kind: str = "message", message: str = "hello") -> Job:
    body = Notification(server_id="s", type=kind, message=message, channel_id="c", badge=2)
    return new_job(body, provider="webpush", subscription=subscription)


async def test_a_browser_can_read_what_we_send(
    service: WebPushPeer, settings: Settings, redis_url: str
) -> None:
    long = "日本語 " * 2000
    jobs = [
        push_for(service.subscribe("a")),
        push_for(service.subscribe("b"), message=long),
        push_for(service.subscribe("c"), "clear", ""),
        push_for(service.subscribe("d"), "update_badge", ""),
    ]
    async with sending(settings) as sender:
        await sender.add(jobs)
        await until(lambda: len(service.received) == 4)
        await sender.add([push_for(service.subscribe(f"e{n}")) for n in range(20)])
        await until(lambda: len(service.received) == 24)
        await until_empty(redis_url, TARGET)
    assert service.connections <= 4  # one may have been opened for nothing, beside the others
    got = {one.device: one for one in service.received}
    assert got["a"].payload == {
        "server_id": "s",
        "type": "message",
        "message": "hello",
        "channel_id": "c",
        "badge": 2,
    }
    assert got["b"].payload["message"].endswith("…") and long.startswith(got["b"].payload["message"][:-1])
    assert len(got["b"].payload["message"]) > 1000
    assert (got["a"].headers["urgency"], got["c"].headers["urgency"]) == ("high", "low")
    assert "topic" not in got["a"].headers and got["c"].headers["topic"] != got["d"].headers["topic"]


async def test_verdicts_of_a_push_service(service: WebPushPeer, settings: Settings, redis_url: str) -> None:
    names = ("gone", "unknown", "forbidden", "moved", "small", "later", "slow")
    subscriptions = {name: service.subscribe(name) for name in names}
    service.script.always = {"gone": Reply(410), "unknown": Reply(404), "forbidden": Reply(403)}
    service.script.always["moved"] = Reply(307, {"location": service.subscribe("inside").endpoint})
    service.script.say("small", Reply(413), Reply(413))
    service.script.say("later", Reply(429, {"retry-after": "1"}))
    service.script.say("slow", Silence())
    async with sending(settings) as sender:
        await sender.add(
            [push_for(subscription, message="x" * 100) for subscription in subscriptions.values()]
        )
        await until(lambda: {one.device for one in service.received} == {"small", "later", "slow"})
        await until_empty(redis_url, TARGET)
    assert "inside" not in {one.device for one in service.received}
    small = next(one for one in service.received if one.device == "small")
    assert small.payload["message"] == "x" * 25
    reader = RemovedReader(redis_url, consumer="c")
    removed = {one.device: one.reason for _, one in await reader.read()}
    await reader.close()
    assert removed == {
        subscriptions["gone"].endpoint: "HTTP 410",
        subscriptions["unknown"].endpoint: "HTTP 404",
    }
    client = RedisClient(redis_url)
    letters = [fields for _, fields in await client.call("XRANGE", "push:dead", "-", "+")]
    reasons = [dict(zip(fields[::2], fields[1::2], strict=True))[b"reason"] for fields in letters]
    assert sorted(reasons) == [b"HTTP 307", b"HTTP 403"]  # no redirect is followed
    await client.close()


INSIDE = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1",
          "64:ff9b::7f00:1", "0.0.0.0", "100.64.0.1", "224.0.0.1"]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_never_called(
    service: WebPushPeer, settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    good = service.subscribe("x")
    evil = Subscription(endpoint="https://evil.example.org/x", p256dh=good.p256dh, auth=good.auth)

    async def look_up(host: str, port: int) -> list[str]:
        return ["93.184.216.34", address]  # one public address does not make it good

    monkeypatch.setattr(webpush, "look_up", look_up)
    called: list[str] = []
    monkeypatch.setattr(webpush, "builder", lambda line: called.append("client"))
    providers_settings = settings
    provider = webpush.WebPush(VAPID, webpush.Line(), allowed=providers_settings.push.webpush_allowed)
    called.clear()
    verdict = await provider.send(push_for(evil))
    assert (verdict.action.value, verdict.reason) == ("remove", "BadEndpoint")
    assert called == []


async def test_refused_endpoints_and_keys_are_removed_without_a_call(
    service: WebPushPeer, settings: Settings, redis_url: str
) -> None:
    good = service.subscribe("x")
    bad = [
        Subscription(endpoint="https://127.0.0.1/x", p256dh=good.p256dh, auth=good.auth),
        Subscription(endpoint=f"https://127.0.0.1:{service.port}/push/x", p256dh=good.p256dh, auth=good.auth),
        Subscription(endpoint=good.endpoint.replace("https", "http"), p256dh=good.p256dh, auth=good.auth),
        Subscription(endpoint=good.endpoint + "1", p256dh="AAAA", auth=good.auth),
        Subscription(endpoint=good.endpoint + "2", p256dh=good.p256dh, auth="%%%"),
        Subscription(endpoint=good.endpoint + "3", p256dh="", auth=""),
    ]
    async with sending(settings) as sender:
        await sender.add([push_for(subscription) for subscription in bad])
        await until_empty(redis_url, TARGET)
    reader = RemovedReader(redis_url, consumer="c")
    assert {one.device for _, one in await reader.read()} == {subscription.endpoint for subscription in bad}
    await reader.close()
    assert service.requests == 0


async def test_one_service_that_is_down_leaves_the_others_alone(
    service: WebPushPeer, settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    async with running(WebPushPeer(authority().issue(tmp_path / "other"), VAPID.public_key)) as other:
        dead = [other.subscribe(f"d{n}") for n in range(30)]
        await other.stop()
        allowed = (f"localhost:{service.port}", f"localhost:{other.port}")
        provider = webpush.WebPush(VAPID, webpush.Line(2.0, 1, settings.push.ca_file), allowed=allowed)
        verdicts = await asyncio.gather(*(provider.send(push_for(one)) for one in dead))
        assert {verdict.action.value for verdict in verdicts} == {"retry"}
        assert (await provider.send(push_for(dead[0]))).reason == "Resting"
        assert (await provider.send(push_for(service.subscribe("a")))).action.value == "sent"
        await provider.close()


def test_nothing_larger_than_a_record_is_encrypted() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    import base64

    text = base64.urlsafe_b64encode(point).decode()
    auth = base64.urlsafe_b64encode(bytes(16)).decode()
    assert len(encrypt(b"x" * PLAIN_LIMIT_BYTES, text, auth)) == 4096
    with pytest.raises(BadKeys):
        encrypt(b"x", text, base64.urlsafe_b64encode(bytes(15)).decode())
