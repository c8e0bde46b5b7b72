"""Subscriptions of browsers: who may have one, what is refused, and that it ends with its login."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fixtures.api import PASSWORD, Client
from tests.fixtures.postgres import Postgres
from tests.integration.push.phones import Phones, phones_of
from tidewire.actions import push_keys
from tidewire.actions.vault import Vault
from tidewire.store.db import Database

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def phones(postgres: Postgres) -> AsyncIterator[Phones]:
    """The module's world."""
    async with phones_of(postgres) as made:
        yield made


def text(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def browser(endpoint: str = "") -> dict[str, Any]:
    """Return what a browser's PushSubscription.toJSON() gives."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key()
    return {
        "endpoint": endpoint or f"https://push.example.org/send/{text(os.urandom(12))}",
        "expirationTime": None,
        "keys": {
            "p256dh": text(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)),
            "auth": text(os.urandom(16)),
        },
    }


async def endpoints(phones: Phones, channel: str, author: Client) -> list[str]:
    """Return where a post to a channel is pushed to in browsers."""
    await author.post("/posts", {"channel_id": channel, "message": "hi"}, expect=201)
    return sorted(job.subscription.endpoint for job in await phones.pushes() if job.subscription)


async def test_a_subscription_gets_messages_and_ends_with_its_login(phones: Phones) -> None:
    member = phones.people.member
    teammate = await phones.log_in_again(phones.people.teammate)
    channel = await phones.direct(member, teammate)
    state = await teammate.get("/users/me/webpush")
    point = base64.urlsafe_b64decode(state["public_key"] + "=")
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    assert (state["enabled"], state["endpoint"]) == (True, "")
    assert await endpoints(phones, channel, member) == []

    first, second = browser(), browser()
    await teammate.post("/users/me/webpush", first)
    assert (await teammate.get("/users/me/webpush"))["endpoint"] == first["endpoint"]
    await member.post("/posts", {"channel_id": channel, "message": "hi there"}, expect=201)
    (job,) = await phones.pushes()
    assert (job.provider, job.target, job.notification.message) == ("webpush", "webpush", "hi there")
    assert job.subscription is not None
    assert (job.subscription.p256dh, job.subscription.auth) == (
        first["keys"]["p256dh"],
        first["keys"]["auth"],
    )
    await teammate.post(f"/users/me/posts/{job.notification.post_id}/set_unread", {})
    assert await phones.pushes() == []  # browsers must show something for each push: badges are not sent

    await teammate.post("/users/me/webpush", second)  # a login has one
    assert await endpoints(phones, channel, member) == [second["endpoint"]]
    await teammate.delete("/users/me/webpush")
    assert await endpoints(phones, channel, member) == []
    await teammate.post("/users/me/webpush", second)
    await teammate.post("/users/logout")
    assert await endpoints(phones, channel, member) == []


async def test_a_browser_belongs_to_who_used_it_last(phones: Phones) -> None:
    member, owner = phones.people.member, await phones.log_in_again(phones.people.owner)
    teammate = await phones.log_in_again(phones.people.teammate)
    shared = browser()
    await owner.post("/users/me/webpush", shared)
    await teammate.post("/users/me/webpush", shared)
    to_owner, to_teammate = await phones.direct(member, owner), await phones.direct(member, teammate)
    assert await endpoints(phones, to_owner, member) == []
    assert await endpoints(phones, to_teammate, member) == [shared["endpoint"]]
    await teammate.post("/users/logout")


async def test_a_user_has_so_many_browsers(phones: Phones, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.actions.webpush.SUBSCRIPTIONS", 2)
    member, teammate = phones.people.member, phones.people.teammate
    channel = await phones.direct(member, teammate)
    made = []
    for _ in range(3):
        made.append(browser())
        await (await phones.log_in_again(teammate)).post("/users/me/webpush", made[-1])
    newest = sorted(one["endpoint"] for one in made[1:])
    assert await endpoints(phones, channel, member) == newest
    await phones.people.admin.post(f"/users/{teammate.id}/sessions/revoke/all")
    assert await endpoints(phones, channel, member) == []
    await teammate.log_in("teammate", PASSWORD)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.org/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://0x7f000001/x",
        "https://127.1/x",
        "https://169.254.169.254/latest",
        "https://localhost/x",
        "https://redis.internal/x",
        "https://push.example.org:8443/x",
        "https://user@push.example.org/x",
        "file:///etc/passwd",
        "gopher://push.example.org/",
        "https://push.example.org/" + "x" * 3000,
        "no url",
        "",
    ],
)
async def test_endpoints_that_lead_inside_are_refused(phones: Phones, endpoint: str) -> None:
    body = {**browser(), "endpoint": endpoint}
    await phones.people.member.post("/users/me/webpush", body, expect=400)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"p256dh": "AAAA", "auth": text(b"x" * 16)},
        {"p256dh": text(b"\x04" + b"\x01" * 64), "auth": text(b"x" * 16)},  # on no curve
        {"auth": text(b"x" * 15)},
        {"auth": "!" * 22},
        {"auth": "x" * 10_000},
        {"auth": 7},
        None,
    ],
)
async def test_keys_that_are_none_are_refused(phones: Phones, keys: Any) -> None:
    body = browser()
    body["keys"] = {**body["keys"], **keys} if keys else keys
    await phones.people.member.post("/users/me/webpush", body, expect=400)


async def test_who_may(phones: Phones) -> None:
    people = phones.people
    path = f"/users/{people.member.id}/webpush"
    await people.anonymous.get("/users/me/webpush", expect=401)
    await people.anonymous.post("/users/me/webpush", browser(), expect=401)
    for other in (people.teammate, people.admin):
        await other.get(path, expect=403)
        await other.post(path, browser(), expect=403)
        await other.delete(path, expect=403)
    await people.admin.put("/config/patch", {"ServiceSettings": {"EnableUserAccessTokens": True}})
    made = await people.admin.post(f"/users/{people.admin.id}/tokens", {"description": "program"})
    program = people.api.anonymous(Authorization=f"Bearer {made['token']}")
    await program.post("/users/me/webpush", browser(), expect=400)
    await phones.configure(SendPushNotifications=False)
    await people.member.post("/users/me/webpush", browser(), expect=501)
    await phones.configure(SendPushNotifications=True)


async def test_the_keys_are_made_once_and_do_not_lie_open(phones: Phones) -> None:
    """Whichever processes ask first, all get the same pair."""
    db = Database(phones.database_url)
    settings = phones.people.api.settings
    await db.execute("DELETE FROM system WHERE name = $1", push_keys.VAPID)
    pairs = await asyncio.gather(*(push_keys.get_pair(settings, db, push_keys.VAPID) for _ in range(4)))
    stored = await db.fetchval("SELECT value FROM system WHERE name = $1", push_keys.VAPID)
    pem = push_keys.private_pem(await Vault.open(settings, db), push_keys.VAPID, pairs[0])
    await db.close()
    assert len(set(pairs)) == 1
    assert pem.split(b"\n")[1].decode() not in stored
    public = push_keys.load_private(pem).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64encode(der).decode() == pairs[0].public
