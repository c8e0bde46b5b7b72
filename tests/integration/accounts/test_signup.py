"""New accounts: open, by invitation, by admins; and what the audit log says of it all."""

import asyncio
import time

import pytest

from tests.fixtures.api import PASSWORD
from tests.integration.accounts.office import Office, log_in
from tidewire.actions import one_time_tokens
from tidewire.wire.ids import now_ms

pytestmark = pytest.mark.asyncio(loop_scope="package")
CLOSED = "api.user.create_user.no_open_server"
INVALID = "api.user.create_user.signup_link_invalid.app_error"


def new(name: str) -> dict[str, str]:
    """Return what one says about a new account."""
    return {"username": name, "email": f"{name}@example.org", "password": PASSWORD}


async def test_a_closed_server_takes_the_invited_and_what_admins_make(office: Office) -> None:
    people = office.crew.people
    anonymous = people.anonymous
    await office.configure(TeamSettings__EnableOpenServer=False)
    try:
        await office.fails(anonymous, "POST", "/users", new("uninvited"), 403, CLOSED)
        await office.fails(people.member, "POST", "/users", new("uninvited"), 403, CLOSED)
        await people.admin.post("/users", new("by_admin"), expect=201)
        invite_id = (await people.admin.get(f"/teams/{people.team['id']}"))["invite_id"]
        made = await anonymous.post(f"/users?iid={invite_id}", new("linked"), expect=201)
        assert made.get("email_verified") is None
        linked = await office.api.anonymous().log_in("linked")
        assert [team["id"] for team in await linked.get("/users/me/teams")] == [people.team["id"]]
        await office.fails(
            anonymous, "POST", "/users?iid=" + "x" * 26, new("mislinked"), 404,
            "app.team.get_by_invite_id.finding.app_error",
        )  # fmt: skip
        await office.fails(anonymous, "POST", "/users?t=" + "x" * 64, new("mislinked"), 400, INVALID)
        await office.configure(EmailSettings__EnableSignUpWithEmail=False)
        disabled = "api.user.create_user.signup_email_disabled.app_error"
        await office.fails(anonymous, "POST", f"/users?iid={invite_id}", new("late"), 403, disabled)
    finally:
        await office.configure(TeamSettings__EnableOpenServer=None, EmailSettings__EnableSignUpWithEmail=None)


async def invite(office: Office, email: str) -> str:
    """Return a token that invites an address to the team."""
    async with office.crew.town.db.transaction() as tx:
        return await one_time_tokens.do_create(
            tx, one_time_tokens.INVITE, email=email, team_id=office.crew.people.team["id"]
        )


async def test_an_invitation_by_e_mail_works_once(office: Office) -> None:
    anonymous, db = office.crew.people.anonymous, office.crew.town.db
    token = await invite(office, "asked@example.org")
    tries = [
        anonymous.request(
            "POST", f"/users?t={token}", json={**new(f"asked{n}"), "email": "other@example.org"}
        )
        for n in range(100)
    ]
    answers = await asyncio.gather(*tries)
    assert sorted(answer.status_code for answer in answers) == [201, *[400] * 99]
    made = next(answer.json() for answer in answers if answer.status_code == 201)
    assert made["email"] == "asked@example.org"  # the address that was invited, whatever was given
    assert made["email_verified"] is True
    user = await office.api.anonymous().log_in(made["username"])
    assert [team["name"] for team in await user.get("/users/me/teams")] == ["seagulls"]
    await office.fails(anonymous, "POST", f"/users?t={token}", new("again"), 400, INVALID)
    old = await invite(office, "slow@example.org")
    await db.execute("UPDATE one_time_tokens SET expires_at = $1 WHERE email = 'slow@example.org'", now_ms())
    await office.fails(
        anonymous, "POST", f"/users?t={old}", new("slow"), 400,
        "api.user.create_user.signup_link_expired.app_error",
    )  # fmt: skip


async def test_addresses_can_be_kept_to_domains(office: Office) -> None:
    await office.configure(TeamSettings__RestrictCreationToDomains="@example.com, example.net")
    anonymous = office.crew.people.anonymous
    await office.fails(
        anonymous, "POST", "/users", new("foreign"), 400, "api.user.create_user.accepted_domain.app_error"
    )
    await anonymous.post("/users", {**new("domestic"), "email": "domestic@example.net"}, expect=201)
    await office.configure(TeamSettings__RestrictCreationToDomains=None)


async def test_what_matters_is_written_down(office: Office) -> None:
    user = await office.newcomer("watched")
    await log_in(office.crew.people.anonymous, "watched", "wrong")
    await user.put("/users/me/password", {"current_password": "x", "new_password": PASSWORD}, expect=400)
    await user.post("/users/logout")
    admin = office.crew.people.admin
    found = await admin.get(f"/users/{user.id}/audits")
    assert [(one["action"].removeprefix("/api/v4"), one["extra_info"]) for one in found] == [
        ("/users/logout", "success"),
        ("/users/me/password", "fail - api.user.update_password.incorrect.app_error"),
        ("/users/login", "fail - api.user.login.invalid_credentials_email_username"),
        ("/users/login", "success"),
        ("/users", "success"),
    ]
    assert {one["ip_address"] for one in found} == {"127.0.0.1"}
    assert found[1]["session_id"]
    assert PASSWORD not in str(found)
    newest = await admin.get("/audits?per_page=2")
    assert newest[0]["create_at"] >= newest[1]["create_at"] > (time.time() - 60) * 1000
    page = await admin.get(f"/users/{user.id}/audits?page=1&per_page=2")
    assert [one["id"] for one in page] == [one["id"] for one in found[2:4]]


async def test_nobody_fills_the_disk_with_audits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.actions.audits.ROWS_PER_MINUTE", 3)
    user, count = await office.newcomer("wordy"), "SELECT count(*) FROM audits WHERE user_id = $1"
    for _ in range(5):
        await user.put("/users/sessions/device", {"mobile_version": "1.0.0"})
    assert await office.crew.town.db.fetchval(count, user.id) == 3


async def test_old_audits_go(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    db = office.crew.town.db
    old = now_ms() - 91 * 86_400_000
    await db.execute("INSERT INTO audits (id, create_at, user_id, action) VALUES ('old', $1, 'x', 'y')", old)
    await db.execute(
        "INSERT INTO audits (id, create_at, user_id, action) VALUES ('new', $1, 'x', 'y')",
        old + 2 * 86_400_000,
    )
    monkeypatch.setattr("tidewire.actions.audits._pruned_at_ms", 0)
    await office.crew.people.member.put("/users/sessions/device", {"mobile_version": "1.0.0"})
    rows = await db.fetch("SELECT id FROM audits WHERE id IN ('old', 'new')")
    assert [row["id"] for row in rows] == ["new"]


async def test_terms_are_accepted_and_taken_back(office: Office) -> None:
    people, user = office.crew.people, await office.newcomer("agreeable")
    terms = await people.admin.post("/terms_of_service", {"text": "Be kind to gulls."})
    path = "/users/me/terms_of_service"
    await user.get(path, expect=404)
    await user.post(path, {"termsOfServiceId": terms["id"], "accepted": True})
    accepted = await user.get(path)
    assert accepted.keys() == {"user_id", "terms_of_service_id", "create_at"}
    assert accepted["terms_of_service_id"] == terms["id"]
    me = await user.get("/users/me")
    assert (me["terms_of_service_id"], me["terms_of_service_create_at"]) == (
        terms["id"],
        accepted["create_at"],
    )
    await user.post(path, {"termsOfServiceId": terms["id"], "accepted": "false"})
    await user.get(path, expect=404)
