"""What waits for the push worker: whatever can lead to a push, and little else."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fixtures.postgres import Postgres
from tests.integration.push.phones import Phones, phones_of
from tidewire.bus.envelope import BadgePush, PostPush, Push, ReadPush

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def phones(postgres: Postgres) -> AsyncIterator[Phones]:
    """The module's world; only the owner has a phone."""
    async with phones_of(postgres) as made:
        yield made


def posts(found: list[Push]) -> list[str]:
    """Return the ids of the posts among what waits."""
    return [push.post_id for push in found if isinstance(push, PostPush)]


async def test_posts_wait_if_they_may_reach_a_phone(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]

    async def say(message: str, **more: str) -> str:
        made = await member.post("/posts", {"channel_id": channel, "message": message, **more}, expect=201)
        found: str = made["id"]
        return found

    await say("to nobody")
    named = await say("hello @owner")
    wide = await say("hello @channel")
    root = await say("a root")
    reply = await say("a reply", root_id=root)  # whether the owner follows is for the worker to see
    to_phoneless = await owner.post("/posts", {"channel_id": channel, "message": "hello @member"}, expect=201)
    found = await phones.decisions()
    assert posts(found) == [named, wide, reply]
    assert to_phoneless["id"] not in posts(found)
    assert found[0] == PostPush(named, [owner.id], [])


async def test_who_wants_every_post_is_named(phones: Phones) -> None:
    owner, member, private = phones.people.owner, phones.people.member, phones.people.private["id"]
    props = f"/channels/{private}/members/{owner.id}/notify_props"
    await owner.put(props, {"push": "all"})
    made = await member.post("/posts", {"channel_id": private, "message": "a word"}, expect=201)
    assert await phones.decisions() == [PostPush(made["id"], [], [owner.id])]
    await owner.put(props, {"push": "default"})
    await member.post("/posts", {"channel_id": private, "message": "another"}, expect=201)
    assert await phones.decisions() == []


async def test_direct_posts_wait_for_those_with_a_phone(phones: Phones) -> None:
    owner, member, stranger = phones.people.owner, phones.people.member, phones.people.stranger
    to_owner = await phones.direct(member, owner)
    made = await member.post("/posts", {"channel_id": to_owner, "message": "hi"}, expect=201)
    await owner.post("/posts", {"channel_id": to_owner, "message": "hi back"}, expect=201)
    to_stranger = await phones.direct(member, stranger)
    await member.post("/posts", {"channel_id": to_stranger, "message": "hi"}, expect=201)
    assert posts(await phones.decisions()) == [made["id"]]


async def test_a_new_phone_is_known_at_once(phones: Phones) -> None:
    teammate, member = phones.people.teammate, phones.people.member
    channel = await phones.direct(member, teammate)
    await member.post("/posts", {"channel_id": channel, "message": "hi"}, expect=201)
    assert await phones.decisions() == []
    device = await phones.give_phone(teammate)
    made = await member.post("/posts", {"channel_id": channel, "message": "again"}, expect=201)
    assert posts(await phones.decisions()) == [made["id"]]
    await teammate.put("/users/sessions/device", {"device_id": ""})
    login = {"login_id": "teammate", "password": "correct horse", "device_id": device}
    await phones.people.api.anonymous().post("/users/login", login)
    made = await member.post("/posts", {"channel_id": channel, "message": "and again"}, expect=201)
    assert posts(await phones.decisions()) == [made["id"]]


async def test_reads_wait_if_something_was_unread(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    elsewhere = await phones.log_in_again(owner)
    sessions = await elsewhere.get("/users/me/sessions")
    here = next(one["id"] for one in sessions if not one["device_id"])

    async def view() -> None:
        await elsewhere.post("/channels/members/me/view", {"channel_id": channel, "prev_channel_id": ""})

    await view()
    await phones.decisions()
    await view()
    assert await phones.decisions() == []
    await member.post("/posts", {"channel_id": channel, "message": "a word"}, expect=201)
    await view()
    assert await phones.decisions() == [ReadPush(owner.id, here, [], [channel])]
    made = await member.post("/posts", {"channel_id": channel, "message": "@owner"}, expect=201)
    await view()
    assert (await phones.decisions())[1:] == [ReadPush(owner.id, here, [channel])]
    await elsewhere.post(f"/users/me/posts/{made['id']}/set_unread", {"collapsed_threads_supported": True})
    assert await phones.decisions() == [BadgePush(owner.id)]
    await member.post("/channels/members/me/view", {"channel_id": channel})  # who has no phone
    assert await phones.decisions() == []


async def test_reading_threads_waits(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    team = phones.people.team["id"]
    root = await owner.post("/posts", {"channel_id": channel, "message": "root"}, expect=201)
    replies = [
        await member.post(
            "/posts", {"channel_id": channel, "message": "@owner", "root_id": root["id"]}, expect=201
        )
        for _ in range(2)
    ]
    await phones.decisions()
    session = next(one["id"] for one in await owner.get("/users/me/sessions") if one["device_id"])
    thread = f"/users/me/teams/{team}/threads/{root['id']}/read"
    await owner.put(f"{thread}/{replies[0]['create_at']}")
    assert await phones.decisions() == [BadgePush(owner.id)]
    await owner.put(f"{thread}/{replies[1]['create_at']}")
    assert await phones.decisions() == [ReadPush(owner.id, session, [channel], root_id=root["id"])]
    await owner.put(f"/users/me/teams/{team}/threads/read")
    assert await phones.decisions() == [BadgePush(owner.id)]


async def test_nothing_waits_while_pushes_are_off(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    await phones.configure(SendPushNotifications=False)
    client = await owner.get("/config/client?format=old")
    assert client["SendPushNotifications"] == "false"
    off = await member.post("/posts", {"channel_id": channel, "message": "@owner"}, expect=201)
    await owner.post("/channels/members/me/view", {"channel_id": channel})
    await phones.configure(SendPushNotifications=True)
    client = await owner.get("/config/client?format=old")
    assert client["SendPushNotifications"] == "true"
    assert off["id"] not in posts(await phones.decisions())
