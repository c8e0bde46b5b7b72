"""What the server says about itself, headers of every answer, and the operations that are not there yet."""

import re

import httpx

from api.not_implemented import OPERATIONS
from api.routing import ROUTES
from tests.fixtures.api import Api, People, new_settings

ERROR = {"id", "message", "detailed_error", "request_id", "status_code"}


async def test_client_config_has_every_key_as_a_string(people: People) -> None:
    stranger = await people.anonymous.get("/config/client?format=old")
    full = await people.member.get("/config/client?format=old")
    # The numbers are those of the contract: limited keys with NoAccounts and the signing key; all keys unlicensed, and
    # PostAcknowledgements, which ask for no licence here.
    assert len(stranger) == 90
    assert len(full) == 255 + 1 and "PostAcknowledgements" in full
    assert stranger.items() <= full.items()
    assert all(isinstance(value, str) for value in full.values())
    assert full["Version"] == "11.6.0"
    assert full["NoAccounts"] == "false"
    assert re.fullmatch("[a-z0-9]{26}", full["DiagnosticId"])
    assert int(full["InstallationDate"]) > 0


async def test_no_accounts_is_true_until_there_is_one(api: Api) -> None:
    assert (await api.anonymous().get("/config/client"))["NoAccounts"] == "true"
    await api.user("first")
    assert (await api.anonymous().get("/config/client"))["NoAccounts"] == "false"


async def test_the_version_is_the_same_on_all_nodes(
    people: People, database_url: str, redis_url: str
) -> None:
    other = Api(new_settings(database_url, people.api.settings.redis.url))
    await other.start()
    renamed = Api(new_settings(database_url, people.api.settings.redis.url, site={"name": "Elsewhere"}))
    await renamed.start()
    try:
        first, second, third = [
            (await server.anonymous().request("GET", "/system/ping")).headers["X-Version-ID"]
            for server in (people.api, other, renamed)
        ]
    finally:
        await other.stop()
        await renamed.stop()
    assert re.fullmatch(r"11\.6\.0\.[^.]+\.[0-9a-f]{64}\.false", first)
    assert first == second != third


async def test_licence_roles_and_short_answers(people: People) -> None:
    me, anonymous = people.member, people.anonymous
    assert await anonymous.get("/license/client?format=old") == {"IsLicensed": "false"}
    missing = await anonymous.get("/license/client", expect=400)
    assert missing["id"] == "api.license.client.old_format.app_error"
    roles = await me.post("/roles/names", ["channel_user", "nonsense", "system_admin"])
    assert [role["name"] for role in roles] == ["channel_user", "system_admin"]
    assert "create_post" in roles[0]["permissions"]
    assert len(roles[1]["permissions"]) > 200
    assert await me.get(f"/roles/{roles[0]['id']}") == roles[0] == await me.get("/roles/name/channel_user")
    await me.get("/roles/" + "x" * 26, expect=404)
    await me.get("/roles/name/nonsense", expect=404)
    for body in ([], [1], {}, ["x"] * 1 + [f"r{i}" for i in range(101)]):
        await me.post("/roles/names", body, expect=400)
    assert (await me.get("/limits/server"))["activeUserCount"] == 0
    assert (await people.admin.get("/limits/server"))["activeUserCount"] == 5
    assert await anonymous.get("/plugins/webapp") == []
    assert await me.get(f"/system/notices/{people.team['id']}?client=web") == []


async def test_ping(people: People) -> None:
    plain = await people.anonymous.get("/system/ping?device_id=x")
    assert plain["status"] == "OK"
    assert "database_status" not in plain
    asked = await people.anonymous.request("GET", "/system/ping?get_server_status=true")
    assert asked.json()["database_status"] == asked.headers["database_status"] == "OK"


async def test_statuses(people: People) -> None:
    me, other = people.member, people.owner
    found = await me.post("/users/status/ids", [me.id, other.id, "x" * 26])
    assert [one["user_id"] for one in found] == [me.id, other.id, "x" * 26]
    assert {one["status"] for one in found} == {"offline"}
    assert found[0].keys() == {"user_id", "status", "manual", "last_activity_at", "dnd_end_time"}
    assert (await me.get(f"/users/{other.id}/status"))["user_id"] == other.id
    missing = await me.get("/users/" + "x" * 26 + "/status", expect=404)
    assert missing["id"] == "api.status.user_not_found.app_error"
    await me.post("/users/status/ids", [], expect=400)
    await me.post("/users/status/ids", [f"{i:026d}" for i in range(201)], expect=400)


async def test_headers_of_answers(people: People) -> None:
    answer = await people.member.request("GET", "/users/me")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["expires"] == "0"
    assert re.fullmatch("[a-z0-9]{26}", answer.headers["x-request-id"])
    assert answer.headers["x-version-id"].startswith("11.6.0.")
    failed = await people.member.request("GET", "/users/x")
    assert failed.headers["content-type"] == "application/json"
    assert failed.json()["request_id"] == failed.headers["x-request-id"]
    assert failed.json().keys() == ERROR


def fill(path: str) -> str:
    """Return the path with ids for its variables."""
    return re.sub(r"\{[^}]*\}", "x" * 26, path)


async def test_every_other_operation_answers_501(people: People) -> None:
    """Each operation of the contract is there: with a handler, or as 501 in the contract's words."""
    extensions = {("GET", "/openapi.json")} | {(verb, "/users/{user_id}/webpush") for verb in ("GET", "POST", "DELETE")}
    assert set(ROUTES) - extensions <= set(OPERATIONS)
    assert len(OPERATIONS) > 540
    for method, path in OPERATIONS:
        if (method, path) in ROUTES:
            continue
        answer = await people.member.request(method, fill(path), content=b"{}")
        assert answer.status_code == 501, (method, path, answer.status_code)
        if method != "HEAD":
            assert answer.json()["id"] == "api.context.not_implemented.app_error"
            assert answer.json().keys() == ERROR


async def test_unknown_paths_are_404_in_json(people: People) -> None:
    for method, path in (
        ("GET", "/nothing"),
        ("POST", "/users/me/nothing"),
        ("PATCH", "/users/me"),
        ("GET", ""),
    ):
        answer: httpx.Response = await people.member.request(method, path)
        assert answer.status_code == 404, (method, path)
        assert answer.json()["id"] == "api.context.404.app_error"
