"""The configuration: who may see and set which key, masks, limits, and that every node and client hears of a change."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from tests.fixtures.announced import announced
from tests.fixtures.api import PASSWORD, Api, Client, People, new_settings
from tests.fixtures.redis import Redis
from tidewire.actions import revisions
from tidewire.wire.config import DEFAULTS, MASK, PARTS, flatten

PERMISSIONS = "api.context.permissions.app_error"
SECURITY = "api.config.update_config.not_allowed_security.app_error"


async def patch(caller: Client, expect: int = 200, **sections: dict[str, Any]) -> Any:
    """Patch the configuration."""
    return await caller.put("/config/patch", sections, expect=expect)


async def test_an_administrator_sees_everything_and_others_nothing(people: People) -> None:
    seen = await people.admin.get("/config")
    assert flatten(seen).keys() == DEFAULTS.keys()
    for method, path in (
        ("GET", "/config"),
        ("PUT", "/config"),
        ("PUT", "/config/patch"),
        ("POST", "/config/reload"),
    ):
        refused = await people.member.call(method, path, {} if method == "PUT" else None, expect=403)
        assert refused["id"] == PERMISSIONS
        await people.anonymous.call(method, path, {} if method == "PUT" else None, expect=401)
    assert await people.member.get("/config/environment") == {}
    assert await people.admin.post("/config/reload") == {"status": "OK"}
    without = await people.admin.get("/config?remove_defaults=true")
    assert without == {}
    assert "SMTPPassword" not in (await people.admin.get("/config?remove_masked=true"))["EmailSettings"]


async def test_a_change_is_stored_announced_and_told_to_clients(people: People, database_url: str) -> None:
    before = (await people.member.request("GET", "/users/me")).headers["X-Version-ID"]
    _, last = await announced(database_url)
    answer = await patch(
        people.admin, TeamSettings={"SiteName": "Gulls"}, PrivacySettings={"ShowEmailAddress": False}
    )
    assert answer["TeamSettings"]["SiteName"] == "Gulls"
    after = await people.member.request("GET", f"/users/{people.owner.id}")
    assert after.headers["X-Version-ID"] != before
    assert after.json()["email"] == ""
    told = await people.member.get("/config/client")
    assert (told["SiteName"], told["ShowEmailAddress"]) == ("Gulls", "false")
    [change], last = await announced(database_url, after=last)
    [event] = change.events
    assert event["event"] == "config_changed"
    assert event["data"] == {"config": told}
    assert change.copies[0].everyone
    assert change.invalidates == ["revision:config"]
    assert await people.admin.get("/config?remove_defaults=true") == {
        "TeamSettings": {"SiteName": "Gulls"},
        "PrivacySettings": {"ShowEmailAddress": False},
    }
    # The same again changes nothing, and nobody hears of it.
    await patch(people.admin, TeamSettings={"SiteName": "Gulls"})
    assert (await announced(database_url, after=last))[0] == []
    # A whole configuration without the keys puts them back.
    await people.admin.put("/config", {})
    assert await people.admin.get("/config?remove_defaults=true") == {}
    assert (await people.member.request("GET", "/users/me")).headers["X-Version-ID"] == before


async def stored(database_url: str) -> dict[str, Any]:
    """Return what is in the table."""
    connection = await asyncpg.connect(database_url)
    try:
        return {
            row["key"]: json.loads(row["value"])
            for row in await connection.fetch("SELECT key, value FROM config")
        }
    finally:
        await connection.close()


async def test_secrets_are_masked_and_the_mask_keeps_them(people: People, database_url: str) -> None:
    admin = people.admin
    answer = await patch(admin, EmailSettings={"SMTPPassword": "s3cret", "SMTPServer": "mail"})
    assert answer["EmailSettings"]["SMTPPassword"] == MASK
    whole = await admin.get("/config")
    assert whole["EmailSettings"]["SMTPPassword"] == MASK
    assert "s3cret" not in str(whole)
    whole["EmailSettings"]["SMTPServer"] = "post"
    await admin.put("/config", whole)
    assert await stored(database_url) == {
        "EmailSettings.SMTPPassword": "s3cret",
        "EmailSettings.SMTPServer": "post",
    }
    await admin.put("/config", {})
    assert await stored(database_url) == {"EmailSettings.SMTPPassword": "s3cret"}
    await patch(admin, EmailSettings={"SMTPPassword": ""})
    assert await stored(database_url) == {}


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"TeamSettings": {"SiteName": "x" * 31}}, 400, "model.config.is_valid.sitename_length.app_error"),
    ({"TeamSettings": {"SiteName": 3}}, 400, "model.config.is_valid.sitename_length.app_error"),
    ({"TeamSettings": {"MaxChannelsPerTeam": 1}}, 400, "model.config.is_valid.max_channels.app_error"),
    ({"PasswordSettings": {"MinimumLength": 99}}, 400, "model.config.is_valid.password_length.app_error"),
    ({"PasswordSettings": {"Lowercase": "yes"}}, 400, "model.config.is_valid.lowercase.app_error"),
    ({"ServiceSettings": {"SiteURL": "ftp://x"}}, 400, "model.config.is_valid.site_url.app_error"),
    ({"ServiceSettings": 5}, 400, "api.context.invalid_body_param.app_error"),
    ({"PluginSettings": {"EnableUploads": True}}, 403, SECURITY),
    ({"ImportSettings": {"Directory": "/etc"}}, 403, SECURITY),
    ({"SqlSettings": {"DataSource": "postgres://elsewhere"}}, 403, SECURITY),
    (
        {"ElasticsearchSettings": {"EnableAutocomplete": True}},
        400,
        "api.config.update.elasticsearch.autocomplete_cannot_be_enabled_error",
    ),
]


async def test_what_may_not_be_set(people: People) -> None:
    for sections, status, error in REFUSED:
        for path in ("/config/patch", "/config"):
            assert (await people.admin.put(path, sections, expect=status))["id"] == error, sections
    assert await people.admin.get("/config?remove_defaults=true") == {}
    await patch(people.admin, ServiceSettings={"SiteURL": "https://chat.example.org"})
    refused = await patch(people.admin, 400, ServiceSettings={"SiteURL": ""})
    assert refused["id"] == "api.config.update_config.clear_siteurl.app_error"
    assert (await people.admin.put("/config", {}, expect=400))["id"] == refused["id"]


async def test_small_administrators_see_and_set_their_parts(people: People) -> None:
    helper = people.member
    names = ["sysconsole_read_site_customization", "sysconsole_write_site_customization"]
    users = await helper.get("/roles/name/system_user")
    await people.admin.put(f"/roles/{users['id']}/patch", {"permissions": [*users["permissions"], *names]})
    seen = await helper.get("/config")
    assert "SiteName" in seen["TeamSettings"]
    assert "MaxUsersPerTeam" not in seen["TeamSettings"]
    assert "EmailSettings" not in seen
    answer = await patch(
        helper, TeamSettings={"SiteName": "Mine", "MaxUsersPerTeam": 3}, EmailSettings={"SMTPServer": "x"}
    )
    assert answer == seen | {"TeamSettings": seen["TeamSettings"] | {"SiteName": "Mine"}}
    # A whole configuration from one who sees a part leaves the rest alone.
    await patch(people.admin, TeamSettings={"MaxUsersPerTeam": 7})
    await helper.put("/config", answer)
    assert await people.admin.get("/config?remove_defaults=true") == {
        "TeamSettings": {"SiteName": "Mine", "MaxUsersPerTeam": 7}
    }


async def test_what_the_environment_decides_stays(database_url: str, redis_url: str) -> None:
    api = Api(new_settings(database_url, redis_url, site={"name": "Given", "restrict_admin": True}))
    await api.start()
    try:
        admin = await api.user("admin")
        assert await admin.get("/config/environment") == {
            "ExperimentalSettings": {"RestrictSystemAdmin": True},
            "TeamSettings": {"SiteName": True},
        }
        wanted = {"SiteName": "Mine", "MaxUsersPerTeam": 5}
        answer = await patch(admin, TeamSettings=wanted, ServiceSettings={"WebsocketPort": 8080})
        assert answer["TeamSettings"]["SiteName"] == "Given"
        assert answer["TeamSettings"]["MaxUsersPerTeam"] == 5
        assert answer["ServiceSettings"]["WebsocketPort"] == 80, "the server's own: restricted"
        assert await admin.get("/config?remove_defaults=true") == {
            "ExperimentalSettings": {"RestrictSystemAdmin": True},
            "TeamSettings": {"SiteName": "Given", "MaxUsersPerTeam": 5},
        }
    finally:
        await api.stop()


async def test_every_part_is_a_permission(people: People) -> None:
    admin = await people.admin.get("/roles/name/system_admin")
    assert {f"sysconsole_{verb}_{part}" for verb in ("read", "write") for part in PARTS} <= set(
        admin["permissions"]
    )


async def test_settings_that_are_read_at_each_use(people: People) -> None:
    await patch(people.admin, TeamSettings={"EnableOpenServer": False, "MaxChannelsPerTeam": 4})
    body = {"username": "late", "email": "late@example.org", "password": PASSWORD}
    refused = await people.anonymous.post("/users", body, expect=403)
    assert refused["id"] == "api.user.create_user.no_open_server"
    await people.owner.post(
        "/channels",
        {"team_id": people.team["id"], "name": "fifth", "display_name": "5", "type": "O"},
        expect=400,
    )
    await patch(people.admin, ServiceSettings={"MaximumLoginAttempts": 1})
    wrong = {"login_id": "stranger", "password": "wrong"}
    await people.anonymous.post("/users/login", wrong, expect=401)
    locked = await people.anonymous.post("/users/login", wrong | {"password": PASSWORD}, expect=401)
    assert locked["id"] == "api.user.check_user_login_attempts.too_many.app_error"


async def becomes(ask: Any, wanted: Any, *, within_s: float) -> None:
    """Ask until the answer is the wanted one."""
    async with asyncio.timeout(within_s):
        while await ask() != wanted:
            await asyncio.sleep(0.02)


async def test_all_nodes_change_at_once_and_without_redis_soon(
    database_url: str, own_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "RECHECK_S", 8.0)
    one, other = [Api(new_settings(database_url, own_redis.url)) for _ in range(2)]
    await one.start()
    await other.start()
    try:
        admin, stranger = await one.user("admin"), other.anonymous()

        async def site_name() -> str:
            name: str = (await stranger.get("/config/client"))["SiteName"]
            return name

        await asyncio.sleep(0.2)  # the readers of invalidations are at work
        await patch(admin, TeamSettings={"SiteName": "First"})
        await becomes(site_name, "First", within_s=6)  # well below the re-check
        versions = [
            (await node.anonymous().request("GET", "/system/ping")).headers["X-Version-ID"]
            for node in (one, other)
        ]
        assert versions[0] == versions[1]
        own_redis.kill()
        await patch(admin, TeamSettings={"SiteName": "Second"})
        await becomes(site_name, "Second", within_s=60)
        roles = await admin.get("/roles/name/system_user")
        fewer = [name for name in roles["permissions"] if name != "create_team"]
        await admin.put(f"/roles/{roles['id']}/patch", {"permissions": fewer})

        async def permitted() -> list[str]:
            caller = other.anonymous(Authorization=admin.http.headers["Authorization"])
            found: list[str] = (await caller.get("/roles/name/system_user"))["permissions"]
            return found

        await becomes(permitted, fewer, within_s=60)
    finally:
        await one.stop()
        await other.stop()
