"""`tidewire push` as a Mattermost server meets it: a real process, real HTTP, a stand-in of Apple's behind it."""

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from push.providers.relay import encode
from tests.fixtures.apns_peer import ApnsPeer, error
from tests.fixtures.authority import authority
from tests.fixtures.http2_peer import Silence, running
from tests.fixtures.push_proxy import PushProxy
from tests.fixtures.redis import Redis
from tests.integration.push.world import (
    DEVICE,
    apple_target,
    push_for,
    sending,
    settings_for,
    until,
    write_config,
)
from tidewire import __version__
from tidewire.wire.push import Notification, new_job

SERVER_SENDS = {  # as Mattermost's server writes it
    "ack_id": "a" * 26,
    "platform": "apple_rn-v2",
    "server_id": "srv",
    "device_id": DEVICE,
    "post_id": "p" * 26,
    "category": "CAN_REPLY",
    "message": "@ann: hi :tada:",
    "badge": 2,
    "cont_ava": 0,
    "channel_id": "c" * 26,
    "channel_name": "Town Square",
    "type": "message",
    "sender_id": "s" * 26,
    "version": "v2",
    "is_crt_enabled": True,
    "is_id_loaded": False,
    "signature": "sig",
}


@asynccontextmanager
async def proxied(
    redis_url: str, folder: Path, *flags: str, file: dict[str, Any] | None = None, **push: Any
) -> AsyncIterator[tuple[PushProxy, ApnsPeer, httpx.AsyncClient]]:
    """Run Apple's stand-in and a proxy before it; yield both, and a client of the proxy."""
    async with running(ApnsPeer(authority().issue(folder))) as apple:
        targets = [
            apple_target(folder),
            apple_target(folder, "apple_rnbeta"),
            {"Type": "broken", "ApplePushTopic": "t"},
        ]
        config = write_config(folder, apple=targets, **(file or {}))
        quick = {"attempt_timeout_s": 2.0, "claim_after_s": 7.0, "answer_wait_s": 2.0, "drain_s": 3.0}
        proxy = PushProxy(
            redis_url,
            "--mattermost-config",
            str(config),
            *flags,
            apns_url=apple.url,
            ca_file=str(folder / "ca.pem"),
            **{**quick, **push},
        )
        await asyncio.to_thread(proxy.start)
        try:
            verify = authority().trusting() if proxy.scheme == "https" else True
            async with httpx.AsyncClient(base_url=proxy.url, verify=verify, timeout=20) as client:
                yield proxy, apple, client
        finally:
            await asyncio.to_thread(proxy.stop)


async def send(client: httpx.AsyncClient, **fields: Any) -> dict[str, str]:
    answer = await client.post("/api/v1/send_push", json={**SERVER_SENDS, **fields})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    outcome: dict[str, str] = answer.json()
    return outcome


async def test_an_existing_server_may_point_at_it(redis_url: str, tmp_path: Path) -> None:
    file = {"EnableMetrics": True, "SendTimeoutSec": 2, "RetryTimeoutSec": 2}
    async with proxied(redis_url, tmp_path, file=file) as (proxy, apple, client):
        assert (await client.get("/")).text == "<html><body>Mattermost Push Proxy</body></html>"
        version = (await client.get("/version")).json()
        assert set(version) == {"hash", "version"}
        assert version["version"].startswith(__version__) and re.fullmatch(r"(sha256-)?[0-9a-f]{40}", version["hash"])
        assert (await client.get("/healthz")).status_code == 200
        await _until_ready(client)

        assert await send(client) == {"status": "OK"}
        assert apple.received[0].body["aps"]["alert"] == {"title": "Town Square", "body": "@ann: hi 🎉 "}
        assert await send(client, platform="apple_rnbeta-v2", type="clear", badge=0) == {"status": "OK"}
        assert apple.received[1].body["aps"]["badge"] == 1
        apple.script.always = {"d" * 64: error(410, "Unregistered"), "e" * 64: error(400, "TopicDisallowed")}
        assert await send(client, device_id="d" * 64) == {"status": "REMOVE"}
        answer = await send(client, device_id="e" * 64)
        assert answer["status"] == "FAIL" and answer["error"].startswith("unknown send response error")

        ack = {"id": "a", "received_at": 1, "platform": "ios", "type": "message", "post_id": "p"}
        assert (await client.post("/api/v1/ack", json=ack)).json() == {"status": "OK"}
        figures = (await client.get("/metrics")).text
        for line in (
            'service_notifications_total{platform="apple",transport="",type="message"} 3.0',
            'service_notifications_by_app_version_total{app_version="2",platform="apple_rn"} 3.0',
            'service_success_total{platform="apple",transport="",type="message"} 1.0',
            'service_success_with_ack_total{platform="apple",transport="",type="message"} 1.0',
            'service_delivered_total{platform="ios",transport="",type="message"} 1.0',
            'service_failure_total{platform="apple",transport="",type="message"} 2.0',
            'service_failure_with_reason_total{platform="apple",reason="Unregistered",transport="",type="message"} 1.0',
            'service_removal_total{platform="apple",reason="Unregistered",transport=""} 1.0',
            "service_apns_request_duration_seconds_count 4.0",
            "service_request_duration_seconds_count 5.0",
            'service_notification_duration_seconds_count{platform="apple"} 4.0',
            'tidewire_push_attempt_seconds_count{provider="apple",verdict="sent"} 2.0',
            'tidewire_push_dead_total{reason="TopicDisallowed",target="apple_rn"} 1.0',
        ):
            assert line in figures, line
        for name in ("bad_request_total", "fcm_request_duration_seconds"):
            assert f"service_{name}" in figures
        assert 'target="broken"' not in figures and "target broken" in proxy.tail()
    log = proxy.tail()
    assert '"event": "push sent"' not in log  # only at debug
    assert "push not sent" in log and DEVICE not in log and "hi :tada:" not in log and "e" * 64 not in log


async def _until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"server_id": ""}, "Failed because of missing server Id"),
        ({"device_id": ""}, "Failed because of missing device Id serverId=srv"),
        (
            {"platform": "windows"},
            "Did not send message because of missing platform property type=windows serverId=srv",
        ),
        (
            {"platform": "broken"},
            "Did not send message because of missing platform property type=broken serverId=srv",
        ),
        (
            {"platform": "webpush"},
            "Did not send message because of missing platform property type=webpush serverId=srv",
        ),
        ({"platform": ""}, "Did not send message because of missing platform property type= serverId=srv"),
        ({"badge": "3"}, "Failed to read message body: "),
        ({"message": "x" * 70_000}, "Failed to read message body: too large"),
    ],
)
async def test_bad_input_gets_the_contracts_answer(
    shared: httpx.AsyncClient, fields: dict[str, Any], text: str
) -> None:
    answer = await send(shared, **fields)
    assert answer["status"] == "FAIL" and answer["error"].startswith(text)


async def test_other_routes_and_methods(shared: httpx.AsyncClient) -> None:
    assert (await shared.get("/api/v1/send_push")).status_code == 405
    assert (await shared.get("/nowhere")).status_code == 404
    assert (await shared.get("/metrics")).status_code == 404
    chunks = (piece for piece in [b'{"server_id":"', b"x" * 70_000])
    answer = await shared.post("/api/v1/send_push", content=_async(chunks))
    assert answer.json()["error"] == "Failed to read message body: too large"
    for body in (b"", b"nonsense", b"[]"):
        assert (await shared.post("/api/v1/ack", content=body)).json()["status"] == "FAIL"


async def _async(chunks: Any) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.fixture(scope="module")
def shared_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One proxy for all tests that only ask: its URL. With a Redis of its own: it would take other tests' pushes."""
    redis, folder = Redis(durable=False), tmp_path_factory.mktemp("proxy")
    redis.start()
    config = write_config(folder, apple=[apple_target(folder), {"Type": "broken", "ApplePushTopic": "t"}])
    proxy = PushProxy(redis.url, "--mattermost-config", str(config), apns_url="https://localhost:1")
    proxy.start()
    yield proxy.url
    proxy.stop()
    redis.stop()


@pytest.fixture
async def shared(shared_proxy: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=shared_proxy, timeout=20) as client:
        yield client


async def test_ok_means_queued_when_the_verdict_takes_long(redis_url: str, tmp_path: Path) -> None:
    async with proxied(redis_url, tmp_path, answer_wait_s=0.5) as (_, apple, client):
        apple.script.say(DEVICE, Silence())
        assert await send(client) == {"status": "OK"}
        assert apple.received == []
        await until(lambda: len(apple.received) == 1)
        # A test push is tried once: somebody waits for its answer.
        apple.script.say("b" * 64, error(503, "ServiceUnavailable"))
        answer = await send(client, type="test", device_id="b" * 64)
        assert answer["status"] == "FAIL"


async def test_a_full_queue_and_a_dead_redis_are_503(own_redis: Redis, tmp_path: Path) -> None:
    async with proxied(own_redis.url, tmp_path, queue_limit=5, answer_wait_s=0.2) as (_, apple, client):
        await _until_ready(client)
        await apple.stop()
        answers = await asyncio.gather(
            *(client.post("/api/v1/send_push", json=SERVER_SENDS) for _ in range(5))
        )
        assert {answer.status_code for answer in answers} == {200}
        accepted = 5
        # A push that moves between the queue's parts may escape one count.
        while (full := await client.post("/api/v1/send_push", json=SERVER_SENDS)).status_code == 200:
            accepted += 1
            assert accepted < 10
        assert (
            full.status_code == 503
            and int(full.headers["retry-after"]) > 0
            and full.json()["status"] == "FAIL"
        )
        own_redis.kill()
        answer = await client.post("/api/v1/send_push", json=SERVER_SENDS)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        async with asyncio.timeout(30):
            while (await client.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.1)
        assert (await client.get("/healthz")).status_code == 200
        own_redis.start()
        await apple.start()
        await until(lambda: len({one.apns_id for one in apple.received}) == accepted, 60)


async def test_tls_and_the_secret(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    files = authority().issue(tmp_path / "tls")
    options = {"tls_cert": str(files.cert), "tls_key": str(files.key), "secret": "s3cret"}
    async with proxied(redis_url, tmp_path, level="debug", **options) as (proxy, apple, client):
        refused = await send(client)
        assert refused["error"] == "Failed because of missing or wrong X-Mattermost-Auth"
        answer = await client.post(
            "/api/v1/send_push", json=SERVER_SENDS, headers={"X-Mattermost-Auth": "s3cret"}
        )
        assert answer.json() == {"status": "OK"} and len(apple.received) == 1
    log = proxy.tail()
    assert "s3cret" not in log and DEVICE not in log and SERVER_SENDS["message"] not in log
    assert '"event": "push sent"' in log and "Redis keeps no append-only file" in log


async def test_throttling_works(redis_url: str, tmp_path: Path) -> None:
    limits = {"throttle_per_s": 1, "throttle_burst": 9, "metrics": "true"}
    async with proxied(redis_url, tmp_path, **limits) as (_, _, client):
        began = time.monotonic()
        answers = await asyncio.gather(*(client.get("/version") for _ in range(20)))
        took_s = time.monotonic() - began
        allowed = [answer for answer in answers if answer.status_code == 200]
        denied = [answer for answer in answers if answer.status_code == 429]
        assert 10 <= len(allowed) <= 11 + took_s and denied
        assert denied[0].text == "limit exceeded\n" and int(denied[0].headers["retry-after"]) >= 1
        assert allowed[0].headers["x-ratelimit-limit"] == "10" and "x-ratelimit-reset" in allowed[0].headers
        # What nobody vouches for makes no other caller of him, and what watches the proxy is never limited.
        forged = {"X-Forwarded-For": "1.2.3.4"}
        again = await asyncio.gather(*(client.get("/version", headers=forged) for _ in range(5)))
        assert 429 in {answer.status_code for answer in again}
        assert (await client.get("/metrics")).status_code == 200 and (
            await client.get("/healthz")
        ).status_code == 200


async def test_stopping_loses_nothing(redis_url: str, tmp_path: Path) -> None:
    async with proxied(redis_url, tmp_path, answer_wait_s=20.0, drain_s=1.0) as (proxy, apple, client):
        devices = [f"{n:064x}" for n in range(20)]
        for device in devices[:10]:
            apple.script.say(device, Silence())
        sent = [asyncio.create_task(send(client, device_id=device)) for device in devices]
        await until(lambda: len(apple.received) == 10)
        await asyncio.to_thread(proxy.stop, signal.SIGTERM)
        assert proxy.process is not None and proxy.process.returncode == 0
        answers = await asyncio.gather(*sent, return_exceptions=True)
        assert sum(answer == {"status": "OK"} for answer in answers) >= 10
        await asyncio.to_thread(proxy.start)
        await until(lambda: {one.device for one in apple.received} == set(devices))
        assert len(apple.received) == 20


async def test_several_workers_answer_for_each_other(redis_url: str, tmp_path: Path) -> None:
    async with proxied(redis_url, tmp_path, "--workers", "2", answer_wait_s=8.0) as (_, apple, client):
        gone = {f"{n:064x}": error(410, "Unregistered") for n in range(0, 60, 2)}
        apple.script.always = dict(gone)
        answers = await asyncio.gather(*(send(client, device_id=f"{n:064x}") for n in range(60)))
        assert [answer["status"] for answer in answers] == ["REMOVE", "OK"] * 30


async def test_a_server_may_send_through_another_proxy(redis_url: str, tmp_path: Path) -> None:
    async with proxied(redis_url, tmp_path, secret="s3cret") as (proxy, apple, _):
        fields = {**SERVER_SENDS, "device_id": "f" * 64}
        apple.script.say("d" * 64, error(410, "Unregistered"))
        jobs = [
            new_job(Notification(**{**fields, "device_id": device}), provider="proxy")
            for device in ("f" * 64, "d" * 64)
        ]
        settings = settings_for(redis_url, proxy_url=proxy.url, secret="s3cret", claim_after_s=25.0)
        async with sending(settings) as sender:
            await sender.add(jobs)
            await until(lambda: len(apple.received) == 1)
            removed = await _removed(redis_url)
        assert apple.received[0].device == "f" * 64 and removed == {"d" * 64: "proxy"}


async def _removed(redis_url: str) -> dict[str, str]:
    from tidewire.bus.push_queue import RemovedReader

    reader = RemovedReader(redis_url, consumer="c")
    found: dict[str, str] = {}
    async with asyncio.timeout(30):
        while "proxy" not in found.values():
            found |= {one.device: one.provider for _, one in await reader.read() if one.provider == "proxy"}
            await asyncio.sleep(0.05)
    await reader.close()
    return found


def test_what_another_proxy_receives() -> None:
    body = json.loads(encode(Notification(server_id="s", device_id="d", type="test")))
    always = {
        "ack_id",
        "platform",
        "server_id",
        "device_id",
        "post_id",
        "is_crt_enabled",
        "is_id_loaded",
        "signature",
    }
    assert set(body) == always | {"type"}


async def test_the_command_line(redis_url: str, tmp_path: Path) -> None:
    proxy = PushProxy(redis_url)
    assert "push.mattermost_config" in (await asyncio.to_thread(proxy.command, "push")).stderr
    config = write_config(tmp_path, apple=[{"Type": "a", "ApplePushTopic": "t"}])
    checked = await asyncio.to_thread(proxy.command, "push", "--check", "--mattermost-config", str(config))
    assert checked.returncode == 1 and "target a: set AppleAuthKeyFile" in checked.stderr
    missing = await asyncio.to_thread(
        proxy.command, "push", "--mattermost-config", str(tmp_path / "none.json")
    )
    assert missing.returncode == 1 and "No such file" in missing.stderr and "Traceback" not in missing.stderr

    job = push_for()
    job.created_at -= 4_000_000
    config = write_config(tmp_path, apple=[apple_target(tmp_path)])
    settings = settings_for(redis_url, mattermost_config=str(config))
    async with sending(settings) as sender:
        await sender.add([job])
        await until(lambda: not sender.stations["apple_rn"]._under_way)
        await asyncio.sleep(0.1)
    listed = await asyncio.to_thread(proxy.command, "push", "dead", "list")
    assert "TooOld" in listed.stdout and job.device not in listed.stdout
    entry = listed.stdout.split()[0]
    assert (await asyncio.to_thread(proxy.command, "push", "dead", "replay")).returncode == 1
    wrong = await asyncio.to_thread(proxy.command, "push", "dead", "replay", "9-9")
    assert wrong.returncode == 1 and "9-9: there is no such dead letter" in wrong.stderr
    assert "1 deleted" in (await asyncio.to_thread(proxy.command, "push", "dead", "drop", entry)).stdout
    assert (
        "0 sent again" in (await asyncio.to_thread(proxy.command, "push", "dead", "replay", "--all")).stdout
    )
