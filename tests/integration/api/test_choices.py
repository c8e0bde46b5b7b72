"""What administrators choose for everybody: each is in force from the next request on."""

from typing import Any

from tests.fixtures.api import PASSWORD, People


async def configure(people: People, section: str, **values: Any) -> None:
    await people.admin.put("/config/patch", {section: values})


async def test_which_channels_everybody_joins(people: People) -> None:
    team = people.team["id"]
    for name, kind in (("tides", "O"), ("vault", "P")):
        body = {"team_id": team, "name": name, "display_name": name, "type": kind}
        await people.owner.post("/channels", body, expect=201)

    async def joins(username: str) -> set[str]:
        user = await people.api.user(username)
        await people.owner.add_to_team(team, user)
        return {one["name"] for one in await user.get(f"/users/me/teams/{team}/channels")}

    assert await joins("early") == {"town-square", "off-topic"}
    await configure(people, "TeamSettings", ExperimentalDefaultChannels=["tides", "vault", "no-such"])
    assert await joins("late") == {"town-square", "tides"}  # a private channel is nobody's default


async def test_the_language_of_new_accounts(people: People) -> None:
    await configure(people, "LocalizationSettings", DefaultClientLocale="de")
    body = {"username": "neu", "email": "neu@example.org", "password": PASSWORD}
    assert (await people.anonymous.post("/users", body, expect=201))["locale"] == "de"
    own = {"username": "neuf", "email": "neuf@example.org", "password": PASSWORD, "locale": "fr"}
    assert (await people.anonymous.post("/users", own, expect=201))["locale"] == "fr"


async def test_how_many_emojis_a_post_takes(people: People) -> None:
    await configure(people, "ServiceSettings", UniqueEmojiReactionLimitPerPost=1)
    post = await people.member.post("/posts", {"channel_id": people.channel["id"], "message": "one"})

    async def react(emoji: str, *, expect: int) -> Any:
        body = {"user_id": people.member.id, "post_id": post["id"], "emoji_name": emoji}
        return await people.member.post("/reactions", body, expect=expect)

    await react("wave", expect=200)
    refused = await react("fish", expect=400)
    assert refused["id"] == "app.reaction.save.save.too_many_reactions"
    await react("wave", expect=200)


async def test_without_statuses_nobody_is_seen(people: People) -> None:
    me = people.member
    await me.put("/users/me/status", {"user_id": me.id, "status": "dnd"})
    assert (await people.owner.get(f"/users/{me.id}/status"))["status"] == "dnd"
    await configure(people, "ServiceSettings", EnableUserStatuses=False)
    assert (await people.owner.get(f"/users/{me.id}/status"))["status"] == "offline"
    [seen] = await people.owner.post("/users/status/ids", [me.id], expect=200)
    assert (seen["status"], seen["last_activity_at"]) == ("offline", 0)
