"""Second factors: set up by QR code, asked for after the password, each code once; enforced where wanted."""

import asyncio
import base64
import time

import pyotp
import pytest

from tests.fixtures.api import PASSWORD, Client
from tests.integration.accounts.office import Office, log_in
from tidewire.actions.mfa import matching_step
from tidewire.actions.vault import MARK, Unreadable, Vault
from tidewire.settings import read

pytestmark = pytest.mark.asyncio(loop_scope="package")
NEEDED = "mfa.validate_token.authenticate.app_error"
BAD = "api.user.check_user_mfa.bad_code.app_error"
ENFORCE = "ServiceSettings__EnforceMultifactorAuthentication"


async def set_up(user: Client) -> str:
    """Give a user a second factor; return its secret."""
    made = await user.post("/users/me/mfa/generate")
    await user.put("/users/me/mfa", {"activate": True, "code": pyotp.TOTP(made["secret"]).now()})
    secret: str = made["secret"]
    return secret


def later(secret: str, steps: int = 1) -> str:
    """Return the code of a step that is still to come."""
    return pyotp.TOTP(secret).at(time.time() + 30 * steps)


async def test_set_up_log_in_and_remove(office: Office) -> None:
    user = await office.newcomer("twofold")
    other = await office.api.anonymous().log_in("twofold")
    made = await user.post("/users/me/mfa/generate")
    assert base64.b64decode(made["qr_code"]).startswith(b"\x89PNG\r\n\x1a\n")
    assert len(base64.b32decode(made["secret"])) == 20
    assert (await log_in(office.crew.people.anonymous, "twofold")).status_code == 200  # not in force yet
    code = {"activate": True, "code": pyotp.TOTP(made["secret"]).now()}
    _, told = await office.crew.announced(user.put("/users/me/mfa", code), names=("user_updated",))
    assert [event["data"]["user"].get("mfa_active") for event in told[0].events] == [True, True, True]
    await other.get("/users/me", expect=401)
    me = await user.get("/users/me")
    assert me["mfa_active"] is True
    assert made["secret"] not in str(me)
    await office.mailbox.get("twofold@example.org", "switched on")
    await office.fails(
        user, "POST", "/users/me/mfa/generate", None, 400, "mfa.generate_qr_code.create_code.app_error"
    )

    anonymous = office.crew.people.anonymous
    for token, password, status, error_id in (
        ("", "wrong", 401, "api.user.login.invalid_credentials_email_username"),  # says nothing of a second factor
        ("", PASSWORD, 400, NEEDED), ("000000", PASSWORD, 401, BAD), ("x", PASSWORD, 401, BAD),
        (code["code"], PASSWORD, 401, BAD),  # used at the set-up
    ):  # fmt: skip
        answer = await log_in(anonymous, "twofold", password, token=token)
        assert (answer.status_code, answer.json()["id"]) == (status, error_id)
    answers = await asyncio.gather(
        *(log_in(anonymous, "twofold", token=later(made["secret"])) for _ in range(10))
    )
    assert [answer.status_code for answer in answers].count(200) == 1
    await office.configure(ServiceSettings__EnableMultifactorAuthentication=False)
    assert (await log_in(anonymous, "twofold")).status_code == 200
    await office.fails(user, "POST", "/users/me/mfa/generate", None, 501, "mfa.mfa_disabled.app_error")
    code = {"activate": True, "code": "000000"}
    await office.fails(user, "PUT", "/users/me/mfa", code, 501, "mfa.mfa_disabled.app_error")
    await office.configure(ServiceSettings__EnableMultifactorAuthentication=None)
    await office.crew.people.admin.put(f"/users/{user.id}/mfa", {"activate": False})
    await user.get("/users/me", expect=401)
    assert (await log_in(anonymous, "twofold")).status_code == 200


async def test_wrong_codes_lock_the_account(office: Office) -> None:
    await set_up(await office.newcomer("guessed"))
    anonymous = office.crew.people.anonymous
    for _ in range(10):
        assert (await log_in(anonymous, "guessed", token="000000")).json()["id"] == BAD
    locked = await log_in(anonymous, "guessed", token="000000")
    assert locked.json()["id"] == "api.user.check_user_login_attempts.too_many.app_error"


async def test_enforced(office: Office) -> None:
    user, bot, guest = await office.newcomer("bare"), office.bot, office.crew.guest
    await office.configure(**{ENFORCE: True})
    try:
        for path in ("/users/me/teams", "/users/" + user.id, "/users/me/sessions"):
            await office.fails(user, "GET", path, None, 403, "api.context.mfa_required.app_error")
        assert (await user.get("/users/me"))["id"] == user.id  # how clients find out
        await user.get("/config/client")
        await bot.get("/users/me/teams")
        await guest.get("/users/me/teams")
        socket = await office.crew.socket(user)  # let in, and told nothing
        reply = await socket.act("get_statuses")
        assert reply["error"]["id"] == "api.web_socket_router.not_authenticated.app_error"
        assert reply["error"]["status_code"] == 401
        bots = await office.crew.socket(bot)
        await user.put("/users/me/preferences", [], expect=403)
        await set_up(user)
        await socket.closed()  # so that it comes back as one who has a second factor
        again = await office.crew.socket(user)
        assert (await again.act("get_statuses"))["status"] == "OK"
        await user.get("/users/me/teams")
        await user.put("/users/me/patch", {"nickname": "Heard"})
        for each in (again, bots):
            event = await each.event("user_updated")
            while event["data"]["user"]["nickname"] != "Heard":
                event = await each.event("user_updated")
        await office.configure(GuestAccountsSettings__EnforceMultifactorAuthentication=True)
        await guest.get("/users/me/teams", expect=403)
    finally:
        await office.configure(
            **{ENFORCE: None, "GuestAccountsSettings__EnforceMultifactorAuthentication": None}
        )


async def test_who_has_no_second_factor_hears_nothing_from_the_moment_it_is_enforced(office: Office) -> None:
    user = await office.newcomer("muted")
    socket = await office.crew.socket(user)
    await office.configure(**{ENFORCE: True})
    try:
        seen = len(socket.events)
        await office.bot.put("/users/me/patch", {"nickname": "Unheard"})
        assert (await socket.act("ping"))["error"]["status_code"] == 401
        heard = {event["event"] for event in socket.events[seen:]}
        assert heard <= {"status_change", "config_changed"}  # of the moment before
    finally:
        await office.configure(**{ENFORCE: None})
    await office.bot.put("/users/me/patch", {"nickname": ""})
    await socket.event("user_updated")


async def test_codes_match_their_step_and_its_neighbours_only() -> None:
    # RFC 6238, appendix B: SHA-1, the secret "12345678901234567890"; the last six digits of eight.
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert matching_step(secret, "287082", 59) == 1
    assert matching_step(secret, "081804", 1111111109) == 37037036
    for shift, step in ((-30, 37037036), (30, 37037036), (-61, 0), (61, 0)):
        assert matching_step(secret, "081804", 1111111109 + shift) == step
    for code in ("", "08180", "0818040", "٠٨١٨٠٤", "081804\n"):
        assert matching_step(secret, code, 1111111109) == 0
    assert matching_step("", "081804", 1111111109) == 0


async def test_secrets_are_sealed_at_rest_and_old_ones_become_so(office: Office) -> None:
    user, db = await office.newcomer("vaulted"), office.crew.town.db
    secret = await set_up(user)
    row = "SELECT mfa_secret FROM users WHERE id = $1"
    sealed = await db.fetchval(row, user.id)
    assert sealed.startswith(MARK)
    assert secret not in sealed
    # It is of use for its user alone.
    other = await office.newcomer("unvaulted")
    vault = await Vault.open(office.api.settings, db)
    assert vault.unseal_text("mfa:" + user.id, sealed) == secret
    with pytest.raises(Unreadable):
        vault.unseal_text("mfa:" + other.id, sealed)
    with pytest.raises(Unreadable):
        Vault("x" * 32).unseal_text("mfa:" + user.id, sealed)
    # A row from before is sealed when the next worker starts; a key that is given later reads what the old one sealed.
    await db.execute("UPDATE users SET mfa_secret = $2 WHERE id = $1", user.id, secret)
    settings = office.api.settings
    given = {"url": settings.database.url, "secrets_key": "k" * 32}
    vault = await Vault.open(read({"database": given}), db)
    again = await db.fetchval(row, user.id)
    assert again.startswith(MARK)
    assert vault.unseal_text("mfa:" + user.id, again) == secret
    assert vault.unseal_text("mfa:" + user.id, sealed) == secret
    await db.execute("UPDATE users SET mfa_secret = $2 WHERE id = $1", user.id, sealed)
    answer = await log_in(office.crew.people.anonymous, "vaulted", token=later(secret))
    assert answer.status_code == 200
