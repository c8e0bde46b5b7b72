"""What administrators ask beside the configuration, and the first screen's short answers."""

import asyncpg

from tests.fixtures.announced import announced
from tests.fixtures.api import People
from tidewire.wire.config import MASK

PERMISSIONS = "api.context.permissions.app_error"


async def test_only_administrators_ask(people: People) -> None:
    asked: list[tuple[str, str, object]] = [
        ("GET", "/system/onboarding/complete", None),
        ("POST", "/system/onboarding/complete", {}),
        ("GET", "/analytics/old", None),
        ("GET", "/logs", None),
        ("POST", "/caches/invalidate", None),
        ("POST", "/email/test", {}),
        ("POST", "/site_url/test", {"site_url": people.api.url}),
        ("GET", "/cluster/status", None),
    ]
    for method, path, body in asked:
        refused = await people.member.call(method, path, body, expect=403)
        assert refused["id"] == PERMISSIONS, path
    for path in ("/jobs", "/jobs/type/data_retention"):
        assert (await people.member.get(path, expect=400))["id"] == "api.job.retrieve.nopermissions"


async def test_figures(people: People) -> None:
    await people.owner.post("/posts", {"channel_id": people.channel["id"], "message": "one"})
    rows = {row["name"]: row["value"] for row in await people.admin.get("/analytics/old")}
    assert (rows["unique_user_count"], rows["team_count"], rows["channel_private_count"]) == (5, 2, 1)
    assert rows["post_count"] >= 1
    here = await people.admin.get(f"/analytics/old?name=standard&team_id={people.team['id']}")
    assert next(row["value"] for row in here if row["name"] == "unique_user_count") == 3
    channel, team = people.channel["id"], people.team["id"]
    file = await people.owner.request("POST", f"/files?channel_id={channel}&filename=a", content=b"twelve bytes")
    attached = {"channel_id": channel, "message": "#tagged", "file_ids": [file.json()["file_infos"][0]["id"]]}
    await people.owner.post("/posts", attached)
    await people.owner.post("/hooks/incoming", {"channel_id": channel})
    outgoing = {"team_id": team, "trigger_words": ["x"], "callback_urls": ["http://x.example/"]}
    await people.owner.post("/hooks/outgoing", outgoing)
    command = {"team_id": team, "trigger": "x", "method": "P", "url": "http://x.example/"}
    await people.owner.post("/commands", command)
    expected = {
        "file_post_count": 1, "hashtag_post_count": 1, "incoming_webhook_count": 1, "outgoing_webhook_count": 1,
        "command_count": 1, "session_count": 5,
    }  # fmt: skip
    for where, counted in ((f"&team_id={team}", 1), (f"&team_id={people.other_team['id']}", 0), ("", 1)):
        extra = await people.admin.get("/analytics/old?name=extra_counts" + where)
        wanted = {name: value if name == "session_count" else counted for name, value in expected.items()}
        assert {row["name"]: row["value"] for row in extra} == wanted
    [today] = await people.admin.get("/analytics/old?name=user_counts_with_posts_day")
    assert today["value"] >= 1
    [today] = await people.admin.get("/analytics/old?name=post_counts_day")
    assert today["value"] >= 2
    assert await people.admin.get("/analytics/old?name=bot_post_counts_day") == []
    bot = await people.admin.post("/bots", {"username": "counter"})
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        await connection.execute("UPDATE posts SET user_id = $1 WHERE message = 'one'", bot["user_id"])
    finally:
        await connection.close()
    [bots] = await people.admin.get("/analytics/old?name=bot_post_counts_day")
    assert bots == {"name": today["name"], "value": 1}
    await people.admin.get("/analytics/old?name=nonsense", expect=400)
    await people.admin.put("/config/patch", {"AnalyticsSettings": {"MaxUsersForStatistics": 1}})
    rows = {row["name"]: row["value"] for row in await people.admin.get("/analytics/old")}
    assert rows["post_count"] == -1
    assert await people.member.get("/usage/storage") == {"bytes": 12}
    assert (await people.member.get("/usage/posts"))["count"] >= 0


async def test_onboarding_is_remembered(people: People) -> None:
    path, name = "/system/onboarding/complete", "FirstAdminSetupComplete"
    assert await people.admin.get(path) == {"name": name, "value": "false"}
    await people.admin.post(path, {"install_plugins": []})
    assert await people.admin.get(path) == {"name": name, "value": "true"}


async def test_onboarding_needs_a_first_user(people: People, database_url: str) -> None:
    """An administrator's session outlives the accounts for as long as it is remembered."""
    await people.admin.get("/users/me")
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM users")
            await connection.execute("DELETE FROM users")
        refused = await people.admin.post("/system/onboarding/complete", {}, expect=403)
        assert refused["id"] == "app.system.complete_onboarding_request.no_first_user"
        await connection.execute("INSERT INTO users SELECT * FROM kept")
    finally:
        await connection.close()
    await people.admin.post("/system/onboarding/complete", {})


async def test_logs(people: People) -> None:
    said = {"level": "ERROR", "message": "x" * 500}
    assert await people.member.post("/logs", said) == {"level": "ERROR", "message": "x" * 400}
    assert (await people.anonymous.post("/logs", said, expect=403))["id"] == PERMISSIONS
    await people.admin.put("/config/patch", {"ServiceSettings": {"EnableDeveloper": True}})
    await people.anonymous.post("/logs", said)
    assert isinstance(await people.admin.get("/logs?logs_per_page=5"), list)


async def test_caches_are_cleared_everywhere(people: People, database_url: str) -> None:
    _, last = await announced(database_url)
    await people.admin.post("/caches/invalidate")
    [change], _ = await announced(database_url, after=last)
    assert change.invalidates == ["*"]
    assert change.copies == []
    await people.member.get("/users/me")


async def test_the_address_is_tried(people: People) -> None:
    assert await people.admin.post("/site_url/test", {"site_url": people.api.url}) == {"status": "OK"}
    failure = "app.admin.test_site_url.failure"
    for url in (
        "http://127.0.0.1:9",
        "ftp://x",
        "http://a b",
        "http://x:y",
        "nonsense",
    ):
        assert (await people.admin.post("/site_url/test", {"site_url": url}, expect=400))["id"] == failure, (
            url
        )
    await people.admin.post("/site_url/test", {}, expect=400)


async def test_a_stored_password_goes_to_no_other_server(people: People) -> None:
    email = {
        "SMTPServer": "127.0.0.1",
        "SMTPPort": "9",
        "FeedbackEmail": "a@example.org",
        "SMTPPassword": "s3cret",
    }
    nothing = await people.admin.post("/email/test", {}, expect=400)
    assert nothing["id"] == "api.file.test_connection_email_settings_nil.app_error"
    await people.admin.put("/config/patch", {"EmailSettings": email})
    tried = {"EmailSettings": email | {"SMTPPassword": MASK}}
    assert (await people.admin.post("/email/test", tried, expect=400))["id"] == "api.admin.test_email.failure"
    tried["EmailSettings"]["SMTPServer"] = "localhost"
    refused = await people.admin.post("/email/test", tried, expect=400)
    assert refused["id"] == "api.admin.test_email.reenter_password"
    await people.admin.post("/email/test", {"EmailSettings": {"SMTPPort": 9}}, expect=400)


async def test_jobs_and_retention(people: People) -> None:
    admin = people.admin
    assert (
        await admin.get("/jobs")
        == await admin.get("/jobs/type/any")
        == await admin.get("/cluster/status")
        == []
    )
    assert (await admin.get("/jobs?status=x", expect=400))["id"] == "api.job.status.invalid"
    refused = await admin.post("/jobs", {"type": "x"}, expect=400)
    assert refused["id"] == "api.job.unable_to_create_job.incorrect_job_type"
    assert (await admin.get("/data_retention/policy", expect=501))[
        "id"
    ] == "ent.data_retention.generic.license.error"


async def test_short_answers(people: People) -> None:
    me, team_id = people.member, people.team["id"]
    assert "Europe/Berlin" in await me.get("/system/timezones")
    assert await me.put("/system/notices/view", ["x"]) == {"status": "OK"}
    assert await me.post("/emoji/names", ["gull"]) == []
    await me.post("/emoji/names", [f"n{i}" for i in range(201)], expect=400)
    assert await me.get(f"/users/me/teams/{team_id}/drafts") == []
    await me.get(f"/users/{people.owner.id}/teams/{team_id}/drafts", expect=403)
    path = f"/posts/scheduled/team/{team_id}"
    assert await me.get(path + "?includeDirectChannels=true") == {team_id: [], "directChannels": []}
    assert await me.get(path) == {team_id: []}
    await people.stranger.get(path, expect=403)
    assert await me.get("/custom_profile_attributes/fields") == []
    assert await me.post("/client_perf", {"version": "0.1.0"}) == {"status": "OK"}
    assert await me.get("/redirect_location?url=http://127.0.0.1") == {"location": ""}
    link = await me.request("GET", "/image?url=https://example.org/a.png")
    assert (link.status_code, link.headers["location"]) == (302, "https://example.org/a.png")
    for wrong in ("", "?url=javascript:1", "?url=http:a", "?url=http://a%0d%0ab", "?url=http://[a"):
        assert (await me.get("/image" + wrong, expect=400))["id"] == "api.image.get.app_error"
    assert (await people.anonymous.request("GET", "/brand/image")).status_code == 404
    more = await me.post("/permissions/ancillary", ["sysconsole_write_environment_smtp", "other"])
    assert more == ["sysconsole_write_environment_smtp", "other", "test_email"]
