"""What attackers try: guessing over nodes, mass assignment, secrets in what others see, tokens in addresses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pyotp
import pytest
import pytest_asyncio
import websockets

from tests.fixtures.announced import announced
from tests.fixtures.api import PASSWORD, Api, new_settings
from tests.fixtures.redis import Redis
from tests.integration.accounts.office import Office, log_in

LOCKED = "api.user.check_user_login_attempts.too_many.app_error"
WRONG = "api.user.login.invalid_credentials_email_username"


@pytest_asyncio.fixture
async def nodes(database_url: str, own_redis: Redis) -> AsyncIterator[list[Api]]:
    """Two workers of one installation."""
    limits = {"logins_per_minute": 25}
    workers = [Api(new_settings(database_url, own_redis.url, limits=limits)) for _ in range(2)]
    for worker in workers:
        await worker.start()
    yield workers
    for worker in workers:
        await worker.stop()


async def test_guesses_are_counted_over_nodes_by_account_and_by_address(
    nodes: list[Api], own_redis: Redis
) -> None:
    await nodes[0].user("victim")
    callers = [node.anonymous() for node in nodes]
    # One account, many passwords, from both nodes at once: ten tries, then nothing is checked any more.
    guesses = [log_in(callers[n % 2], "victim", f"guess {n}") for n in range(16)]
    ids = [answer.json()["id"] for answer in await asyncio.gather(*guesses)]
    assert 10 <= ids.count(WRONG) <= 11  # one of each node may be under way when the tenth fails
    assert set(ids) == {WRONG, LOCKED}
    for caller in callers:
        assert (await log_in(caller, "victim")).json()["id"] == LOCKED
    # One password, many accounts: the address has had 25 failures then.
    statuses = []
    for n in range(24):
        statuses.append((await log_in(callers[n % 2], f"nobody{n}", "password")).status_code)
    assert statuses.count(401) in (14, 15)
    assert statuses[-1] == 429
    # Without Redis a process counts for itself.
    await asyncio.to_thread(own_redis.kill)
    statuses = [(await log_in(callers[0], f"ghost{n}", "password")).status_code for n in range(27)]
    assert statuses.count(401) == 25
    assert statuses[-2:] == [429, 429]
    # The other one knows nothing of these; an account's own failures are in the database.
    answer = await log_in(callers[1], "victim")
    assert (answer.status_code, answer.json()["id"]) == (401, LOCKED)


@pytest.mark.asyncio(loop_scope="package")
async def test_nobody_assigns_what_is_not_his_to_say(office: Office) -> None:
    anonymous = office.crew.people.anonymous
    wish: dict[str, Any] = {
        "id": "x" * 26, "roles": "system_admin system_user", "email_verified": True, "delete_at": 5, "is_bot": True,
        "mfa_active": True, "mfa_secret": "ABC", "auth_service": "gitlab", "auth_data": "1", "create_at": 5,
        "failed_attempts": -5, "last_password_update": 5, "update_at": 5, "terms_of_service_id": "x" * 26,
        "bot_description": "x",
    }  # fmt: skip
    body = {"username": "wishful", "email": "wishful@example.org", "password": PASSWORD}
    made = await anonymous.post("/users", {**wish, **body}, expect=201)
    user = await office.api.anonymous().log_in("wishful")
    for method, path in (("PUT", "/users/me/patch"), ("PUT", f"/users/{user.id}")):
        await user.call(method, path, {**wish, "id": user.id, "nickname": path[:20]})
    me = await user.get("/users/me")
    for view in (made, me):
        assert view["roles"] == "system_user"
        assert (view["delete_at"], view["auth_service"], view["auth_data"]) == (0, "", "")
        assert view["id"] != wish["id"]
        for name in (
            "email_verified",
            "is_bot",
            "mfa_active",
            "failed_attempts",
            "terms_of_service_id",
            "mfa_secret",
        ):
            assert not view.get(name), name
    bot = await office.crew.people.admin.post(
        "/bots", {"username": "wisher", **wish, "owner_id": user.id}, expect=201
    )
    assert bot["owner_id"] == office.crew.people.admin.id
    assert (bot["delete_at"], bot["user_id"] != wish["id"]) == (0, True)


@pytest.mark.asyncio(loop_scope="package")
async def test_no_secret_is_in_what_others_see_nor_at_rest(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    url = office.api.settings.database.url
    _, before = await announced(url)
    watcher = await office.crew.socket(office.crew.people.member)
    user, admin = await office.newcomer("secretive"), office.crew.people.admin
    made = await user.post("/users/me/mfa/generate")
    code = pyotp.TOTP(made["secret"]).now()
    await user.put("/users/me/mfa", {"activate": True, "code": code})
    token = await admin.post(f"/users/{user.id}/tokens", {"description": "x"})
    new = "a password nobody may see"
    await user.put("/users/me/password", {"current_password": PASSWORD, "new_password": new})
    session = user.http.headers["Authorization"].removeprefix("Bearer ")
    secrets = [made["secret"], token["token"], session, new, PASSWORD, "$argon2id$"]
    await watcher.quiet()
    told, _ = await announced(url, after=before)
    seen = [
        str(watcher.events), str([one.events for one in told]), str(await admin.get(f"/users/{user.id}")),
        str(await admin.get(f"/users/{user.id}/audits")), str(await admin.get(f"/users/{user.id}/tokens")),
        str(await admin.get(f"/users/{user.id}/sessions")),
        str(await office.crew.people.member.get(f"/users/{user.id}")), *capsys.readouterr(),
    ]  # fmt: skip
    for text in seen:
        for secret in secrets:
            assert secret not in text
    db = office.crew.town.db
    for table in ("sessions", "user_access_tokens", "one_time_tokens", "audits"):
        rows = str([tuple(row) for row in await db.fetch(f"SELECT * FROM {table}")])
        for secret in secrets:
            assert secret not in rows, table
    assert len(session) == len(token["token"]) == 26


@pytest.mark.asyncio(loop_scope="package")
async def test_access_tokens_are_not_taken_from_addresses(office: Office) -> None:
    token = office.bot.http.headers["Authorization"].removeprefix("Bearer ")
    anonymous = office.crew.people.anonymous
    answer = await anonymous.request("GET", "/users/me", params={"access_token": token})
    assert (answer.status_code, answer.json()["id"]) == (401, "api.context.token_provided.app_error")
    with pytest.raises(websockets.InvalidStatus) as refused:
        await office.crew.town.open(query=f"?access_token={token}")
    assert refused.value.response.status_code == 401
    # As a cookie it needs a CSRF token like any session.
    browser = office.api.anonymous(Cookie=f"MMAUTHTOKEN={token}")
    assert (await browser.request("GET", "/users/me")).status_code == 200
    assert (await browser.request("PUT", "/users/me/patch", json={"nickname": "x"})).status_code == 401
