"""Posts, reads and badges by HTTPS; the jobs that come of them. Rules and texts have their tables in tests/unit."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.fixtures.api import Client
from tests.fixtures.postgres import Postgres
from tests.integration.push.phones import Phones, phones_of
from tidewire.wire.push import Job

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(postgres: Postgres) -> AsyncIterator[Phones]:
    """The module's world."""
    async with phones_of(postgres) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def phones(world: Phones) -> AsyncIterator[Phones]:
    """The module's world with nothing waiting, and the owner elsewhere."""
    await look_away(world)
    yield world


async def look_away(phones: Phones) -> None:
    """Let the owner open a channel that no test is about."""
    await phones.people.owner.post("/channels/members/me/view", {"channel_id": phones.sentinel})
    await phones.decisions()


async def say(who: Client, channel_id: str, message: str, **more: Any) -> dict[str, Any]:
    """Create a post."""
    body = {"channel_id": channel_id, "message": message, **more}
    made: dict[str, Any] = await who.post("/posts", body, expect=201)
    return made


def said(jobs: list[Job]) -> list[tuple[str, str, str]]:
    """Return (type, title, text) of each."""
    return [(one.notification.type, one.notification.channel_name, one.notification.message) for one in jobs]


async def test_a_mention_arrives_signed_with_all_that_the_app_needs(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel
    device = await phones.give_phone(owner)
    made = await say(member, channel["id"], "**low** tide, @owner")
    (job,) = await phones.pushes()
    client = await owner.get("/config/client?format=old")
    platform, _, token = device.partition(":")
    what = job.notification
    assert (job.provider, job.target, job.priority) == ("apns", "apple_rn", "high")
    assert (what.type, what.version, what.category) == ("message", "v2", "CAN_REPLY")
    assert (what.platform, what.device_id, what.server_id) == (platform, token, client["DiagnosticId"])
    assert (what.post_id, what.channel_id, what.root_id) == (made["id"], channel["id"], "")
    assert (what.team_id, what.sender_id, what.sender_name) == (channel["team_id"], member.id, "@member")
    assert (what.channel_name, what.message) == ("Harbour", "@member: low tide, @owner")
    assert what.badge == (await badge_of(owner))
    assert (what.is_crt_enabled, what.is_id_loaded, len(what.ack_id)) == (True, False, 26)
    key: Any = load_der_public_key(base64.b64decode(client["AsymmetricSigningPublicKey"]))
    assert jwt.decode(what.signature, key, algorithms=["ES256"]) == {"ack_id": what.ack_id, "device_id": token}


async def badge_of(who: Client) -> int:
    """Return the number that the app shows, as its server counts it."""
    total = 0
    for team in await who.get("/users/me/teams"):
        unread = await who.get(f"/users/me/teams/{team['id']}/channels/members")
        total += sum(one["mention_count_root"] for one in unread)
        threads = await who.get(f"/users/me/teams/{team['id']}/threads?totalsOnly=true")
        total += threads["total_unread_mentions"]
    return total


async def test_a_repeated_decision_has_the_same_ids(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    assert owner
    await say(member, channel, "@owner")
    waiting = await phones.decisions()
    first = await phones.decide(waiting)
    again = await phones.decide(waiting)
    assert [job.apns_id for job in first] == [job.apns_id for job in again]
    assert [job.notification.ack_id for job in first] == [job.notification.ack_id for job in again]
    assert len(await phones.decide([*waiting, *waiting])) == len(first)


async def test_every_device_of_a_user_gets_its_own(phones: Phones) -> None:
    member, teammate = phones.people.member, phones.people.teammate
    channel = await phones.direct(member, teammate)
    tablet = await phones.log_in_again(teammate)
    devices = {await phones.give_phone(teammate), await phones.give_phone(tablet, "android_rn-v2:a:b")}
    await phones.give_phone(await phones.log_in_again(teammate), "watch:1")  # which no provider knows
    await phones.give_phone(await phones.log_in_again(teammate), "no colon")
    await say(member, channel, "hi")
    jobs = await phones.pushes()
    assert {f"{job.notification.platform}:{job.notification.device_id}" for job in jobs} == devices
    assert {(job.provider, job.target) for job in jobs} == {("apns", "apple_rn"), ("fcm", "android_rn")}
    assert len({job.notification.ack_id for job in jobs}) == len({job.apns_id for job in jobs}) == 2
    await tablet.post("/users/logout")
    await say(member, channel, "hi")
    assert len(await phones.pushes()) == 1
    await teammate.put("/users/sessions/device", {"device_id": ""})
    await say(member, channel, "hi")
    assert await phones.pushes() == []


async def test_what_was_decided_by_a_wish_of_the_user(phones: Phones) -> None:
    owner, member, private = phones.people.owner, phones.people.member, phones.people.private["id"]
    props = f"/channels/{private}/members/{owner.id}/notify_props"
    for wish, message, expected in [
        ({"push": "all"}, "a word", 1),
        ({"push": "none"}, "@owner", 0),
        ({"push": "mention"}, "@owner", 1),
        ({"push": "default", "mark_unread": "mention"}, "@owner", 0),
        ({"mark_unread": "all"}, "@owner", 1),
    ]:
        await owner.put(props, wish)
        await say(member, private, message)
        assert len(await phones.pushes()) == expected, (wish, message)


async def test_status_and_the_open_channel(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    for status, expected in [("dnd", 0), ("online", 1)]:
        await owner.put("/users/me/status", {"user_id": owner.id, "status": status})
        await say(member, channel, "@owner")
        assert len(await phones.pushes()) == expected, status
    await owner.post("/channels/members/me/view", {"channel_id": channel})
    await phones.decisions()
    root = await say(member, channel, "@owner, who looks at it")
    assert await phones.pushes() == []
    await say(member, channel, "@owner, as a reply", root_id=root["id"])
    assert said(await phones.pushes()) == [
        ("message", "Reply in Harbour", "@member: @owner, as a reply")
    ]
    await look_away(phones)
    await say(member, channel, "@owner, who looks elsewhere")
    assert len(await phones.pushes()) == 1


async def test_followers_of_a_thread(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    root = await say(owner, channel, "a root")
    await say(member, channel, "a reply", root_id=root["id"])
    (job,) = await phones.pushes()
    assert (job.notification.root_id, job.notification.channel_name) == (root["id"], "Reply in Harbour")
    await owner.delete(f"/users/me/teams/{phones.people.team['id']}/threads/{root['id']}/following")
    await say(member, channel, "another", root_id=root["id"])
    assert await phones.pushes() == []


async def test_contents(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    direct = await phones.direct(owner, member)
    try:
        for contents, expected in {
            "full": [("Harbour", "@member: @owner secret"), ("@member", "secret")],
            "generic": [("Harbour", "@member mentioned you."), ("@member", "Sent you a message.")],
            "generic_no_channel": [("", "@member mentioned you."), ("@member", "Sent you a message.")],
            "id_loaded": [("", "You have a new message."), ("", "You have a new message.")],
        }.items():
            await phones.configure(PushNotificationContents=contents)
            await say(member, channel, "@owner secret")
            await say(member, direct, "secret")
            jobs = await phones.pushes()
            assert [(job.notification.channel_name, job.notification.message) for job in jobs] == expected
            for job in jobs:
                what = job.notification
                assert what.is_id_loaded is (contents == "id_loaded")
                assert what.sender_id == (owner.id if contents == "id_loaded" else member.id)
                assert bool(what.sender_name) is (contents != "id_loaded")
    finally:
        await phones.configure(PushNotificationContents="full")


async def test_groups_are_called_by_their_other_members(phones: Phones) -> None:
    people = phones.people
    group = await people.member.post(
        "/channels/group", [people.owner.id, people.member.id, people.teammate.id], expect=201
    )
    await say(people.member, group["id"], "to all of you")
    assert said(await phones.pushes()) == [("message", "@member, @teammate", "@member: to all of you")]


async def test_names_as_the_reader_wants_them(phones: Phones) -> None:
    owner, member = phones.people.owner, phones.people.member
    await member.put("/users/me/patch", {"first_name": "Mem", "last_name": "Ber", "nickname": "Mimi"})
    direct = await phones.direct(owner, member)
    for chosen, name in [("full_name", "Mem Ber"), ("nickname_full_name", "Mimi"), ("username", "@member")]:
        preference = {
            "user_id": owner.id, "category": "display_settings", "name": "name_format", "value": chosen
        }  # fmt: skip
        await owner.put("/users/me/preferences", [preference])
        await say(member, direct, "hi")
        (job,) = await phones.pushes()
        assert (job.notification.sender_name, job.notification.channel_name) == (name, name)


async def test_reading_clears_the_other_devices(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    web = await phones.log_in_again(owner)
    await say(member, channel, "@owner")
    await web.post("/channels/members/me/view", {"channel_id": channel})
    *_, job = await phones.pushes()
    what = job.notification
    assert (what.type, what.version, what.channel_id, what.cont_ava) == ("clear", "v2", channel, 1)
    assert (what.badge, job.priority) == (await badge_of(owner), "low")
    assert what.signature
    await look_away(phones)
    await say(member, channel, "@owner")
    await owner.post("/channels/members/me/view", {"channel_id": channel})  # at the phone itself
    await owner.post("/channels/members/me/view", {"channel_id": phones.sentinel})
    assert [job.notification.type for job in await phones.pushes()] == ["message"]
    made = await say(member, channel, "@owner")
    await web.post("/channels/members/me/view", {"channel_id": channel})
    await phones.decisions()
    await web.post(f"/users/me/posts/{made['id']}/set_unread", {"collapsed_threads_supported": True})
    (job,) = await phones.pushes()
    what = job.notification
    assert (what.type, what.sound, what.cont_ava, what.badge) == (
        "update_badge", "none", 1, await badge_of(owner)
    )  # fmt: skip


async def test_reading_a_thread_clears_it(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    web = await phones.log_in_again(owner)
    root = await say(owner, channel, "root")
    reply = await say(member, channel, "reply", root_id=root["id"])
    await phones.pushes()
    team = phones.people.team["id"]
    await web.put(f"/users/me/teams/{team}/threads/{root['id']}/read/{reply['create_at']}")
    (job,) = await phones.pushes()
    what = job.notification
    assert (what.type, what.channel_id, what.root_id) == ("clear", channel, root["id"])


async def test_who_must_not_know_is_not_told(phones: Phones) -> None:
    """Between the post and the decision: left, removed, deactivated, logged out; or the post is gone."""
    people = phones.people
    owner, member = people.owner, people.member
    channel = await owner.new_channel(people.team["id"], "secrets", "P", member, people.teammate)
    phone = await phones.log_in_again(people.teammate)
    await phones.give_phone(phone)
    await say(member, channel["id"], "@teammate a secret")
    waiting = await phones.decisions()
    assert len(await phones.decide(waiting)) == 1
    await owner.delete(f"/channels/{channel['id']}/members/{people.teammate.id}")
    assert await phones.decide(waiting) == []
    outsider = await say(member, channel["id"], "@teammate is no member")
    assert outsider["id"]
    assert await phones.pushes() == []

    await owner.post(f"/channels/{channel['id']}/members", {"user_id": people.teammate.id}, expect=201)
    gone = await say(member, channel["id"], "@teammate, deleted soon")
    waiting = await phones.decisions()
    assert len(await phones.decide(waiting)) == 1
    await member.delete(f"/posts/{gone['id']}")
    assert await phones.decide(waiting) == []

    await say(member, channel["id"], "@teammate")
    waiting = await phones.decisions()
    await people.admin.put(f"/users/{people.teammate.id}/active", {"active": False})
    assert await phones.decide(waiting) == []
    await people.admin.put(f"/users/{people.teammate.id}/active", {"active": True})
    people.teammate = await people.api.anonymous().log_in("teammate")


async def test_archived_channels_are_quiet(phones: Phones) -> None:
    owner, member = phones.people.owner, phones.people.member
    channel = await owner.new_channel(phones.people.team["id"], "attic", "O", member)
    await say(member, channel["id"], "@owner")
    waiting = await phones.decisions()
    await owner.delete(f"/channels/{channel['id']}")
    assert await phones.decide(waiting) == []


async def test_another_proxy_and_those_that_want_a_licence(phones: Phones) -> None:
    member, channel = phones.people.member, phones.people.channel["id"]
    try:
        await phones.configure(PushNotificationServer="https://push.example.org")
        await say(member, channel, "@owner")
        assert [(job.provider, job.target) for job in await phones.pushes()] == [("proxy", "proxy")]
        for hosted in ("https://push.mattermost.com", "https://eu.push.mattermost.com/"):
            await phones.configure(PushNotificationServer=hosted)
            await say(member, channel, "@owner")
            assert await phones.pushes() == []
    finally:
        await phones.configure(PushNotificationServer="")


async def test_many_events_are_few_statements(phones: Phones) -> None:
    owner, member, channel = phones.people.owner, phones.people.member, phones.people.channel["id"]
    web = await phones.log_in_again(owner)
    for number in range(20):
        await say(member, channel, f"@owner {number}")
        await web.post("/channels/members/me/view", {"channel_id": channel})
    await web.post("/channels/members/me/view", {"channel_id": phones.sentinel})
    waiting = await phones.decisions()
    # The last view reads what was said to mark the end of earlier tests.
    assert (len(waiting), len(await phones.decide(waiting))) == (41, 41)
    statements = await phones.count_statements(waiting)
    assert statements <= 8


async def test_a_webhook_reaches_its_owner_too(phones: Phones) -> None:
    people, channel = phones.people, phones.people.channel["id"]
    hook = await people.owner.post(
        "/hooks/incoming", {"channel_id": channel, "display_name": "Build"}, expect=201
    )
    await people.admin.put("/config/patch", {"ServiceSettings": {"EnablePostUsernameOverride": True}})
    said_by_hook = {"text": "@owner: it works", "username": "builder"}
    for where in ({}, {"channel": "@member"}):  # a direct channel between the hook's owner and somebody
        answer = await people.anonymous.http.post(
            f"{people.api.url}/hooks/{hook['id']}", json=said_by_hook | where
        )
        assert answer.status_code == 200
        (job,) = [one for one in await phones.pushes() if one.notification.platform == "apple_rn-v2"]
        what = job.notification
        assert (what.from_webhook, what.override_username, what.sender_name) == ("true", "builder", "builder")
        assert what.channel_name == ("builder" if where else "Harbour")
    await say(people.owner, channel, "@owner, to myself")
    assert await phones.pushes() == []


async def test_what_a_badge_counts(phones: Phones) -> None:
    """Mentions in live channels, muted ones included; those of replies in the channel, or collapsed, in any thread."""
    people = phones.people
    owner, member, team = people.owner, people.member, people.team["id"]
    asked = 0

    async def badge() -> int:
        nonlocal asked
        await say(member, people.channel["id"], "@owner")
        *_, job = await phones.pushes()
        asked += 2  # this mention, and the post by which it is known that all was read
        return job.notification.badge - asked

    start = await badge()
    muted = await owner.new_channel(team, "muted", "O", member)
    await owner.put(f"/channels/{muted['id']}/members/{owner.id}/notify_props", {"mark_unread": "mention"})
    root = await say(member, muted["id"], "@owner")
    assert await badge() == start + 1
    for number in range(2):
        await say(member, muted["id"], f"@owner {number}", root_id=root["id"])
    assert await badge() == start + 3
    direct = await phones.direct(member, owner)
    for _ in range(2):
        await say(member, direct, "no name")
    assert await badge() == start + 5
    await owner.delete(f"/channels/{muted['id']}")
    assert await badge() == start + 5 - 1
    preference = {
        "user_id": owner.id,
        "category": "display_settings",
        "name": "collapsed_reply_threads",
        "value": "off",
    }
    await owner.put("/users/me/preferences", [preference])
    root = await say(owner, people.channel["id"], "a root")
    await phones.pushes()
    before = await badge()
    await say(member, people.channel["id"], "@owner", root_id=root["id"])  # now it counts in the channel
    assert await badge() == before + 1
    await owner.put("/users/me/preferences", [preference | {"value": "on"}])
