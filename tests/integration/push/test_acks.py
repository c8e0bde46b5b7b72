"""Acknowledgements, the text of id-loaded pushes, and test messages."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.postgres import Postgres
from tests.integration.push.phones import Phones, phones_of
from tidewire.actions.push_acks import DELIVERED

pytestmark = pytest.mark.asyncio(loop_scope="module")
ACK = {"id": "a" * 26, "received_at": 1, "platform": "ios", "type": "message", "post_id": "", "is_id_loaded": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def phones(postgres: Postgres) -> AsyncIterator[Phones]:
    """The module's world."""
    async with phones_of(postgres) as made:
        yield made


@asynccontextmanager
async def proxy(status: int = 200) -> AsyncIterator[tuple[str, list[tuple[str, Any]]]]:
    """Run a push proxy that takes acknowledgements: (its address, (path, body) of what came)."""
    got: list[tuple[str, Any]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length"))
        got.append((head.split(" ")[1], json.loads(await reader.readexactly(length))))
        writer.write(b"HTTP/1.1 %d -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", got


async def test_an_acknowledgement_is_counted(phones: Phones) -> None:
    before = DELIVERED.labels("message")._value.get()
    assert await phones.people.member.post("/notifications/ack", ACK) == {"status": "OK"}
    assert DELIVERED.labels("message")._value.get() == before + 1
    await phones.people.anonymous.post("/notifications/ack", ACK, expect=401)


async def test_another_proxy_is_told(phones: Phones) -> None:
    member = phones.people.member
    try:
        async with proxy() as (url, got):
            await phones.configure(PushNotificationServer=url + "/")
            await member.post("/notifications/ack", {**ACK, "unknown": 1})
            assert got == [("/api/v1/ack", ACK)]
        answer = await member.post("/notifications/ack", ACK, expect=500)
        assert answer["id"] == "api.push_notifications_ack.forward.app_error"
        async with proxy(status=503) as (url, _):
            await phones.configure(PushNotificationServer=url)
            await member.post("/notifications/ack", ACK, expect=500)
        await phones.configure(PushNotificationServer="no address")
        await member.post("/notifications/ack", ACK, expect=500)
    finally:
        await phones.configure(PushNotificationServer="")


@pytest.mark.parametrize(
    "body",
    [{**ACK, "received_at": "1"}, {**ACK, "id": 7}, {**ACK, "type": "x" * 100}, {**ACK, "post_id": "short"}, []],
)
async def test_bad_acknowledgements(phones: Phones, body: Any) -> None:
    await phones.people.member.post("/notifications/ack", body, expect=400)


async def test_pushes_that_are_off(phones: Phones) -> None:
    await phones.configure(SendPushNotifications=False)
    try:
        answer = await phones.people.member.post("/notifications/ack", ACK, expect=501)
        assert answer["id"] == "api.push_notification.disabled.app_error"
        ping = await phones.people.anonymous.get("/system/ping?device_id=apple_rn:x")
        assert ping["CanReceiveNotifications"] == "false"
    finally:
        await phones.configure(SendPushNotifications=True)


async def test_the_text_of_a_push_that_had_ids_only(phones: Phones) -> None:
    people = phones.people
    made = await people.member.post(
        "/posts", {"channel_id": people.private["id"], "message": "@owner *secret*"}, expect=201
    )
    ack = {**ACK, "post_id": made["id"], "is_id_loaded": True}
    what = await people.owner.post("/notifications/ack", ack)
    assert (what["type"], what["channel_name"], what["message"]) == ("message", "Hidden", "@member: @owner secret")
    assert (what["post_id"], what["ack_id"], what["sender_id"]) == (made["id"], ACK["id"], people.member.id)
    assert (await people.teammate.post("/notifications/ack", ack, expect=404))["id"] == "app.post.get.app_error"
    await people.owner.post("/notifications/ack", {**ack, "post_id": "b" * 26}, expect=404)
    assert await people.owner.post("/notifications/ack", {**ack, "type": "clear"}) == {"status": "OK"}
    await people.member.delete(f"/posts/{made['id']}")
    await people.owner.post("/notifications/ack", ack, expect=404)


async def test_a_test_message_rings_whatever_its_reader_wants(phones: Phones) -> None:
    owner = phones.people.owner
    await owner.put("/users/me/status", {"user_id": owner.id, "status": "dnd"})
    await phones.decisions()
    await owner.post("/notifications/test")
    (job,) = await phones.pushes()
    what = job.notification
    assert (what.type, what.channel_name, what.sender_name) == ("message", "@system-bot", "@system-bot")
    assert "test notification" in what.message
    await owner.put("/users/me/status", {"user_id": owner.id, "status": "online"})
    body = {"channel_id": what.channel_id, "message": "forged", "props": {"force_notification": "x"}}
    made = await owner.post("/posts", body, expect=201)
    assert "force_notification" not in made["props"]
    for _ in range(12):
        answer = await owner.request("POST", "/notifications/test")
    assert answer.status_code == 429
    await phones.people.anonymous.post("/notifications/test", expect=401)


async def test_nobody_knows_of_a_device_that_nobody_sends_to(phones: Phones) -> None:
    for device in ("apple_rn-v2:x", "no colon", "watch:1", "apple_rn:", "x" * 1000):
        ping = await phones.people.anonymous.get(f"/system/ping?device_id={device}")
        assert ping["CanReceiveNotifications"] == "unknown", device
    assert "CanReceiveNotifications" not in await phones.people.anonymous.get("/system/ping")
