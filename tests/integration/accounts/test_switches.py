"""What administrators switch off at run time is off, over HTTP and in the gateway; clients are told the truth."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.integration.accounts.office import Office
from tests.integration.accounts.test_sockets import listener

pytestmark = pytest.mark.asyncio(loop_scope="package")


@asynccontextmanager
async def switched(office: Office, **values: Any) -> AsyncIterator[None]:
    """Put keys in force, and their defaults at the end."""
    await office.configure(**values)
    try:
        yield
    finally:
        await office.configure(**dict.fromkeys(values))


async def test_nobody_hears_of_channels_that_were_viewed(office: Office) -> None:
    user, channel = await listener(office, "reader"), office.crew.people.channel["id"]
    socket = await office.crew.socket(user)
    view = {"channel_id": channel, "collapsed_threads_supported": True}
    await user.post("/channels/members/me/view", view)
    await socket.event("multiple_channels_viewed")
    async with switched(office, ServiceSettings__EnableChannelViewedMessages=False):
        await office.crew.people.member.post("/posts", {"channel_id": channel, "message": "news"}, expect=201)
        await socket.event("posted")
        answer = await user.post("/channels/members/me/view", view)
        assert channel in answer["last_viewed_at_times"]
        assert (await user.get(f"/users/me/channels/{channel}/unread"))["msg_count"] == 0
        await office.crew.people.member.post("/posts", {"channel_id": channel, "message": "more"}, expect=201)
        await socket.event("posted")
        await socket.quiet()
        names = [event["event"] for event in socket.events]
        assert names.count("multiple_channels_viewed") == 1


async def test_nobody_hears_of_statuses(office: Office) -> None:
    user, other = await listener(office, "status_watched"), office.crew.people.owner
    chosen = {"user_id": user.id, "status": "dnd"}
    async with switched(office, ServiceSettings__EnableUserStatuses=False):
        socket = await office.crew.socket(user)
        assert (await user.put("/users/me/status", chosen))["status"] == "offline"
        assert (await other.get(f"/users/{user.id}/status"))["status"] == "offline"
        for action, data in (("get_statuses", None), ("get_statuses_by_ids", {"user_ids": [user.id]})):
            assert not (await socket.act(action, data)).get("data")
        await socket.act("user_update_active_status", {"user_is_active": False, "manual": True})
        while office.crew.town.gateway.presence._changed:
            await asyncio.sleep(0.01)
        await socket.quiet()
        assert "status_change" not in [event["event"] for event in socket.events]
    await user.put("/users/me/status", chosen)
    while (await socket.event("status_change"))["data"]["status"] != "dnd":
        pass
    assert (await socket.act("get_statuses_by_ids", {"user_ids": [user.id]}))["data"] == {user.id: "dnd"}


async def test_nobody_hears_who_types(office: Office) -> None:
    people, user = office.crew.people, await listener(office, "typist")
    channel = people.channel["id"]
    watcher, socket = await office.crew.socket(people.member), await office.crew.socket(user)
    typing = {"channel_id": channel, "parent_id": ""}
    async with switched(office, ServiceSettings__EnableUserTypingMessages=False):
        await user.post("/users/me/typing", typing)
        await socket.send("user_typing", typing)
        await socket.quiet()
        await user.post("/posts", {"channel_id": channel, "message": "typed"}, expect=201)
        await watcher.event("posted")
        await watcher.quiet()
        assert "typing" not in [event["event"] for event in watcher.events]
    await user.post("/users/me/typing", typing)
    await watcher.event("typing")


async def test_default_channels_are_not_told_of_members(office: Office) -> None:
    people, user = office.crew.people, await office.newcomer("quiet_comer")
    team = people.team["id"]
    square = await people.member.get(f"/teams/{team}/channels/name/town-square")

    async def told() -> set[str]:
        posts = (await people.member.get(f"/channels/{square['id']}/posts"))["posts"].values()
        return {one["type"] for one in posts if "quiet_comer" in one["message"]}

    async with switched(office, ServiceSettings__ExperimentalEnableDefaultChannelLeaveJoinMessages=False):
        await people.owner.add_to_team(team, user)
        await people.owner.delete(f"/teams/{team}/members/{user.id}")
        assert await told() == set()
    await people.owner.add_to_team(team, user)
    assert await told() == {"system_add_to_team"}


async def test_how_short_a_hashtag_may_be(office: Office) -> None:
    people = office.crew.people
    body = {"channel_id": people.channel["id"], "message": "#tide and #gulls"}
    async with switched(office, ServiceSettings__MinimumHashtagLength=5):
        made = await people.member.post("/posts", body, expect=201)
        assert made["hashtags"] == "#gulls"
    edited = await people.member.put(f"/posts/{made['id']}/patch", {"message": "#tide at the #gulls"})
    assert edited["hashtags"] == "#tide #gulls"


async def test_clients_are_told_of_guests_as_it_is(office: Office) -> None:
    async with switched(office, GuestAccountsSettings__HideTags=True):
        told = await office.crew.people.member.get("/config/client?format=old")
    assert (told["EnableGuestAccounts"], told["HideGuestTags"], told["RunJobs"]) == ("true", "true", "true")
