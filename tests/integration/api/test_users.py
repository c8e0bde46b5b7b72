"""Accounts: what may be chosen, who sees what, how they are found."""

import asyncio
from typing import Any

import pytest

from tests.fixtures.api import PASSWORD, Api, People, new_settings

NEW = {"username": "gull", "email": "gull@example.org", "password": PASSWORD}

ALWAYS = {
    "id", "delete_at", "username", "auth_data", "auth_service", "email", "nickname", "first_name", "last_name",
    "position", "roles", "locale", "timezone", "disable_welcome_email", "create_at", "update_at",
}  # fmt: skip
SECRET = {"password", "password_hash", "mfa_secret", "mfa_used_timestamps", "last_login"}


async def test_only_the_first_of_many_becomes_admin(api: Api) -> None:
    bodies = [{**NEW, "username": f"u{i}", "email": f"u{i}@example.org"} for i in range(6)]
    users = await asyncio.gather(*(api.anonymous().post("/users", body, expect=201) for body in bodies))
    assert sorted(user["roles"] for user in users) == ["system_admin system_user"] + ["system_user"] * 5


BAD = [
    ({"username": ""}, "model.user.is_valid.username.app_error"),
    ({"username": "has space"}, "model.user.is_valid.username.app_error"),
    ({"username": "ümlaut"}, "model.user.is_valid.username.app_error"),
    ({"username": "x" * 65}, "model.user.is_valid.username.app_error"),
    ({"username": "channel"}, "model.user.is_valid.username.app_error"),
    ({"email": "nobody"}, "model.user.is_valid.email.app_error"),
    ({"email": "a@" + "b" * 128}, "model.user.is_valid.email.app_error"),
    ({"password": "short"}, "model.user.is_valid.pwd_min_length.app_error"),
    ({"password": "x" * 73}, "model.user.is_valid.pwd_max_length.app_error"),
    ({"nickname": "x" * 65}, "model.user.is_valid.nickname.app_error"),
    ({"position": "x" * 129}, "model.user.is_valid.position.app_error"),
    ({"locale": "no/such"}, "model.user.is_valid.locale.app_error"),
    ({"username": "Taken"}, "app.user.save.username_exists.app_error"),
    ({"email": "TAKEN@example.org"}, "app.user.save.email_exists.app_error"),
    ({"username": 7}, "api.context.invalid_body_param.app_error"),
    ({"nickname": "a\0b"}, "api.context.invalid_body_param.app_error"),
]


async def test_what_a_new_account_may_not_be(api: Api) -> None:
    await api.user("taken")
    for change, error_id in BAD:
        answer = await api.anonymous().post("/users", {**NEW, **change}, expect=400)
        assert answer["id"] == error_id, change
        assert answer["status_code"] == 400


async def test_names_are_lower_cased_and_roles_cannot_be_chosen(api: Api) -> None:
    await api.user("admin")
    wish = {**NEW, "username": "GULL", "email": "Gull@Example.ORG", "roles": "system_admin", "email_verified": True,
            "auth_data": "x", "delete_at": 5, "id": "a" * 26, "create_at": 1}  # fmt: skip
    user = await api.anonymous().post("/users", wish, expect=201)
    assert (user["username"], user["email"], user["roles"]) == ("gull", "gull@example.org", "system_user")
    assert user["id"] != "a" * 26
    assert user["create_at"] > 1
    assert user["delete_at"] == 0
    assert user["auth_data"] == ""
    assert "email_verified" not in user


async def test_closed_signup_lets_only_the_first_and_admins_make_accounts(
    database_url: str, redis_url: str
) -> None:
    server = Api(new_settings(database_url, redis_url, users={"open_signup": False}))
    await server.start()
    try:
        admin = await server.user("admin")
        answer = await server.anonymous().post("/users", NEW, expect=403)
        assert answer["id"] == "api.user.create_user.no_open_server"
        await admin.post("/users", NEW, expect=201)
        config = await server.anonymous().get("/config/client")
        assert config["EnableOpenServer"] == "false"
    finally:
        await server.stop()


async def test_views_hide_what_is_not_for_the_viewer(people: People) -> None:
    me = people.member
    await me.put("/users/me/patch", {"first_name": "Mo", "props": {"show_last_active": "true"}})
    own = await me.get("/users/me")
    admins = await people.admin.get(f"/users/{me.id}")
    others = await people.stranger.get(f"/users/{me.id}")
    for view in (own, admins, others):
        assert view.keys() >= ALWAYS
        assert not view.keys() & SECRET
    assert own["notify_props"]["push"] == "mention"
    assert own["last_password_update"] > 0
    assert "last_password_update" not in admins
    assert admins["notify_props"]
    assert "notify_props" not in others
    assert others["first_name"] == "Mo"


async def test_privacy_settings_hide_addresses_and_names(database_url: str, redis_url: str) -> None:
    settings = new_settings(database_url, redis_url, users={"show_email": False, "show_full_name": False})
    server = Api(settings)
    await server.start()
    try:
        admin, one, other = [await server.user(name) for name in ("admin", "one", "other")]
        await one.put("/users/me/patch", {"first_name": "Mo", "last_name": "Gull"})
        seen = await other.get(f"/users/{one.id}")
        assert (seen["email"], seen["first_name"], seen["last_name"]) == ("", "", "")
        assert (await admin.get(f"/users/{one.id}"))["email"] == "one@example.org"
        assert (await one.get("/users/me"))["email"] == "one@example.org"
        await other.get("/users/email/one@example.org", expect=403)
    finally:
        await server.stop()


async def test_finding_accounts(people: People) -> None:
    me, other = people.member, people.stranger
    assert (await me.get("/users/username/STRANGER"))["id"] == other.id
    assert (await me.get("/users/email/stranger@example.org"))["id"] == other.id
    assert {one["id"] for one in await me.post("/users/ids", [me.id, other.id, other.id, "x" * 26])} == {
        me.id,
        other.id,
    }
    assert [one["id"] for one in await me.post("/users/usernames", ["Stranger", "nobody"])] == [other.id]
    before = (await other.get("/users/me"))["update_at"]
    assert await me.post(f"/users/ids?since={before}", [other.id]) == []
    await other.put("/users/me/patch", {"nickname": "new"})
    assert [one["nickname"] for one in await me.post(f"/users/ids?since={before}", [other.id])] == ["new"]
    assert (await me.get("/users/stats")) == {"total_users_count": 5}
    missing = await me.get("/users/" + "x" * 26, expect=404)
    assert missing["id"] == "app.user.missing_account.const"
    await me.get("/users/username/nobody", expect=404)
    for path in ("/users/ids", "/users/usernames"):
        assert (await me.post(path, [], expect=400))["id"] == "api.context.invalid_body_param.app_error"


async def test_etags(people: People) -> None:
    me = people.member
    first = await me.request("GET", "/users/me")
    etag = first.headers["ETag"]
    again = await me.request("GET", "/users/me", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    other_view = await people.owner.request("GET", f"/users/{me.id}", headers={"If-None-Match": etag})
    assert other_view.status_code == 200
    await me.put("/users/me/patch", {"nickname": "x"})
    assert (await me.request("GET", "/users/me", headers={"If-None-Match": etag})).status_code == 200


async def test_lists(people: People) -> None:
    me, team, channel = people.member, people.team["id"], people.channel["id"]

    async def names(query: str) -> list[str]:
        return [user["username"] for user in await me.get(f"/users?{query}")]

    everybody = ["admin", "member", "owner", "stranger", "teammate"]
    assert await names("") == everybody
    assert await names("page=1&per_page=2") == ["owner", "stranger"]
    assert await names("page=-3&per_page=none") == everybody
    assert await names(f"in_team={team}") == ["member", "owner", "teammate"]
    assert await names(f"not_in_team={team}") == ["admin", "stranger"]
    assert await names(f"in_channel={channel}") == ["member", "owner"]
    assert await names(f"in_channel={channel}&sort=admin") == ["owner", "member"]
    assert await names(f"in_team={team}&not_in_channel={channel}") == ["teammate"]
    assert await names("role=system_admin") == ["admin"]
    assert await names("active=true") == everybody
    assert await names("inactive=true") == []
    for query in (
        "in_team=x",
        "active=true&inactive=true",
        f"not_in_channel={channel}",
        "sort=nonsense",
        "sort=admin",
    ):
        await me.get(f"/users?{query}", expect=400)
    await people.stranger.get(f"/users?in_team={team}", expect=403)
    await people.stranger.get(f"/users?in_channel={channel}", expect=403)


PATCHES: list[tuple[dict[str, Any], int, str]] = [
    ({"username": "owner"}, 400, "app.user.save.username_exists.app_error"),
    ({"username": "no good"}, 400, "model.user.is_valid.username.app_error"),
    ({"email": "new@example.org"}, 400, "api.context.invalid_body_param.app_error"),
    (
        {"email": "new@example.org", "password": "wrong"},
        400,
        "api.user.check_user_password.invalid.app_error",
    ),
    ({"email": "owner@example.org", "password": PASSWORD}, 400, "app.user.save.email_exists.app_error"),
    ({"props": {"a": "b" * 9000}}, 400, "model.user.is_valid.props.app_error"),
    ({"timezone": {"a": 1}}, 400, "api.context.invalid_body_param.app_error"),
]


async def test_patching_oneself(people: People) -> None:
    me = people.member
    for patch, status, error_id in PATCHES:
        assert (await me.put("/users/me/patch", patch, expect=status))["id"] == error_id, patch
    # A stolen session is no way to guess the password.
    guess = {"email": "new@example.org", "password": "wrong"}
    for _ in range(8):
        await people.teammate.put("/users/me/patch", guess, expect=400)
    await people.teammate.put("/users/me/patch", {**guess, "password": PASSWORD})
    for _ in range(2):
        await people.teammate.put("/users/me/patch", {**guess, "email": "x@example.org"}, expect=400)
    await people.teammate.put("/users/me/patch", {**guess, "email": "x@example.org"}, expect=401)
    before = await me.get("/users/me")
    same = await me.put(
        "/users/me/patch", {"email": before["email"], "roles": "system_admin", "failed_attempts": 9}
    )
    assert same["roles"] == "system_user"
    changed = await me.put(
        "/users/me/patch", {"email": "Mo@example.org", "password": PASSWORD, "username": "Mo"}
    )
    assert (changed["email"], changed["username"]) == ("mo@example.org", "mo")
    assert changed["update_at"] > before["update_at"]
    whole = await me.put(f"/users/{me.id}", {**changed, "timezone": {"automaticTimezone": "Europe/Oslo"}})
    assert whole["timezone"] == {"automaticTimezone": "Europe/Oslo"}
    await me.put(f"/users/{people.owner.id}/patch", {"nickname": "x"}, expect=403)
    assert (await people.admin.put(f"/users/{me.id}/patch", {"email": "q@example.org"}))[
        "email"
    ] == "q@example.org"


@pytest.mark.parametrize("query", ["/users/group_channels"])
async def test_profiles_of_group_channels(people: People, query: str) -> None:
    owner, member, teammate = people.owner, people.member, people.teammate
    group = await owner.post("/channels/group", [member.id, teammate.id])
    found = await member.post(query, [group["id"], people.channel["id"]])
    assert {one["id"] for one in found[group["id"]]} == {owner.id, teammate.id}
    assert found.keys() == {group["id"]}
    assert await people.stranger.post(query, [group["id"]]) == {}
