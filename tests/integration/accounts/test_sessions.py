"""Sessions: how long they live, what pushes their end forward, devices, and what a login says."""

import asyncio
import time
from http.cookies import SimpleCookie
from typing import Any

import pytest

from tests.fixtures.api import PASSWORD, Client
from tests.integration.accounts.office import Office, log_in

pytestmark = pytest.mark.asyncio(loop_scope="package")
AJAX = {"X-Requested-With": "XMLHttpRequest"}
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def ends_in(office: Office, user: Client) -> float:
    """Return in how many hours the user's one session ends."""
    found = await office.crew.town.db.fetchval("SELECT expires_at FROM sessions WHERE user_id = $1", user.id)
    return float(found - time.time() * 1000) / HOUR_MS


async def test_lengths_come_from_the_configuration(office: Office) -> None:
    await office.configure(
        ServiceSettings__SessionLengthWebInHours=10, ServiceSettings__SessionLengthMobileInHours=20
    )
    user = await office.newcomer("timed")
    assert 9.9 < await ends_in(office, user) <= 10
    await user.post("/users/me/sessions/revoke/all")
    await log_in(office.crew.people.anonymous, "timed", device_id="apple:1")
    assert 19.9 < await ends_in(office, user) <= 20
    await office.configure(
        ServiceSettings__SessionLengthWebInHours=None, ServiceSettings__SessionLengthMobileInHours=None
    )


def cookies(answer: Any) -> dict[str, str]:
    """Return the cookies that an answer sets."""
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return {name: morsel.value for name, morsel in jar.items()}


async def test_use_pushes_the_end_forward_once_a_hundredth_or_a_day_has_passed(office: Office) -> None:
    people, db = office.crew.people, office.crew.town.db
    await office.newcomer("active")
    browser = office.api.anonymous()
    answer = await browser.request(
        "POST", "/users/login", json={"login_id": "active", "password": PASSWORD}, headers=AJAX
    )
    set_at_login = cookies(answer)
    browser.me = answer.json()
    browser.http.headers.update(AJAX)
    await db.execute(
        "DELETE FROM sessions WHERE user_id = $1 AND props->>'csrf' <> $2", browser.id, set_at_login["MMCSRF"]
    )
    await people.owner.add_to_team(people.team["id"], browser)
    await people.owner.post(f"/channels/{people.channel['id']}/members", {"user_id": browser.id}, expect=201)
    channel = people.channel["id"]
    uses = [
        ("/posts", {"channel_id": channel, "message": "x"}),
        ("/channels/members/me/view", {"channel_id": channel}),
        ("/users/me/typing", {"channel_id": channel}),
    ]

    async def age(hours: float) -> None:
        # Another login drops the cached session as well.
        ends = int(time.time() * 1000 + (720 - hours) * HOUR_MS)
        await db.execute("UPDATE sessions SET expires_at = $2 WHERE user_id = $1", browser.id, ends)
        await browser.put("/users/sessions/device", {"mobile_version": "1.0.0"})

    for path, body in uses:
        await age(7.1)  # 1 % of 720 h is 7.2 h
        answer = await browser.request("POST", path, json=body)
        assert cookies(answer) == {}
        assert await ends_in(office, browser) < 713
        await age(7.3)
        answer = await browser.request("POST", path, json=body)
        assert answer.status_code in (200, 201)
        assert cookies(answer) == set_at_login
        assert 719.9 < await ends_in(office, browser) <= 720
        assert cookies(await browser.request("POST", path, json=body)) == {}
    await age(100)
    assert cookies(await browser.request("GET", "/users/me")) == {}
    assert await ends_in(office, browser) < 621
    await office.configure(ServiceSettings__ExtendSessionLengthWithActivity=False)
    assert cookies(await browser.request("POST", *[uses[0][0]], json=uses[0][1])) == {}
    assert await ends_in(office, browser) < 621
    # A long session is extended once a day.
    await office.configure(
        ServiceSettings__ExtendSessionLengthWithActivity=None, ServiceSettings__SessionLengthWebInHours=7200
    )
    for hours, extended in ((23.9, False), (24.1, True)):
        await age(720 - 7200 + hours)
        assert bool(cookies(await browser.request("POST", "/posts", json=uses[0][1]))) is extended
    await office.configure(ServiceSettings__SessionLengthWebInHours=None)


async def test_a_device_has_one_session(office: Office) -> None:
    first = await office.newcomer("phoned")
    await first.put(
        "/users/sessions/device", {"device_id": "apple:1", "device_notification_disabled": "true"}
    )
    (session,) = await first.get("/users/me/sessions")
    assert session["device_id"] == "apple:1"
    assert session["props"]["device_notification_disabled"] == "true"
    second = await office.api.anonymous().log_in("phoned")
    socket = await office.crew.socket(first)
    await second.put("/users/sessions/device", {"device_id": "apple:1", "mobile_version": "2.30.0+123"})
    await first.get("/users/me", expect=401)
    assert (await socket.closed())[0] == 1008
    answer = await log_in(office.crew.people.anonymous, "phoned", device_id="apple:1")
    third = office.bearer(answer.headers["Token"])
    await second.get("/users/me", expect=401)
    # Somebody else's session with the same device is not ours to end; here it is another user.
    other = await office.newcomer("borrowed")
    await other.put("/users/sessions/device", {"device_id": "apple:1"})
    await third.put("/users/sessions/device", {"device_id": ""})
    (session,) = await third.get("/users/me/sessions")
    assert session["device_id"] == ""
    assert session["props"]["last_removed_device_id"] == "apple:1"


async def test_ways_to_sign_in_come_from_the_configuration(office: Office) -> None:
    await office.newcomer("wayward")
    anonymous = office.crew.people.anonymous
    for names, email, error in (
        (True, False, "username"), (False, True, "email"), (False, False, "sso"),
    ):  # fmt: skip
        await office.configure(
            EmailSettings__EnableSignInWithUsername=names, EmailSettings__EnableSignInWithEmail=email
        )
        assert ((await log_in(anonymous, "wayward")).status_code == 200) is names
        assert ((await log_in(anonymous, "wayward@example.org")).status_code == 200) is email
        wrong = await log_in(anonymous, "wayward", "wrong")
        assert wrong.json()["id"] == "api.user.login.invalid_credentials_" + error
    await office.configure(
        EmailSettings__EnableSignInWithUsername=None, EmailSettings__EnableSignInWithEmail=None
    )


async def test_who_may_not_log_in(office: Office) -> None:
    anonymous = office.crew.people.anonymous
    for name, password, error_id in (
        ("robot", "x", "api.user.login.bot_login_forbidden.app_error"),
        ("gone", PASSWORD, "api.user.login.inactive.app_error"),
        ("gone", "wrong", "api.user.login.invalid_credentials_email_username"),
    ):
        answer = await log_in(anonymous, name, password)
        assert (answer.status_code, answer.json()["id"]) == (401, error_id)


async def test_a_login_during_a_password_change_does_not_outlive_it(office: Office) -> None:
    """Logins and changes at once: whoever showed the old password is out afterwards."""
    user = await office.newcomer("racing")
    anonymous = office.crew.people.anonymous
    change = office.crew.people.admin.put(f"/users/{user.id}/password", {"new_password": "better horse"})
    *answers, _ = await asyncio.gather(*(log_in(anonymous, "racing") for _ in range(6)), change)
    for answer in answers:
        assert answer.status_code in (200, 401)
        if answer.status_code == 200:
            await office.bearer(answer.headers["Token"]).get("/users/me", expect=401)


async def test_the_rate_of_a_user_is_limited_where_wanted_and_never_that_of_his_address(
    office: Office,
) -> None:
    await office.configure(
        RateLimitSettings__Enable=True, RateLimitSettings__PerSec=1, RateLimitSettings__MaxBurst=4
    )
    try:
        one, other = office.crew.people.member, office.crew.people.owner
        began = time.monotonic()
        answers = [await one.request("GET", "/users/me") for _ in range(15)]
        assert 5 <= [answer.status_code for answer in answers].count(200) <= 6 + time.monotonic() - began
        first, last = answers[0], answers[-1]
        assert first.headers["X-RateLimit-Limit"] == "5"
        assert first.headers["X-RateLimit-Remaining"] == "4"
        assert first.headers["X-RateLimit-Reset"] == "1"
        assert last.status_code == 429
        assert last.text == "limit exceeded\n"
        assert last.headers["Content-Type"].startswith("text/plain")
        assert last.headers["Retry-After"] == "1"
        assert last.headers["X-RateLimit-Remaining"] == "0"
        assert (await other.request("GET", "/users/me")).status_code == 200
        # Nobody gets another allowance by naming another address: the test's peer is no trusted proxy.
        forged = [
            await office.crew.people.anonymous.request(
                "GET", "/config/client", headers={"X-Forwarded-For": f"192.0.2.{n}"}
            )
            for n in range(15)
        ]
        assert forged[-1].status_code == 429
    finally:
        await office.configure(
            RateLimitSettings__Enable=None, RateLimitSettings__PerSec=None, RateLimitSettings__MaxBurst=None
        )
