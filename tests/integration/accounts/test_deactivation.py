"""Who is deactivated is out at once, by session and by access token, and so are his bots where that is wanted."""

import pytest

from tests.fixtures.api import Api, Client, new_settings
from tests.integration.accounts.office import Office, log_in, texts
from tests.integration.accounts.test_sockets import dies, listener, with_token

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def bot_of(office: Office, owner: Client, name: str) -> Client:
    """Return a bot that the user owns, in the open channel."""
    admin, people = office.crew.people.admin, office.crew.people
    made = await admin.post("/bots", {"username": name}, expect=201)
    token = await admin.post(f"/users/{made['user_id']}/tokens", {"description": "x"})
    await admin.post(f"/bots/{made['user_id']}/assign/{owner.id}")
    bot = office.bearer(token["token"])
    bot.me = await bot.get("/users/me")
    await people.owner.add_to_team(people.team["id"], bot)
    await people.owner.post(f"/channels/{people.channel['id']}/members", {"user_id": bot.id}, expect=201)
    return bot


async def test_a_person_and_his_bots(office: Office) -> None:
    admin, owner = office.crew.people.admin, await listener(office, "botowner")
    bot = await bot_of(office, owner, "owned")
    program, by_token, _ = await with_token(office, owner)
    session, bots = await office.crew.socket(owner), await office.crew.socket(bot)
    watcher = await office.crew.socket(office.crew.people.member)
    path = f"/users/{owner.id}/active"
    await dies(session, office, admin.put(path, {"active": False}), text="owner out")
    for socket in (by_token, bots):
        assert (await socket.closed())[0] == 1008
        assert "owner out" not in str(socket.events)
    for caller in (owner, program, bot):
        await caller.get("/users/me", expect=401)
    # snapshot + events == fresh snapshot, for both.
    heard = {}
    while heard.keys() != {owner.id, bot.id}:
        user = (await watcher.event("user_updated"))["data"]["user"]
        if user["delete_at"]:
            heard[user["id"]] = user
    for user_id, user in heard.items():
        assert user == await office.crew.people.member.get(f"/users/{user_id}")
    orphans = await admin.get("/bots?include_deleted=true&only_orphaned=true&per_page=200")
    assert bot.id in {one["user_id"] for one in orphans}
    assert (await log_in(office.crew.people.anonymous, "botowner")).json()[
        "id"
    ] == "api.user.login.inactive.app_error"
    await admin.put(path, {"active": True})
    await program.get("/users/me")
    await owner.get("/users/me", expect=401)
    await bot.get("/users/me", expect=401)  # stays disabled until somebody enables it


async def test_bots_stay_where_the_configuration_wants_it(office: Office) -> None:
    admin, owner = office.crew.people.admin, await office.newcomer("lenient")
    bot = await bot_of(office, owner, "staying")
    await office.configure(ServiceSettings__DisableBotsWhenOwnerIsDeactivated=False)
    await admin.put(f"/users/{owner.id}/active", {"active": False})
    await office.configure(ServiceSettings__DisableBotsWhenOwnerIsDeactivated=None)
    await bot.get("/users/me")
    assert (await admin.get(f"/bots/{bot.id}"))["delete_at"] == 0


async def test_who_has_the_role_makes_tokens_of_his_own_only(office: Office) -> None:
    admin, user = office.crew.people.admin, await office.newcomer("tokened")
    body = {"description": "mine"}
    await user.post("/users/me/tokens", body, expect=403)
    await admin.put(f"/users/{user.id}/roles", {"roles": "system_user system_user_access_token"})
    made = await user.post("/users/me/tokens", body)
    assert (await office.mailbox.get("tokened@example.org"))["Subject"].endswith("token was made")
    program = office.bearer(made["token"])
    assert (await program.get("/users/me"))["id"] == user.id
    (session,) = [one for one in await user.get("/users/me/tokens") if one["id"] == made["id"]]
    assert session == {"id": made["id"], "user_id": user.id, "description": "mine", "is_active": True}
    assert (await user.get(f"/users/tokens/{made['id']}"))["id"] == made["id"]
    for other in (admin.id, office.bot.id, office.crew.people.member.id):
        await user.post(f"/users/{other}/tokens", body, expect=403)
        await user.get(f"/users/{other}/tokens", expect=403)
    theirs = await admin.post(f"/users/{office.bot.id}/tokens", body)
    for verb in ("disable", "enable", "revoke"):
        await user.post(f"/users/tokens/{verb}", {"token_id": theirs["id"]}, expect=403)
        await user.post(f"/users/tokens/{verb}", {"token_id": made["id"]})
    await program.get("/users/me", expect=401)


async def test_logins_are_mailed_where_the_settings_want_it(office: Office) -> None:
    settings = office.api.settings
    wanted = {"users": {"mail_logins": True}, "limits": {"logins_per_minute": 0}}
    api = Api(new_settings(settings.database.url, settings.redis.url, **wanted))
    await api.start()
    try:
        user = await api.user("noticed")
        message = await office.mailbox.get("noticed@example.org", "New login")
        assert "address 127.0.0.1" in texts(message)[0]
        assert user.http.headers["Authorization"][7:] not in texts(message)[0]
    finally:
        await api.stop()
    await office.newcomer("unnoticed")
    assert not office.mailbox.messages
