"""Every client action: its reply, its errors, what others see of it."""

import asyncio
import json
import time
from typing import Any

import msgspec
import pytest

from gateway.app import TYPING_SLACK
from tests.integration.gateway.world import PATIENCE_S, Client, World, over_both, world
from tidewire.settings.tree import Typing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), over_both]


def error(reply: dict[str, Any]) -> tuple[str, int]:
    assert reply["status"] == "FAIL"
    assert reply["error"]["detailed_error"] == ""
    assert reply["error"]["message"]
    return reply["error"]["id"], reply["error"]["status_code"]


async def pair(town: World) -> tuple[Client, Client, str, str, str]:
    """Return two clients in one channel, their ids and the channel's."""
    ann, bob = await town.user(), await town.user()
    channel = await town.channel(ann, bob)
    return await town.enter(ann), await town.enter(bob), ann, bob, channel


async def test_ping(town: World) -> None:
    client = await town.enter(await town.user())
    reply = await client.act("ping")
    assert reply.keys() == {"status", "seq_reply", "data"}
    assert reply["status"] == "OK"
    assert reply["seq_reply"] == 1
    assert reply["data"]["text"] == "pong"
    assert reply["data"]["node_id"] == ""
    assert isinstance(reply["data"]["server_time"], int)
    assert isinstance(reply["data"]["version"], str)


async def test_typing_reaches_the_others_once_per_interval(town: World) -> None:
    ann, bob, ann_id, _, channel = await pair(town)
    began = time.monotonic()
    for _ in range(5):
        assert await ann.act("user_typing", {"channel_id": channel, "parent_id": ""}) == {
            "status": "OK",
            "seq_reply": ann.seq,
        }
    typing = await bob.event("typing")
    assert typing["data"] == {"parent_id": "", "user_id": ann_id}
    assert typing["broadcast"]["channel_id"] == channel
    assert typing["broadcast"]["omit_users"] == {ann_id: True}
    await town.post(channel, "afterwards")
    await bob.event("posted")
    await ann.event("posted")
    names = [event["event"] for event in bob.events]
    interval_s = TYPING_SLACK * Typing().min_interval_ms / 1000
    assert names.count("typing") <= min(4, 1 + (time.monotonic() - began) / interval_s)
    assert "typing" not in [event["event"] for event in ann.events]


async def test_typing_in_a_foreign_or_malformed_channel_is_refused(town: World) -> None:
    ann, _, _, _, channel = await pair(town)
    foreign = await town.channel()
    for data in (
        {"channel_id": foreign, "parent_id": ""},
        {"channel_id": "", "parent_id": ""},
        {"channel_id": 5},
        {"channel_id": channel, "parent_id": "nonsense"},
        {"channel_id": channel, "parent_id": ["x"]},
        {},
    ):
        assert error(await ann.act("user_typing", data)) == ("api.websocket_handler.invalid_param.app_error", 400)


async def test_typing_only_reaches_who_looks_at_the_channel(town: World) -> None:
    ann, bob, _, _, channel = await pair(town)
    other = await town.channel()
    looks: list[dict[str, Any]] = [
        {"channel_id": other},
        {"thread_channel_id": "", "is_thread_view": False},
        {"thread_channel_id": "", "is_thread_view": True},
    ]
    for data in looks:
        assert (await bob.act("presence", data))["status"] == "OK"
    assert (await bob.act("presence", {"team_id": other}))["status"] == "OK"
    await ann.act("user_typing", {"channel_id": channel})
    await town.post(channel, "1")
    await bob.event("posted")
    assert "typing" not in [event["event"] for event in bob.events]
    await bob.act("presence", {"thread_channel_id": channel, "is_thread_view": True})
    async with asyncio.timeout(PATIENCE_S):
        while "typing" not in [event["event"] for event in bob.events]:
            await ann.act("user_typing", {"channel_id": channel})
            await bob.quiet()
            await asyncio.sleep(0.2)  # the interval has to pass


async def test_statuses(town: World) -> None:
    ann, bob, ann_id, bob_id, _ = await pair(town)
    absent = await town.user()
    await ann.event("status_change")
    await bob.event("status_change")
    ids = [ann_id, bob_id, absent, "x" * 26]
    reply = await ann.act("get_statuses_by_ids", {"user_ids": ids})
    assert reply["data"] == {ann_id: "online", bob_id: "online", absent: "offline", "x" * 26: "offline"}
    here = (await ann.act("get_statuses"))["data"]
    assert here[ann_id] == here[bob_id] == "online"
    assert absent not in here
    for data in ({"user_ids": []}, {"user_ids": "x"}, {"user_ids": [1]}, {}, {"user_ids": ["x"] * 201}):
        assert error(await ann.act("get_statuses_by_ids", data))[0].endswith("invalid_param.app_error")


async def test_a_status_changes_with_sockets_activity_and_choice(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, presence={"away_after_s": 0.001}) as town:
        ann_id, bob_id = await town.user(), await town.user()
        ann, bob = await town.enter(ann_id), await town.enter(bob_id)
        await ann.event("status_change")

        async def status() -> str:
            return str((await bob.act("get_statuses_by_ids", {"user_ids": [ann_id]}))["data"][ann_id])

        assert (await ann.act("user_update_active_status", {"user_is_active": False}))["status"] == "OK"
        assert (await ann.event("status_change"))["data"]["status"] == "away"
        assert await status() == "away"
        await ann.act("user_update_active_status", {"user_is_active": True})
        assert (await ann.event("status_change"))["data"]["status"] == "online"
        for data in ({}, {"user_is_active": "yes"}, {"user_is_active": True, "manual": 1}):
            assert error(await ann.act("user_update_active_status", data))[1] == 400
        async def becomes(wanted: str) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while await status() != wanted:
                    await asyncio.sleep(0.05)

        await ann.act("user_update_active_status", {"user_is_active": False, "manual": True})
        await ann.event("status_change")
        await ann.act("user_update_active_status", {"user_is_active": True})
        assert (await ann.event("status_change"))["data"]["status"] == "away"  # chosen by hand
        assert await status() == "away"
        await ann.act("user_update_active_status", {"user_is_active": True, "manual": True})
        await becomes("online")
        await ann.socket.close()
        await becomes("offline")


async def test_away_needs_idleness(town: World) -> None:
    ann_id = await town.user()
    ann = await town.enter(ann_id)
    await ann.event("status_change")
    await ann.act("user_update_active_status", {"user_is_active": False})
    assert (await ann.act("get_statuses_by_ids", {"user_ids": [ann_id]}))["data"] == {ann_id: "online"}


async def test_what_is_no_action(town: World) -> None:
    client = await town.enter(await town.user())
    assert error(await client.act("fly")) == ("api.web_socket_router.bad_action.app_error", 500)
    assert error(await client.act("")) == ("api.web_socket_router.no_action.app_error", 400)
    for seq in (0, -3):
        await client.socket.send(json.dumps({"seq": seq, "action": "ping"}))
        assert error(await client.reply()) == ("api.web_socket_router.bad_seq.app_error", 400)
    await client.socket.send('{"action":"ping"}')
    reply = await client.reply()
    assert error(reply) == ("api.web_socket_router.bad_seq.app_error", 400)
    assert "seq_reply" not in reply
    await client.send("custom_com.example.plugin_action", {"a": 1})
    assert (await client.act("posted_notify_ack", {"post_id": "x", "status": "ok"}))["status"] == "OK"


async def test_binary_frames_are_messagepack(town: World) -> None:
    client = await town.enter(await town.user())
    await client.socket.send(msgspec.msgpack.encode({"seq": 9, "action": "ping", "data": None}))
    reply = await client.reply()
    assert reply["seq_reply"] == 9
    assert reply["data"]["text"] == "pong"


@pytest.mark.parametrize(
    "frame",
    [
        "no json",
        "[]",
        '"x"',
        '{"seq":1,"action":["ping"]}',
        '{"seq":"1","action":"ping"}',
        '{"seq":1,"action":"ping","data":[]}',
        '{"seq":1e999,"action":"ping"}',
        '{"seq":1,"action":"ping","data":{"a":1e999}}',
        '{"seq":1,"action":"ping","data":' + '{"a":' * 1000 + "1" + "}" * 1001,
        "[" * 8000,
        '{"seq":1,"action":"ping","data":{"a":"\\ud800"}}',
        '{"seq":' + "9" * 8000 + "}",
        b"\xdd\xff\xff\xff\xff",
        b"\x83\xa3seq\x01\xa6action\xdb\xff\xff\xff\xff",
        b"",
    ],
)
async def test_undecodable_frames_close_this_socket_only(town: World, frame: str | bytes) -> None:
    other = await town.enter(await town.user())
    client = await town.enter(await town.user())
    await client.socket.send(frame)
    assert (await client.closed())[0] in (1003, 1007)
    assert (await other.act("ping"))["status"] == "OK"


async def test_duplicated_keys_and_unknown_members_do_no_harm(town: World) -> None:
    client = await town.enter(await town.user())
    await client.socket.send('{"seq":1,"seq":2,"action":"fly","action":"ping","more":[1,{"x":null}]}')
    assert (await client.reply())["status"] == "OK"


async def test_a_flood_closes_the_socket(database_url: str, redis_url: str) -> None:
    async with world(database_url, redis_url, gateway={"client_burst": 20, "client_rate": 1}) as town:
        calm, client = await town.enter(await town.user()), await town.enter(await town.user())
        for _ in range(30):
            await client.send("ping")
        assert (await client.closed())[0] == 1008
        await calm.act("ping")
