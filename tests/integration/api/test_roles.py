"""Roles: what they permit can be changed, at run time, for everybody, within limits."""

import json

from tests.fixtures.announced import announced
from tests.fixtures.api import People
from tidewire.wire.ids import is_id
from tidewire.wire.roles import PERMISSIONS


async def test_roles_are_listed_for_administrators(people: People) -> None:
    listed = await people.admin.get("/roles")
    assert {role["name"] for role in listed} == PERMISSIONS.keys()
    assert all(is_id(role["id"]) for role in listed)
    await people.member.get("/roles", expect=403)


async def test_a_patch_is_in_force_at_once_and_told_to_everybody(people: People, database_url: str) -> None:
    role = await people.member.get("/roles/name/system_user")
    fewer = [name for name in role["permissions"] if name != "create_team"]
    path = f"/roles/{role['id']}/patch"
    await people.member.put(path, {"permissions": fewer}, expect=403)
    _, last = await announced(database_url)
    answer = await people.admin.put(path, {"permissions": [*fewer, fewer[0]]})
    assert answer["permissions"] == fewer
    assert answer["update_at"] > role["update_at"]
    assert await people.member.get(f"/roles/{role['id']}") == answer
    assert await people.member.post("/roles/names", ["system_user"]) == [answer]
    [change], last = await announced(database_url, after=last)
    [event] = change.events
    assert event["event"] == "role_updated"
    assert json.loads(event["data"]["role"]) == answer
    assert change.copies[0].everyone
    body = {"name": "terns", "display_name": "Terns", "type": "O"}
    await people.member.post("/teams", body, expect=403)
    await people.admin.post("/teams", body, expect=201)
    await people.admin.put(path, {"permissions": role["permissions"]})
    await people.member.post("/teams", body | {"name": "gulls"}, expect=201)


async def test_channel_roles_are_asked_where_they_count(people: People) -> None:
    role = await people.admin.get("/roles/name/channel_user")
    fewer = [name for name in role["permissions"] if name != "create_post"]
    post = {"channel_id": people.channel["id"], "message": "x"}
    await people.member.post("/posts", post, expect=201)
    await people.admin.put(f"/roles/{role['id']}/patch", {"permissions": fewer})
    await people.member.post("/posts", post, expect=403)
    await people.owner.post("/posts", post, expect=201)  # team_admin permits it still


async def test_what_may_not_be_patched(people: People) -> None:
    admin = people.admin
    by_name = {role["name"]: role for role in await admin.get("/roles")}
    users = by_name["system_user"]

    async def refuse(name: str, permissions: object, status: int, error: str) -> None:
        answer = await admin.put(
            f"/roles/{by_name[name]['id']}/patch", {"permissions": permissions}, expect=status
        )
        assert answer["id"] == error

    await refuse("system_guest", [], 501, "api.roles.patch_roles.license.error")
    untouchable = "api.roles.patch_roles.not_allowed_permission.error"
    await refuse("system_user", [*users["permissions"], "manage_system"], 501, untouchable)
    await refuse("system_admin", [], 501, untouchable)
    await refuse("system_user", ["nonsense"], 400, "app.role.save.invalid_role.app_error")
    await refuse("system_user", "create_post", 400, "api.context.invalid_body_param.app_error")
    assert await admin.put(f"/roles/{users['id']}/patch", {}) == users
    await admin.put("/roles/" + "x" * 26 + "/patch", {"permissions": []}, expect=404)
    await people.member.put("/roles/" + "x" * 26 + "/patch", {"permissions": []}, expect=403)
    # One who may change permissions, but not everything, leaves the roles of administrators alone.
    more = [*users["permissions"], "sysconsole_write_user_management_permissions"]
    await admin.put(f"/roles/{users['id']}/patch", {"permissions": more})
    await people.member.put(
        f"/roles/{by_name['system_manager']['id']}/patch", {"permissions": []}, expect=403
    )
    await people.member.put(f"/roles/{by_name['team_user']['id']}/patch", {"permissions": ["view_team"]})
