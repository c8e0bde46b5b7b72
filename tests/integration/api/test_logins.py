"""Logging in and out: cookies, CSRF, limits, sessions. Source: Mattermost API v4, request authentication."""

import asyncio
from http.cookies import SimpleCookie

import asyncpg
import httpx
from argon2 import PasswordHasher

from tests.fixtures.api import PASSWORD, Api, People, new_settings
from tests.fixtures.redis import Redis
from tidewire.store.sessions import token_hash

WRONG = "api.user.login.invalid_credentials_email_username"
LOGIN = {"login_id": "member", "password": PASSWORD, "token": "", "deviceId": ""}
AJAX = {"X-Requested-With": "XMLHttpRequest"}


def cookies(answer: httpx.Response) -> SimpleCookie:
    """Return the cookies that an answer sets."""
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return jar


async def test_login_by_name_address_and_id(people: People, database_url: str) -> None:
    anonymous = people.anonymous
    by = [{"login_id": "MEMBER"}, {"login_id": "Member@example.org"}, {"id": people.member.id}]
    for who in by:
        answer = await anonymous.request("POST", "/users/login", json={**who, "password": PASSWORD})
        assert answer.status_code == 200
        assert answer.json()["id"] == people.member.id
        token = answer.headers["Token"]
        assert len(token) == 26
        assert "set-cookie" not in answer.headers
    connection = await asyncpg.connect(database_url)
    try:
        stored = await connection.fetchrow("SELECT * FROM sessions WHERE token_hash = $1", token_hash(token))
    finally:
        await connection.close()
    assert token not in str(stored)


async def test_what_is_refused_looks_the_same(people: People) -> None:
    cases = [
        ({"login_id": "member", "password": "wrong"}, 401, WRONG),
        ({"login_id": "nobody", "password": "wrong"}, 401, WRONG),
        ({"login_id": "", "password": "wrong"}, 401, WRONG),
        ({"login_id": "x" * 500, "password": "wrong"}, 401, WRONG),
        ({"login_id": "member", "password": "x" * 5000}, 401, WRONG),
        ({"login_id": "member", "password": ""}, 400, "api.user.login.blank_pwd.app_error"),
        ({"login_id": "member"}, 400, "api.user.login.blank_pwd.app_error"),
        ({"login_id": 5, "password": "x"}, 400, "api.context.invalid_body_param.app_error"),
    ]
    for body, status, error_id in cases:
        answer = await people.anonymous.post("/users/login", body, expect=status)
        assert answer["id"] == error_id, body


async def test_browsers_get_three_cookies_and_must_show_the_csrf_token(people: People) -> None:
    browser = people.api.anonymous()
    answer = await browser.request("POST", "/users/login", json=LOGIN, headers=AJAX)
    jar = cookies(answer)
    assert jar.keys() == {"MMAUTHTOKEN", "MMUSERID", "MMCSRF"}
    assert jar["MMUSERID"].value == people.member.id
    for name, morsel in jar.items():
        assert bool(morsel["httponly"]) is (name == "MMAUTHTOKEN")
        assert morsel["path"] == "/"
        assert not morsel["secure"]
        assert not morsel["samesite"]
        assert 719 * 3600 < int(morsel["max-age"]) <= 720 * 3600
    # httpx keeps them from here on.
    assert (await browser.get("/users/me"))["id"] == people.member.id
    patch = {"nickname": "x"}
    denied = await browser.request("PUT", "/users/me/patch", json=patch)
    assert denied.status_code == 401
    assert denied.json()["id"] == "api.context.session_expired.app_error"


async def test_csrf_by_header_or_by_ajax_mark(people: People) -> None:
    answer = await people.anonymous.request("POST", "/users/login", json=LOGIN, headers=AJAX)
    jar = cookies(answer)
    token, csrf = jar["MMAUTHTOKEN"].value, jar["MMCSRF"].value
    cases = [
        ({}, 401),
        ({"X-CSRF-Token": "x" * 26}, 401),
        ({"X-CSRF-Token": csrf}, 200),
        (AJAX, 200),
        ({"Content-Type": "text/plain"}, 401),
        ({"Origin": "https://evil.example"}, 401),
        ({"Authorization": "Bearer " + token}, 401),  # the cookie beats the header
    ]
    for headers, status in cases:
        caller = people.api.anonymous(Cookie=f"MMAUTHTOKEN={token}")
        done = await caller.request("PUT", "/users/me/patch", json={"nickname": "x"}, headers=headers)
        assert done.status_code == status, headers
    bearer = people.api.anonymous(Authorization=f"BEARER {token}")
    await bearer.put("/users/me/patch", {"nickname": "x"})
    old_form = people.api.anonymous(Authorization=f"token {token}")
    await old_form.get("/users/me")


async def test_cookies_are_secure_behind_a_trusted_https_proxy(database_url: str, redis_url: str) -> None:
    for trusted, secure in ((["127.0.0.0/8"], True), ([], False)):
        server = Api(new_settings(database_url, redis_url, proxies={"trusted": trusted}))
        await server.start()
        try:
            if secure:
                await server.user("member")
            caller = server.anonymous(**{"X-Forwarded-Proto": "https"})
            jar = cookies(await caller.request("POST", "/users/login", json=LOGIN, headers=AJAX))
            assert [bool(morsel["secure"]) for morsel in jar.values()] == [secure] * 3
        finally:
            await server.stop()


async def test_forged_tokens(people: People) -> None:
    for forged in ("x" * 26, "", "'; DROP TABLE users; --", "a" * 4000, "%00", people.member.id):
        caller = people.api.anonymous(Cookie=f"MMAUTHTOKEN={forged}")
        answer = await caller.request("GET", "/users/me")
        assert answer.status_code == 401, forged
        assert answer.json()["id"] == "api.context.session_expired.app_error"
        # On open routes one goes on as a stranger.
        assert (await caller.get("/config/client"))["Version"]
    in_query = await people.anonymous.get("/users/me?access_token=" + "x" * 26, expect=401)
    assert in_query["id"] == "api.context.token_provided.app_error"


async def test_logout_ends_the_session_and_clears_the_cookie(people: People) -> None:
    answer = await people.member.request("POST", "/users/logout")
    assert answer.json() == {"status": "OK"}
    assert cookies(answer)["MMAUTHTOKEN"]["max-age"] in ("-1", "0")
    await people.member.get("/users/me", expect=401)
    # Without a session it is no error.
    assert await people.anonymous.post("/users/logout") == {"status": "OK"}
    fresh = await people.api.anonymous().log_in("member")
    assert fresh.http.headers["Authorization"] != people.member.http.headers["Authorization"]


async def test_sessions_are_listed_without_secrets_and_revoked(people: People) -> None:
    me = await people.api.anonymous().log_in("member")
    listed = await me.get("/users/me/sessions")
    assert len(listed) == 2
    for session in listed:
        assert session["token"] == ""
        assert "csrf" not in session["props"]
        assert session["user_id"] == me.id
    await people.owner.get(f"/users/{me.id}/sessions", expect=403)
    assert len(await people.admin.get(f"/users/{me.id}/sessions")) == 2
    body = {"session_id": min(session["id"] for session in listed)}
    await people.owner.post(f"/users/{me.id}/sessions/revoke", body, expect=403)
    owners = (await people.owner.get("/users/me/sessions"))[0]["id"]
    for bad in ({"session_id": "x" * 26}, {"session_id": owners}, {"session_id": 5}, {}):
        await me.post("/users/me/sessions/revoke", bad, expect=400)
    await people.owner.get("/users/me")
    await me.post("/users/me/sessions/revoke", body)
    await people.member.get("/users/me", expect=401)
    await me.post("/users/me/sessions/revoke/all")
    await me.get("/users/me", expect=401)


async def test_an_expired_session_is_none(people: People, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE sessions SET expires_at = 1 WHERE user_id = $1", people.member.id)
    finally:
        await connection.close()
    fresh = await people.api.anonymous().log_in("member")
    assert len(await fresh.get("/users/me/sessions")) == 1


async def test_an_old_hash_is_made_anew_at_login(people: People, database_url: str) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE users SET password_hash = $1 WHERE id = $2", old, people.member.id)
        await people.api.anonymous().log_in("member")
        new = await connection.fetchval("SELECT password_hash FROM users WHERE id = $1", people.member.id)
        assert new.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        await people.api.anonymous().log_in("member")
    finally:
        await connection.close()


async def test_an_account_waits_after_too_many_failures(database_url: str, redis_url: str) -> None:
    server = Api(new_settings(database_url, redis_url, limits={"login_attempts": 4, "logins_per_minute": 0}))
    await server.start()
    try:
        await server.user("member")
        caller = server.anonymous()
        tries = [
            caller.request("POST", "/users/login", json={"login_id": "member", "password": "x"})
            for _ in range(9)
        ]
        ids = [answer.json()["id"] for answer in await asyncio.gather(*tries)]
        locked = "api.user.check_user_login_attempts.too_many.app_error"
        assert sorted(ids) == sorted([WRONG] * 4 + [locked] * 5)
        assert (await caller.post("/users/login", LOGIN, expect=401))["id"] == locked
        # A name without an account behaves the same.
        for _ in range(4):
            await caller.post("/users/login", {"login_id": "ghost", "password": "x"}, expect=401)
        body = {"login_id": "ghost", "password": "x"}
        assert (await caller.post("/users/login", body, expect=401))["id"] == locked
    finally:
        await server.stop()


async def test_a_good_login_forgets_the_failures(database_url: str, redis_url: str) -> None:
    server = Api(new_settings(database_url, redis_url, limits={"login_attempts": 3}))
    await server.start()
    try:
        await server.user("member")
        for _ in range(3):
            for _ in range(2):
                await server.anonymous().post("/users/login", {**LOGIN, "password": "x"}, expect=401)
            await server.anonymous().log_in("member")
    finally:
        await server.stop()


async def test_an_address_waits_after_too_many_failures_also_without_redis(
    database_url: str, own_redis: Redis
) -> None:
    server = Api(new_settings(database_url, own_redis.url, limits={"logins_per_minute": 3}))
    await server.start()
    try:
        await server.user("member")
        for number in range(5):  # apps' requests for tokens have a count of their own
            form = {"grant_type": "authorization_code", "code": "x", "client_id": "x" * 26}
            answer = await server.anonymous().http.post("/oauth/access_token", data=form)
            assert answer.status_code == (401 if number < 3 else 429)
        for number in range(6):
            body = {"login_id": f"ghost{number}", "password": "x"}
            answer = await server.anonymous().request("POST", "/users/login", json=body)
            assert answer.status_code == (401 if number < 3 else 429)
        await asyncio.to_thread(own_redis.kill)
        statuses = []
        for number in range(5):
            body = {"login_id": f"phantom{number}", "password": "x"}
            statuses.append((await server.anonymous().request("POST", "/users/login", json=body)).status_code)
        assert statuses[:3] == [401, 401, 401]
        assert statuses[3:] == [429, 429]
    finally:
        await server.stop()
