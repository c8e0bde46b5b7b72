"""Bots: users without a password, owned by somebody, silent when disabled."""

import asyncio

import pytest

from tests.integration.accounts.office import Office

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_bot_is_a_user_and_everybody_hears_of_it(office: Office) -> None:
    admin, member = office.crew.people.admin, office.crew.people.member
    socket = await office.crew.socket(member)
    new = {"username": "Herald", "display_name": "The Herald", "description": "tells"}
    bot, told = await office.crew.announced(admin.post("/bots", new, expect=201), names=("new_user",))
    assert told[0].events[0]["data"] == {"user_id": bot["user_id"]}
    assert (await socket.event("new_user"))["data"] == {"user_id": bot["user_id"]}
    view = await member.get(f"/users/{bot['user_id']}")
    assert (view["username"], view["first_name"]) == ("herald", "The Herald")
    assert view["is_bot"] is True
    assert view["bot_description"] == "tells"
    assert "is_bot" not in await member.get(f"/users/{admin.id}")
    # snapshot + events == fresh snapshot
    patch = {"username": "crier", "display_name": "The Crier", "description": ""}
    changed = await admin.put(f"/bots/{bot['user_id']}", patch)
    assert (changed["username"], changed["display_name"]) == ("crier", "The Crier")
    assert "description" not in changed
    event = await socket.event("user_updated")
    assert event["data"]["user"] == await member.get(f"/users/{bot['user_id']}")
    disabled = await admin.post(f"/bots/{bot['user_id']}/disable")
    assert disabled["delete_at"] == disabled["update_at"] > 0
    event = await socket.event("user_updated")
    assert event["data"]["user"]["delete_at"] == disabled["delete_at"]
    assert event["data"]["user"] == await member.get(f"/users/{bot['user_id']}")
    assert await admin.post(f"/bots/{bot['user_id']}/disable") == disabled  # changes nothing, tells nobody
    enabled = await admin.post(f"/bots/{bot['user_id']}/enable")
    assert enabled["delete_at"] == 0
    event = await socket.event("user_updated")
    assert event["data"]["user"] == await member.get(f"/users/{bot['user_id']}")


async def test_lists_know_their_version_their_owners_and_the_disabled(office: Office) -> None:
    admin = office.crew.people.admin
    owner = await office.newcomer("botherder")
    bot = await admin.post("/bots", {"username": "herded"}, expect=201)
    path = f"/bots/{bot['user_id']}"
    assert (await admin.post(f"{path}/assign/{owner.id}"))["owner_id"] == owner.id
    await admin.post(f"{path}/disable")
    ids = {one["user_id"] for one in await admin.get("/bots?per_page=200")}
    assert bot["user_id"] not in ids
    assert office.bot.id in ids
    ids = {one["user_id"] for one in await admin.get("/bots?include_deleted=true&per_page=200")}
    assert bot["user_id"] in ids
    await admin.get(path, expect=404)
    assert (await admin.get(path + "?include_deleted=true"))["owner_id"] == owner.id
    await office.crew.town.db.execute("UPDATE users SET delete_at = 1 WHERE id = $1", owner.id)
    orphans = await admin.get("/bots?include_deleted=true&only_orphaned=true&per_page=200")
    ids = {one["user_id"] for one in orphans}  # perhaps with what other tests left
    assert bot["user_id"] in ids and office.bot.id not in ids
    answer = await admin.request("GET", "/bots")
    same = await admin.request("GET", "/bots", headers={"If-None-Match": answer.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    await admin.post(f"{path}/enable")
    other = await admin.request("GET", "/bots", headers={"If-None-Match": answer.headers["ETag"]})
    assert other.status_code == 200


async def test_making_bots_can_be_switched_off(office: Office) -> None:
    await office.configure(ServiceSettings__EnableBotAccountCreation=False)
    admin = office.crew.people.admin
    await office.fails(admin, "POST", "/bots", {"username": "late"}, 403, "api.bot.create_disabled")
    await office.configure(ServiceSettings__EnableBotAccountCreation=None)


async def test_two_hundred_changes_at_once_end_as_one_after_another(office: Office) -> None:
    admin = office.crew.people.admin
    bot = await admin.post("/bots", {"username": "flicker"}, expect=201)
    path = f"/bots/{bot['user_id']}"
    verbs = ["disable", "enable"] * 30
    await asyncio.gather(*(admin.post(f"{path}/{verb}") for verb in verbs))
    await admin.post(f"{path}/enable")
    row = await office.crew.town.db.fetchrow(
        "SELECT u.delete_at AS u, b.delete_at AS b FROM users u JOIN bots b ON b.user_id = u.id WHERE u.id = $1",
        bot["user_id"],
    )
    assert row is not None
    assert (row["u"], row["b"]) == (0, 0)
