"""Apps that register themselves come and go. What they are told: test_oauth."""

from typing import Any

import pytest

from tests.integration.accounts.oauth_client import CALLBACK, OAuthClient
from tests.integration.accounts.office import Office
from tidewire.actions import oauth_registration
from tidewire.store import oauth_apps
from tidewire.wire.ids import now_ms

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_nobody_closes_registration_for_ever(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 apps that nobody uses go for others' sake; what somebody uses, trusts or is about to authorise stays."""
    member, admin, db = office.crew.people.member, office.crew.people.admin, office.crew.town.db
    body, path = {"redirect_uris": [CALLBACK]}, "/oauth/apps/register"
    ids = "SELECT id FROM oauth_apps WHERE creator_id = ''"
    age = "UPDATE oauth_apps SET create_at = create_at - $2 WHERE id = ANY($1::text[])"
    monkeypatch.setattr(oauth_registration, "PER_HOUR", 1000)
    await office.configure(ServiceSettings__EnableDynamicClientRegistration=True)
    await db.execute("DELETE FROM oauth_apps WHERE creator_id = ''")

    async def left() -> set[str]:
        return {row["id"] for row in await db.fetch(ids)}

    async def register() -> dict[str, Any]:
        made: dict[str, Any] = await office.api.anonymous().post(path, body, expect=201)
        return made

    try:
        used, trusted, held, idle = [await register() for _ in range(4)]
        names = [one["client_id"] for one in (used, trusted, held, idle)]
        asks = {"client_id": names[0], "response_type": "code", "redirect_uri": CALLBACK, "state": "s+ &"}
        client = OAuthClient(office, {"id": names[0], "client_secret": used["client_secret"]}, asks)
        caller = await client.caller(member)
        app = await admin.get(f"/oauth/apps/{names[1]}")
        await admin.put(f"/oauth/apps/{names[1]}", {**app, "is_trusted": True})
        await db.execute(age, names, oauth_registration.UNUSED_MS - 60_000)
        await register()
        assert set(names) <= await left()  # a day is not over
        await db.execute(age, names, 60_000)
        async with db.transaction() as tx:
            assert await oauth_apps.hold(tx, names[2])
            await register()
            assert await left() & set(names) == set(names[:3])
        await register()
        assert await left() & set(names) == set(names[:2])

        full = oauth_registration.ALL_MAX - len(await left())
        await db.execute(
            "INSERT INTO oauth_apps SELECT 'full' || lpad(i::text, 22, '0'), creator_id, $1::bigint + i, $1,"
            " client_secret, name, description, icon_url, callback_urls, homepage, is_trusted, mattermost_app_id,"
            " is_dynamically_registered FROM oauth_apps, generate_series(1, $2) i WHERE id = $3",
            now_ms() - 2000, full, names[0],
        )  # fmt: skip
        await office.fails(
            office.api.anonymous(), "POST", path, body, 400, "api.oauth.register_oauth_client.invalid.app_error"
        )
        filling = ["full" + str(number).zfill(22) for number in range(1, full + 1)]
        await db.execute(age, filling, oauth_registration.UNUSED_FULL_MS)
        made = [(await register())["client_id"] for _ in range(3)]
        now = await left()
        assert len(now) == oauth_registration.ALL_MAX and {*names[:2], *made} <= now
        assert set(filling) - now == set(filling[:3]), "the oldest first"
        await db.execute(age, filling, oauth_registration.UNUSED_MS)
        await register()
        assert len(set(filling) & await left()) == full - 3 - oauth_registration.FORGOTTEN
        await caller.get("/users/me")
    finally:
        await office.configure(ServiceSettings__EnableDynamicClientRegistration=None)
        await db.execute("DELETE FROM oauth_apps WHERE id LIKE 'full%'")
