"""Addresses are verified and passwords reset by tokens that work once; a new password ends what the old one opened."""

import asyncio

import pytest

from tests.fixtures.api import PASSWORD
from tests.integration.accounts.office import Office, log_in, texts, token_in
from tidewire.store.sessions import token_hash

pytestmark = pytest.mark.asyncio(loop_scope="package")
NEW = "better horse"
INVALID = "api.user.reset_password.invalid_link.app_error"
LOCKED = "api.user.check_user_login_attempts.too_many.app_error"


async def test_a_password_is_reset_once(office: Office) -> None:
    user = await office.newcomer("forgetful")
    other = await office.api.anonymous().log_in("forgetful")
    anonymous, email = office.crew.people.anonymous, "forgetful@example.org"
    for _ in range(10):
        assert (await log_in(anonymous, "forgetful", "wrong")).status_code == 401
    assert (await log_in(anonymous, "forgetful")).json()["id"] == LOCKED
    await anonymous.post("/users/password/reset/send", {"email": email.upper()})
    message = await office.mailbox.get(email)
    token = token_in(message)
    assert "reset_password_complete?token=" in texts(message)[1]
    stored = await office.crew.town.db.fetch(
        "SELECT token_hash FROM one_time_tokens WHERE user_id = $1", user.id
    )
    assert [row["token_hash"] for row in stored] == [token_hash(token)]

    # A password against the rules does not use the token up.
    await office.fails(
        anonymous, "POST", "/users/password/reset", {"token": token, "new_password": "x"}, 400,
        "model.user.is_valid.pwd_min_length.app_error",
    )  # fmt: skip
    body = {"token": token, "new_password": NEW}
    answers = await asyncio.gather(
        *(anonymous.request("POST", "/users/password/reset", json=body) for _ in range(100))
    )
    # A worker whose four connections are all waited for says 503 to some.
    assert sorted({answer.status_code for answer in answers} - {503}) == [200, 400]
    assert sum(answer.status_code == 200 for answer in answers) == 1
    assert {answer.json().get("id") for answer in answers if answer.status_code == 400} == {INVALID}
    await office.fails(anonymous, "POST", "/users/password/reset", body, 400, INVALID)
    await office.mailbox.get(email, "password has changed")
    for session in (user, other):
        await session.get("/users/me", expect=401)
    assert (await log_in(anonymous, "forgetful")).status_code == 401
    assert (await log_in(anonymous, "forgetful", NEW)).status_code == 200  # and the lock is off


async def test_a_reset_link_ends_with_time_with_another_link_and_with_a_change(office: Office) -> None:
    user = await office.newcomer("hesitant")
    anonymous, email = office.crew.people.anonymous, "hesitant@example.org"

    async def new_link() -> str:
        await anonymous.post("/users/password/reset/send", {"email": email})
        return token_in(await office.mailbox.get(email, "Reset"))

    first, second = await new_link(), await new_link()
    body = {"token": first, "new_password": NEW}
    await office.fails(anonymous, "POST", "/users/password/reset", body, 400, INVALID)
    await office.crew.town.db.execute("UPDATE one_time_tokens SET expires_at = 1 WHERE user_id = $1", user.id)
    await office.fails(
        anonymous, "POST", "/users/password/reset", {**body, "token": second}, 400,
        "api.user.reset_password.link_expired.app_error",
    )  # fmt: skip
    third = await new_link()
    await user.put("/users/me/password", {"current_password": PASSWORD, "new_password": NEW})
    await office.fails(anonymous, "POST", "/users/password/reset", {**body, "token": third}, 400, INVALID)
    # A token is for one thing only.
    fourth = await new_link()
    await office.fails(
        anonymous,
        "POST",
        "/users/email/verify",
        {"token": fourth},
        400,
        "api.user.verify_email.bad_link.app_error",
    )


async def test_nobody_learns_who_has_an_account_nor_fills_a_mailbox(office: Office) -> None:
    await office.newcomer("private")
    anonymous = office.crew.people.anonymous
    for path in ("/users/password/reset/send", "/users/email/verify/send"):
        known = await anonymous.request("POST", path, json={"email": "private@example.org"})
        unknown = await anonymous.request("POST", path, json={"email": "nobody@example.org"})
        assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
        for _ in range(8):
            await anonymous.post(path, {"email": "private@example.org"})
    for subject in ("Reset", "Confirm"):
        for _ in range(5):
            await office.mailbox.get("private@example.org", subject)
    await asyncio.sleep(0.3)
    assert not office.mailbox.messages
    # Bots and the deactivated have nothing to reset.
    for email in ("robot@localhost", "gone@example.org"):
        await anonymous.post("/users/password/reset/send", {"email": email})
    await office.crew.town.db.execute(
        "UPDATE users SET auth_service = 'gitlab' WHERE email = 'private@example.org'"
    )
    body = {"email": "private@example.org"}
    await office.fails(
        anonymous,
        "POST",
        "/users/password/reset/send",
        body,
        400,
        "api.user.send_password_reset.sso.app_error",
    )


async def test_an_address_must_be_verified_where_the_configuration_wants_it(office: Office) -> None:
    anonymous, email = office.crew.people.anonymous, "unproven@example.org"
    await office.configure(EmailSettings__RequireEmailVerification=True)
    body = {"username": "unproven", "email": email, "password": PASSWORD}
    made = await anonymous.post("/users", body, expect=201)
    assert "email_verified" not in made
    refused = await log_in(anonymous, "unproven")
    assert (refused.status_code, refused.json()["id"]) == (401, "api.user.login.not_verified.app_error")
    token = token_in(await office.mailbox.get(email, "Confirm"))
    _, told = await office.crew.announced(
        anonymous.post("/users/email/verify", {"token": token}), names=("user_updated",)
    )
    assert [event["data"]["user"].get("email_verified") for event in told[0].events] == [None, None, True]
    assert told[0].invalidates == ["user:" + made["id"]]
    await office.fails(
        anonymous,
        "POST",
        "/users/email/verify",
        {"token": token},
        400,
        "api.user.verify_email.bad_link.app_error",
    )
    user = await office.api.anonymous().log_in("unproven")
    assert user.me["email_verified"] is True
    # Another address is to be verified again, and an old link does not do it.
    await user.put("/users/me/patch", {"email": "second@example.org", "password": PASSWORD})
    old = token_in(await office.mailbox.get("second@example.org", "Confirm"))
    await user.put("/users/me/patch", {"email": "third@example.org", "password": PASSWORD})
    await office.fails(
        anonymous,
        "POST",
        "/users/email/verify",
        {"token": old},
        400,
        "api.user.verify_email.bad_link.app_error",
    )
    await office.configure(EmailSettings__RequireEmailVerification=None)


async def test_a_changed_password_ends_the_other_sessions(office: Office) -> None:
    user = await office.newcomer("careful")
    other = await office.api.anonymous().log_in("careful")
    change = {"current_password": PASSWORD, "new_password": NEW}
    await office.configure(ServiceSettings__TerminateSessionsOnPasswordChange=False)
    await user.put("/users/me/password", change)
    await other.get("/users/me")
    await office.configure(ServiceSettings__TerminateSessionsOnPasswordChange=None)
    before = (await user.get("/users/me"))["last_password_update"]
    await user.put("/users/me/password", {"current_password": NEW, "new_password": PASSWORD})
    await other.get("/users/me", expect=401)
    assert (await user.get("/users/me"))["last_password_update"] > before
    await office.crew.people.admin.put(f"/users/{user.id}/password", {"new_password": NEW})
    await user.get("/users/me", expect=401)
    message = await office.mailbox.get("careful@example.org")
    assert "in the settings" in texts(message)[0]


async def test_guessing_the_present_password_locks_it(office: Office) -> None:
    user = await office.newcomer("stolen")
    wrong = {"current_password": "wrong", "new_password": NEW}
    for _ in range(10):
        await office.fails(
            user, "PUT", "/users/me/password", wrong, 400, "api.user.update_password.incorrect.app_error"
        )
    right = {**wrong, "current_password": PASSWORD}
    await office.fails(user, "PUT", "/users/me/password", right, 401, LOCKED)
    await office.crew.people.admin.post(f"/users/{user.id}/reset_failed_attempts")
    await user.put("/users/me/password", right)


async def test_an_admin_verifies_an_address(office: Office) -> None:
    user, path = await office.newcomer("vouched"), "/email/verify/member"
    await user.post(f"/users/{user.id}{path}", expect=403)
    _, told = await office.crew.announced(
        office.crew.people.admin.post(f"/users/{user.id}{path}"), names=("user_updated",)
    )
    assert told
    assert (await user.get("/users/me"))["email_verified"] is True
    await office.crew.people.admin.post(f"/users/{'x' * 26}{path}", expect=404)


async def test_password_rules_come_from_the_configuration(office: Office) -> None:
    kinds = {f"PasswordSettings__{kind}": True for kind in ("Lowercase", "Uppercase", "Number", "Symbol")}
    await office.configure(PasswordSettings__MinimumLength=10, **kinds)
    body = {"username": "ruled", "email": "ruled@example.org", "password": "ÜÜÜÜ"}
    everything = "model.user.is_valid.pwd_min_length_lowercase_uppercase_number_symbol.app_error"
    anonymous = office.crew.people.anonymous
    await office.fails(anonymous, "POST", "/users", body, 400, everything)
    await anonymous.post("/users", {**body, "password": "Correct h0rse!"}, expect=201)
    await office.configure(PasswordSettings__MinimumLength=None, **dict.fromkeys(kinds))
