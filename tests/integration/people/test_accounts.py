"""Changes of accounts over real sockets: who hears what, and what is in force at once. Source: Mattermost API v4."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.fixtures.api import PASSWORD, Client
from tests.integration.gateway.world import PATIENCE_S, world
from tests.integration.gateway.world import Client as Socket
from tests.integration.people.crew import Crew
from tidewire.actions.roles import Roles

pytestmark = pytest.mark.asyncio(loop_scope="package")
LIMIT_S = 5.0  # five times what is promised: a busy machine is late

# Nobody but the owner gets these, and admins get the second set only. Security: what leaks in events and answers.
SECRETS = {"password", "password_hash", "mfa_secret", "mfa_used_timestamps", "last_login", "token"}
PRIVATE = {"last_password_update", "email_verified"}


async def newcomer(crew: Crew, name: str, *, team: bool = True) -> Client:
    """Return a new user, in the team and the open channel."""
    people = crew.people
    user = await people.api.user(name)
    if team:
        await people.owner.add_to_team(people.team["id"], user)
        await people.owner.post(f"/channels/{people.channel['id']}/members", {"user_id": user.id})
    return user


async def updates_of(socket: Socket, user_id: str) -> list[dict[str, Any]]:
    """Return the `user_updated` events about a user that came by now."""
    await socket.quiet()
    return [event for event in socket.events if event["event"] == "user_updated"
            and event["data"]["user"]["id"] == user_id]  # fmt: skip


async def drained(crew: Crew, watch: Socket, user_id: str, nickname: str) -> None:
    """Wait until a socket that hears all has heard of the change."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            event = await watch.event("user_updated")
            user = event["data"]["user"]
            if user["id"] == user_id and user["nickname"] == nickname:
                return


async def test_each_hears_his_own_variant_once(crew: Crew, config: dict[str, Any]) -> None:
    config["PrivacySettings.ShowEmailAddress"] = False
    config["PrivacySettings.ShowFullName"] = False
    people = crew.people
    me, far = await newcomer(crew, "variant"), people.stranger
    mine, again, admin, other, guest = [
        await crew.socket(one) for one in (me, me, people.admin, people.owner, crew.guest)
    ]
    await me.put("/users/me/patch", {"nickname": "One", "first_name": "Fay", "notify_props": {"email": "false"}})
    await far.put("/users/me/patch", {"nickname": "Far"})
    for socket in (admin, other):
        await drained(crew, socket, far.id, "Far")
    for socket in (mine, again):
        [event] = await updates_of(socket, me.id)
        user = event["data"]["user"]
        assert event["broadcast"]["user_id"] == me.id
        assert user["notify_props"] == {"email": "false"}
        assert (user["email"], user["first_name"]) == ("variant@example.org", "Fay")
    [event] = await updates_of(admin, me.id)
    user = event["data"]["user"]
    assert event["broadcast"]["contains_sensitive_data"] is True
    assert "contains_sanitized_data" not in event["broadcast"]
    assert (user["email"], user["first_name"]) == ("variant@example.org", "Fay")
    assert not user.keys() & PRIVATE
    for socket in (other, guest):  # the guest shares the channel
        [event] = await updates_of(socket, me.id)
        user = event["data"]["user"]
        assert event["broadcast"]["contains_sanitized_data"] is True
        assert event["broadcast"]["omit_users"] == {me.id: True}
        assert (user["email"], user["first_name"], user["nickname"]) == ("", "", "One")
        assert not user.keys() & (PRIVATE | {"notify_props", "failed_attempts"})
    # Of people he shares no channel with a guest hears nothing, nor of new ones.
    assert await updates_of(guest, far.id) == []
    await newcomer(crew, "unheard", team=False)
    await other.event("new_user")
    assert "new_user" not in await guest.quiet() + [event["event"] for event in guest.events]
    for socket in (mine, admin, other, guest):
        assert not any(f'"{word}"' in json.dumps(socket.events) for word in SECRETS)


async def test_roles_are_in_force_at_once(crew: Crew) -> None:
    people = crew.people
    me = await newcomer(crew, "riser")
    socket = await crew.socket(me)
    await me.get("/users?without_team=true", expect=403)
    roles = "system_admin system_user"
    await people.admin.put(f"/users/{me.id}/roles", {"roles": roles})
    event = await socket.event("user_role_updated")
    assert event["data"] == {"user_id": me.id, "roles": roles}
    assert event["broadcast"]["user_id"] == me.id
    await me.get("/users?without_team=true")
    assert (await me.get("/users/me"))["roles"] == roles
    await people.owner.put("/users/me/patch", {"nickname": "Up"})
    await drained(crew, socket, people.owner.id, "Up")
    assert (await updates_of(socket, people.owner.id))[-1]["broadcast"]["contains_sensitive_data"] is True
    await people.admin.put(f"/users/{me.id}/roles", {"roles": "system_user"})
    await socket.event("user_role_updated")
    await me.get("/users?without_team=true", expect=403)
    await people.owner.put("/users/me/patch", {"nickname": "Down"})
    await drained(crew, socket, people.owner.id, "Down")
    assert "contains_sensitive_data" not in (await updates_of(socket, people.owner.id))[-1]["broadcast"]


@pytest.mark.alone("an end within seconds")
async def test_a_deactivated_account_is_dead_at_once(crew: Crew) -> None:
    people = crew.people
    me, watch = await newcomer(crew, "fader"), await crew.socket(people.owner)
    token = await people.admin.post(f"/users/{me.id}/tokens", {"description": "x"})
    by_token = people.api.anonymous(Authorization="Bearer " + token["token"])
    assert (await by_token.get("/users/me"))["id"] == me.id
    await me.put("/users/me/status", {"user_id": me.id, "status": "dnd"})
    settings = people.api.settings
    async with world(settings.database.url, settings.redis.url, metrics={"port": 0}) as second:  # another gateway
        sockets = [await crew.socket(me) for _ in range(2)]
        sockets.append(await second.open(me.http.headers["Authorization"].removeprefix("Bearer ")))
        await sockets[-1].event("hello")
        started = time.monotonic()
        await people.admin.put(f"/users/{me.id}/active", {"active": False})
        status = await people.owner.get(f"/users/{me.id}/status")
        assert (status["status"], status["manual"], status["dnd_end_time"]) == ("offline", False, 0)
        for socket in sockets:
            code, _ = await socket.closed()
            assert code == 1008
            assert not [one for one in socket.events if one["event"] == "user_activation_status_change"]
        assert time.monotonic() - started < LIMIT_S
    await me.get("/users/me", expect=401)
    await by_token.get("/users/me", expect=401)
    body = {"login_id": "fader", "password": PASSWORD}
    assert (await people.anonymous.request("POST", "/users/login", json=body)).status_code == 401
    event = await watch.event("user_activation_status_change")
    assert event["data"] == {}
    assert (await updates_of(watch, me.id))[-1]["data"]["user"]["delete_at"] > 0
    assert (await people.owner.get(f"/users/{me.id}"))["delete_at"] > 0
    # Again, and nothing more is told.
    _, told = await crew.announced(people.admin.delete(f"/users/{me.id}"))
    assert told == []
    await people.admin.put(f"/users/{me.id}/active", {"active": True})
    await watch.event("user_activation_status_change")
    assert (await updates_of(watch, me.id))[-1]["data"]["user"]["delete_at"] == 0
    await me.log_in("fader")
    back = await crew.socket(me)
    await back.act("user_update_active_status", {"user_is_active": True})
    async with asyncio.timeout(30):  # his gateway writes that in its next tick
        while (await people.owner.get(f"/users/{me.id}/status"))["status"] != "online":
            await asyncio.sleep(0.05)
    assert (await by_token.get("/users/me"))["id"] == me.id


async def test_deactivating_oneself_and_ones_bots(crew: Crew, config: dict[str, Any]) -> None:
    config["TeamSettings.EnableUserDeactivation"] = True
    people = crew.people
    me = await newcomer(crew, "leaver")
    bot = await people.admin.post("/bots", {"username": "leavers_bot"}, expect=201)
    await people.admin.post(f"/bots/{bot['user_id']}/assign/{me.id}")
    await me.delete(f"/users/{me.id}")
    await me.get("/users/me", expect=401)
    assert (await people.owner.get(f"/users/{bot['user_id']}"))["delete_at"] > 0
    # A bot is put back by the same call.
    await people.admin.put(f"/users/{bot['user_id']}/active", {"active": True})
    assert (await people.owner.get(f"/users/{bot['user_id']}"))["delete_at"] == 0


async def test_guests_come_back_only_where_guests_may(crew: Crew, config: dict[str, Any]) -> None:
    people = crew.people
    visitor = await newcomer(crew, "visitor")
    await people.admin.put(f"/users/{visitor.id}/roles", {"roles": "system_guest"})
    await people.admin.put(f"/users/{visitor.id}/active", {"active": False})
    config["GuestAccountsSettings.Enable"] = False
    answer = await people.admin.put(f"/users/{visitor.id}/active", {"active": True}, expect=403)
    assert answer["id"].startswith("api.user.update_active.cannot_enable_guest")
    config["GuestAccountsSettings.Enable"] = True
    await people.admin.put(f"/users/{visitor.id}/active", {"active": True})


async def test_what_cannot_be_assigned_by_mass(crew: Crew) -> None:
    """Security: roles, service, verification, times and ids in a body change nothing."""
    me = await newcomer(crew, "greedy")
    before = await me.get("/users/me")
    greed = {"roles": "system_admin", "auth_data": "x", "auth_service": "ldap", "email_verified": True, "delete_at": 5,
             "create_at": 5, "update_at": 5, "is_bot": True, "mfa_active": True, "failed_attempts": 9,
             "last_picture_update": 5, "password_hash": "x", "remote_id": "x" * 26}  # fmt: skip
    patched = await me.put("/users/me/patch", greed)
    whole = await me.put(f"/users/{me.id}", before | greed)
    assert before.keys() == patched.keys() == whole.keys()
    changed = {name for name in before if before[name] != whole[name]}
    assert changed <= {"update_at"}
    assert whole["update_at"] > before["update_at"] > 5


async def test_a_whole_user_replaces_and_a_patch_keeps(crew: Crew) -> None:
    me = await newcomer(crew, "whole")
    await me.put("/users/me/patch", {"nickname": "n", "first_name": "f", "position": "p"})
    assert (await me.put("/users/me/patch", {"last_name": "l"}))["nickname"] == "n"
    whole = await me.put(f"/users/{me.id}", {"id": me.id, "username": "whole2", "last_name": "l", "nickname": None})
    assert [whole[name] for name in ("username", "nickname", "first_name", "last_name", "position")] == [
        "whole2", "", "", "l", ""]  # fmt: skip
    assert whole["email"] == "whole@example.org"
    assert whole["notify_props"]["push"] == "mention"


async def test_who_manages_a_bot_and_who_an_admin(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    people = crew.people
    assert (await people.admin.put(f"/users/{crew.bot.id}/patch", {"position": "Tin"}))["position"] == "Tin"
    await people.owner.put(f"/users/{crew.bot.id}/patch", {"position": "Tin"}, expect=403)
    assert (await crew.bot.put("/users/me/patch", {"nickname": "Bolt"}))["nickname"] == "Bolt"
    # One who may edit and manage users, but is no system admin, does not touch system admins.
    helper, grants = await newcomer(crew, "helper"), Roles.grants
    may = {"edit_other_users", "sysconsole_write_user_management_users", "manage_roles"}
    monkeypatch.setattr(
        Roles, "grants", lambda self, roles: grants(self, roles) | (may if "system_post_all" in roles else set())
    )
    await people.admin.put(f"/users/{helper.id}/roles", {"roles": "system_user system_post_all"})
    await helper.put(f"/users/{people.owner.id}/patch", {"position": "Cook"})
    for method, path, body in (
        ("PUT", "/patch", {"nickname": "x"}),
        ("PUT", "/active", {"active": False}),
        ("PUT", "/roles", {"roles": "system_user"}),
        ("DELETE", "", None),
    ):
        await helper.call(method, f"/users/{people.admin.id}{path}", body, expect=403)
    await helper.put(f"/users/{helper.id}/roles", {"roles": "system_admin system_user"}, expect=403)


async def test_changes_at_once_end_as_if_one_after_another(crew: Crew) -> None:
    """Security: races. Forty changes of one account: no 500, no lost field, versions that only grow."""
    people = crew.people
    me = await newcomer(crew, "racer")
    fields = ("nickname", "first_name", "last_name", "position")
    turns = [me.put("/users/me/patch", {fields[n % 4]: f"{fields[n % 4]}{n}"}) for n in range(20)]
    turns += [me.put("/users/me/status/custom", {"text": f"{n}"}) for n in range(10)]
    turns += [people.admin.put(f"/users/{me.id}/roles", {"roles": "system_user"}) for _ in range(5)]
    await asyncio.gather(*turns)
    user = await me.get("/users/me")
    assert all(user[name].startswith(name) for name in fields)
    assert json.loads(user["props"]["customStatus"])["text"].isdigit()
    switches = [people.admin.put(f"/users/{me.id}/active", {"active": bool(n % 2)}) for n in range(10)]
    await asyncio.gather(*switches)
    await people.admin.put(f"/users/{me.id}/active", {"active": True})
    await me.log_in("racer")
    after = await me.get("/users/me")
    assert after["delete_at"] == 0
    assert after["update_at"] > user["update_at"]


async def test_a_cookie_alone_changes_nothing(crew: Crew) -> None:
    """Security: a form or a script of another site has the cookie, but not the CSRF token."""
    people = crew.people
    me = await newcomer(crew, "cookie", team=False)
    before = await me.get("/users/me")
    token = me.http.headers["Authorization"].removeprefix("Bearer ")
    forged = people.api.anonymous(Cookie=f"MMAUTHTOKEN={token}", Origin="https://evil.example")
    form = {"Content-Type": "text/plain"}
    for method, path, body in (
        ("PUT", "/users/me/patch", {"nickname": "x"}),
        ("PUT", f"/users/{me.id}", {"id": me.id, "nickname": "x"}),
        ("DELETE", f"/users/{me.id}", None),
        ("PUT", f"/users/{me.id}/active", {"active": False}),
        ("PUT", f"/users/{me.id}/roles", {"roles": "system_user"}),
        ("POST", "/users/me/image", None),
        ("DELETE", "/users/me/image", None),
        ("PUT", "/users/me/status", {"user_id": me.id, "status": "dnd"}),
        ("PUT", "/users/me/status/custom", {"text": "x"}),
        ("DELETE", "/users/me/status/custom", None),
        ("PUT", "/users/me/preferences", [{"user_id": me.id, "category": "c", "name": "n", "value": "v"}]),
        ("POST", "/users/search", {"term": "a"}),
    ):
        answer = await forged.request(method, path, content=json.dumps(body), headers=form)
        assert answer.status_code == 401, path
        assert answer.json()["id"] == "api.context.session_expired.app_error"
    assert await me.get("/users/me") == before
    assert await me.get("/users/me/preferences") == []
    assert (await me.get("/users/me/status"))["status"] == "offline"
    # Pictures are shown in pages: reading them needs the cookie only.
    assert (await forged.request("GET", "/users/me/image")).status_code == 200
