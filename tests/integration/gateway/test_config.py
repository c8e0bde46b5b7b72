"""A changed configuration or role reaches those who are connected, and the hello of those who come then."""

import asyncio
import json

import pytest
import structlog
import websockets

from tests.fixtures.api import Api, new_settings
from tests.integration.gateway.world import world
from tidewire.actions import revisions
from tidewire.actions.start import open_services


async def test_the_start_tells_of_databases_that_others_can_reach(database_url: str) -> None:
    settings = new_settings(database_url, "redis://:s3cret@redis.invalid")
    with structlog.testing.capture_logs() as logs:
        async with open_services(settings):
            pass
    [said] = [one for one in logs if one["event"] == "others may reach what we believe"]
    assert said["log_level"] == "warning" and said["why"].startswith("Redis is asked over the network without TLS")
    assert "s3cret" not in str(logs)


async def test_changes_reach_sockets_and_the_next_hello(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "RECHECK_S", 1000.0)  # by the bus, not by the re-check
    api = Api(new_settings(database_url, redis_url))
    await api.start()
    try:
        async with world(database_url, redis_url) as here:
            admin, member = await api.user("admin"), await api.user("member")
            token = member.http.headers["Authorization"].removeprefix("Bearer ")
            socket = await here.open(token)
            old = (await socket.event("hello"))["data"]["server_version"]
            assert old == (await member.request("GET", "/users/me")).headers["X-Version-ID"]

            await admin.put("/config/patch", {"TeamSettings": {"SiteName": "Gulls"}})
            event = await socket.event("config_changed")
            assert event["data"]["config"] == await member.get("/config/client")  # as a fresh snapshot
            new = (await member.request("GET", "/users/me")).headers["X-Version-ID"]
            assert new != old
            async with asyncio.timeout(30):
                while (await (await here.open(token)).event("hello"))["data"]["server_version"] != new:
                    await asyncio.sleep(0.02)

            role = await member.get("/roles/name/channel_user")
            await admin.put(f"/roles/{role['id']}/patch", {"permissions": role["permissions"][1:]})
            event = await socket.event("role_updated")
            assert json.loads(event["data"]["role"]) == await member.get("/roles/name/channel_user")

            # The origin that browsers may come from is the configured site's.
            await admin.put("/config/patch", {"ServiceSettings": {"SiteURL": "https://chat.example.org"}})
            await socket.event("config_changed")
            async with asyncio.timeout(30):
                while here.gateway.door is not None and not here.gateway.door.handshake.site_url:
                    await asyncio.sleep(0.02)
            await (await here.open(token, origin="https://chat.example.org")).event("hello")

            # And those that the configuration lists; an entry that is no address harms nobody.
            listed = "http://[ https://app.example"
            await admin.put("/config/patch", {"ServiceSettings": {"AllowCorsFrom": listed}})
            async with asyncio.timeout(30):
                while here.gateway.door is not None and not here.gateway.door.handshake.other_origins:
                    await asyncio.sleep(0.02)
            for origin in ("https://app.example", "https://chat.example.org"):
                await (await here.open(token, origin=origin)).event("hello")
            with pytest.raises(websockets.InvalidStatus) as refused:
                await here.open(token, origin="https://evil.example")
            assert refused.value.response.status_code == 403

            # A star lets every page in, and is warned of.
            with structlog.testing.capture_logs() as logs:
                await admin.put("/config/patch", {"ServiceSettings": {"AllowCorsFrom": "*"}})
                async with asyncio.timeout(30):
                    while here.gateway.door is not None and here.gateway.door.handshake.other_origins != ("*",):
                        await asyncio.sleep(0.02)
            assert ("warning", "pages of every site may connect") in [
                (one["log_level"], one["event"]) for one in logs
            ]
            await (await here.open(token, origin="https://evil.example")).event("hello")
            here.cut_clients()
    finally:
        await api.stop()
