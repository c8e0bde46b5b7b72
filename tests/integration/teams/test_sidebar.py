"""The sidebar: each channel in exactly one category, whatever is moved, joined, left, archived or marked at once."""

import asyncio
import json
from typing import Any

import pytest

from tests.fixtures.api import Client
from tests.integration.teams.town import Json, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Bar:
    """One newcomer's sidebar in the town's team."""

    def __init__(self, town: Town, me: Client) -> None:
        self.town = town
        self.me = me
        self.team = town.ids["team"]
        self.path = f"/users/me/teams/{self.team}/channels/categories"

    @classmethod
    async def of_newcomer(cls, town: Town) -> "Bar":
        """Return the sidebar of one who is in the team's default channels only."""
        account = await town.new_newcomer()
        return cls(town, await town.api.anonymous().log_in(account["username"]))

    def built_in(self, kind: str) -> str:
        """Return the id of a built-in category."""
        return f"{kind}_{self.me.id}_{self.team}"

    async def load(self) -> dict[str, Json]:
        """Return the categories by id, in order, after checking that each channel is in exactly one."""
        found = await self.me.get(self.path)
        assert found["order"] == [category["id"] for category in found["categories"]]
        placed = [one for category in found["categories"] for one in category["channel_ids"]]
        mine = [one["id"] for one in await self.me.get(f"/users/me/teams/{self.team}/channels")]
        assert sorted(placed) == sorted(mine)
        return {category["id"]: category for category in found["categories"]}

    async def join(self) -> str:
        """Join a new channel; return its id."""
        channel = await self.town.new_channel()
        await self.me.post(f"/channels/{channel['id']}/members", {"user_id": self.me.id}, expect=201)
        return str(channel["id"])

    async def favor(self, channel_id: str, *, on: bool = True) -> None:
        """Mark a channel as favourite by its preference, or not."""
        item = {"user_id": self.me.id, "category": "favorite_channel", "name": channel_id, "value": "true"}
        if on:
            await self.me.put("/users/me/preferences", [item])
        else:
            await self.me.post("/users/me/preferences/delete", [item])

    async def favorites(self) -> set[str]:
        """Return the ids of the channels that the preferences mark."""
        rows = await self.me.get("/users/me/preferences")
        return {row["name"] for row in rows if row["category"] == "favorite_channel"}


async def test_everybody_starts_with_three(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    direct = await bar.me.post("/channels/direct", [bar.me.id, town.member.id])
    favorites, channels, directs = (await bar.load()).values()
    assert [one["id"] for one in (favorites, channels, directs)] == [
        bar.built_in(kind) for kind in ("favorites", "channels", "direct_messages")
    ]
    assert [one["display_name"] for one in (favorites, channels, directs)] == [
        "Favorites", "Channels", "Direct Messages",
    ]  # fmt: skip
    assert [(one["sort_order"], one["sorting"]) for one in (favorites, channels, directs)] == [
        (0, ""), (10, ""), (20, "recent"),
    ]  # fmt: skip
    assert (favorites["channel_ids"], directs["channel_ids"]) == ([], [direct["id"]])
    # Reading stores nothing; the first change does.
    count = "SELECT count(*) FROM sidebar_categories WHERE user_id = $1"
    assert (await town.sql(count, bar.me.id))[0][0] == 0
    await bar.me.put(bar.path + "/" + channels["id"], {"collapsed": True})
    assert (await town.sql(count, bar.me.id))[0][0] == 3


async def test_a_category_of_ones_own(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    first, second = await bar.join(), await bar.join()
    body = {"display_name": " Work ", "channel_ids": [second, first, town.ids["private"], "x", second]}
    made, told = await town.announced_by(bar.me.post(bar.path, body, expect=200))
    assert (made["display_name"], made["type"], made["channel_ids"]) == ("Work", "custom", [second, first])
    [item] = told
    assert (item.key, item.events[0]["event"]) == ("u:" + bar.me.id, "sidebar_category_created")
    assert item.events[0]["data"] == {"category_id": made["id"]}
    assert item.events[0]["broadcast"]["user_id"] == bar.me.id
    assert item.events[0]["broadcast"]["team_id"] == bar.team
    assert list(await bar.load())[:2] == [bar.built_in("favorites"), made["id"]]
    # Renamed, sorted, collapsed, with one channel less.
    change = {**made, "display_name": "Play", "sorting": "alpha", "collapsed": True, "channel_ids": [first]}
    changed, told = await town.announced_by(bar.me.put(bar.path + "/" + made["id"], change))
    assert (changed["display_name"], changed["sorting"], changed["collapsed"]) == ("Play", "alpha", True)
    [item] = told
    assert item.events[0]["event"] == "sidebar_category_updated"
    updated = {row["id"]: row for row in json.loads(item.events[0]["data"]["updatedCategories"])}
    assert updated[made["id"]] == changed
    assert second in updated[bar.built_in("channels")]["channel_ids"]
    # Built-in ones keep their names.
    kept = await bar.me.put(
        bar.path + "/" + bar.built_in("channels"), {"display_name": "Mine", "muted": True}
    )
    assert kept["display_name"] == "Channels"
    gone, told = await town.announced_by(bar.me.delete(bar.path + "/" + made["id"]))
    assert gone == {"status": "OK"}
    assert told[0].events[0]["data"] == {"category_id": made["id"]}
    assert first in (await bar.load())[bar.built_in("channels")]["channel_ids"]


async def test_order(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    made = await bar.me.post(bar.path, {"display_name": "A"}, expect=200)
    order = [made["id"], *(bar.built_in(kind) for kind in ("direct_messages", "favorites", "channels"))]
    answer, told = await town.announced_by(bar.me.put(bar.path + "/order", order))
    assert answer == order == await bar.me.get(bar.path + "/order") == list(await bar.load())
    assert told[0].events[0]["event"] == "sidebar_category_order_updated"
    assert told[0].events[0]["data"] == {"order": order}


async def test_moving_a_channel_names_both_categories(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    channel = await bar.join()
    one = await bar.me.post(bar.path, {"display_name": "One", "channel_ids": [channel]}, expect=200)
    two = await bar.me.post(bar.path, {"display_name": "Two"}, expect=200)
    body = [{**one, "channel_ids": []}, {**two, "channel_ids": [channel]}]
    answer = await bar.me.put(bar.path, body)
    assert [row["channel_ids"] for row in answer] == [[], [channel]]
    # Only the new place named: the old one loses it all the same, and the event says so.
    answer, told = await town.announced_by(bar.me.put(bar.path, [{**one, "channel_ids": [channel]}]))
    rows = {row["id"]: row for row in json.loads(told[0].events[0]["data"]["updatedCategories"])}
    assert (rows[one["id"]]["channel_ids"], rows[two["id"]]["channel_ids"]) == ([channel], [])
    await bar.load()
    # D and G do not go to Channels, nor others to Direct Messages.
    direct = (await bar.me.post("/channels/direct", [bar.me.id, town.member.id]))["id"]
    await bar.me.put(bar.path + "/" + bar.built_in("channels"), {"channel_ids": [direct]})
    await bar.me.put(bar.path + "/" + bar.built_in("direct_messages"), {"channel_ids": [channel, direct]})
    found = await bar.load()
    assert found[bar.built_in("direct_messages")]["channel_ids"] == [direct]
    assert found[one["id"]]["channel_ids"] == [channel]


async def test_favourites_and_their_preference_are_one(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    channel, other = await bar.join(), await bar.join()
    made = await bar.me.post(bar.path, {"display_name": "Own", "channel_ids": [channel]}, expect=200)
    favorites = bar.built_in("favorites")
    await bar.favor(channel)
    assert (await bar.load())[favorites]["channel_ids"] == [channel]
    await bar.favor(channel, on=False)
    found = await bar.load()
    assert (found[favorites]["channel_ids"], found[made["id"]]["channel_ids"]) == ([], [])
    # By the category: the preference follows and is told, after a word that categories changed.
    body = {"channel_ids": [other, channel]}
    _, told = await town.announced_by(bar.me.put(bar.path + "/" + favorites, body))
    assert await bar.favorites() == {channel, other}
    events = [event for item in told for event in item.events]
    assert [event["event"] for event in events] == [
        "sidebar_category_updated", "preferences_changed", "sidebar_category_updated",
    ]  # fmt: skip
    assert {row["name"] for row in json.loads(events[1]["data"]["preferences"])} == {channel, other}
    assert (await bar.load())[favorites]["channel_ids"] == [other, channel]
    _, told = await town.announced_by(
        bar.me.put(bar.path + "/" + made["id"], {**made, "channel_ids": [other]})
    )
    assert await bar.favorites() == {channel}
    assert "preferences_deleted" in [event["event"] for item in told for event in item.events]
    await bar.me.put(bar.path + "/" + favorites, {"channel_ids": []})
    assert await bar.favorites() == set()
    # A direct channel is a favourite in every team.
    direct = (await bar.me.post("/channels/direct", [bar.me.id, town.member.id]))["id"]
    await bar.me.put(bar.path + "/" + favorites, {"channel_ids": [direct]})
    team = await bar.me.new_team(f"second{town.number()}")
    elsewhere = await bar.me.get(
        f"/users/me/teams/{team['id']}/channels/categories/favorites_{bar.me.id}_{team['id']}"
    )
    assert elsewhere["channel_ids"] == [direct]


async def test_muting_a_category_mutes_its_channels(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    channel, other = await bar.join(), await bar.join()

    async def muted(channel_id: str) -> bool:
        member = await bar.me.get(f"/channels/{channel_id}/members/me")
        return bool(member["notify_props"]["mark_unread"] == "mention")

    made = await bar.me.post(bar.path, {"display_name": "M", "channel_ids": [channel]}, expect=200)
    path = bar.path + "/" + made["id"]
    _, told = await town.announced_by(bar.me.put(path, {**made, "muted": True}))
    assert [await muted(channel), await muted(other)] == [True, False]
    [item] = [item for item in told if item.key == "c:" + channel]
    assert item.events[0]["event"] == "channel_member_updated"
    assert json.loads(item.events[0]["data"]["channelMember"])["notify_props"]["mark_unread"] == "mention"
    assert item.copies[0].user_id == bar.me.id
    await bar.me.put(path, {**made, "muted": True, "channel_ids": [other]})
    assert [await muted(channel), await muted(other)] == [False, True]
    await bar.me.delete(path)
    assert not await muted(other)
    directs = await bar.me.put(bar.path + "/" + bar.built_in("direct_messages"), {"muted": True})
    assert not directs["muted"]


async def test_leaving_forgets_the_place_and_archiving_keeps_it(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    channel = await bar.join()
    made = await bar.me.post(bar.path, {"display_name": "Own", "channel_ids": [channel]}, expect=200)
    await town.chanadmin.delete(f"/channels/{channel}")
    assert (await bar.load())[made["id"]]["channel_ids"] == []
    await town.teamadmin.post(f"/channels/{channel}/restore")
    assert (await bar.load())[made["id"]]["channel_ids"] == [channel]
    await bar.me.delete(f"/channels/{channel}/members/me")
    assert (await bar.load())[made["id"]]["channel_ids"] == []
    await bar.me.post(f"/channels/{channel}/members", {"user_id": bar.me.id}, expect=201)
    assert channel in (await bar.load())[bar.built_in("channels")]["channel_ids"]
    # Out of the team: nothing is left of the sidebar.
    await town.teamadmin.delete(f"/teams/{bar.team}/members/{bar.me.id}")
    for table in ("sidebar_categories", "sidebar_channels"):
        query = f"SELECT count(*) FROM {table} WHERE user_id = $1 AND team_id = $2"
        assert (await town.sql(query, bar.me.id, bar.team))[0][0] == 0


async def test_limits(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    await bar.me.post(bar.path, {"display_name": "x" * 64}, expect=200)
    await town.sql(
        "INSERT INTO sidebar_categories (id, user_id, team_id, sort_order, type, display_name) "
        "SELECT $1 || n, $1, $2, n, 'custom', 'x' FROM generate_series(100, 295) n",
        bar.me.id,
        bar.team,
    )
    refused = await bar.me.post(bar.path, {"display_name": "one more"}, expect=400)
    assert refused["id"] == "app.channel.sidebar_categories.app_error"
    too_many = await bar.me.put(bar.path, [{"id": f"{n}"} for n in range(201)], expect=400)
    assert too_many["id"] == "app.channel.sidebar_categories.app_error"


async def test_changes_at_once_lose_and_double_nothing(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    channels = [await bar.join() for _ in range(3)]
    one, two = [
        await bar.me.post(bar.path, {"display_name": name, "channel_ids": channels}, expect=200)
        for name in "ab"
    ]

    async def act(number: int) -> int:
        channel, kind = channels[number % 3], number % 6
        calls: list[tuple[str, str, Any]] = [
            ("PUT", bar.path, [{**one, "channel_ids": channels}]),
            ("PUT", bar.path, [{**two, "channel_ids": [channel]}, {**one, "channel_ids": []}]),
            ("DELETE", f"/channels/{channel}/members/me", None),
            ("POST", f"/channels/{channel}/members", {"user_id": bar.me.id}),
            ("PUT", bar.path + "/" + bar.built_in("favorites"), {"channel_ids": [channel]}),
            ("PUT", "/users/me/preferences",
             [{"user_id": bar.me.id, "category": "favorite_channel", "name": channel, "value": "false"}]),
        ]  # fmt: skip
        method, path, body = calls[kind]
        answer = await bar.me.request(method, path, **({} if body is None else {"json": body}))
        return answer.status_code

    statuses = await asyncio.gather(*(act(number) for number in range(90)))
    assert set(statuses) <= {200, 201, 403, 404}, statuses
    found = await bar.load()
    marked = {row["name"] for row in await bar.me.get("/users/me/preferences") if row["value"] == "true"}
    mine = {one["id"] for one in await bar.me.get(f"/users/me/teams/{bar.team}/channels")}
    assert set(found[bar.built_in("favorites")]["channel_ids"]) == marked & mine


async def test_leaving_the_team_while_the_sidebar_changes(town: Town) -> None:
    bar = await Bar.of_newcomer(town)
    made = await bar.me.post(bar.path, {"display_name": "Own"}, expect=200)
    member = f"/teams/{bar.team}/members"

    async def act(number: int) -> int:
        calls: list[tuple[Client, str, str, Any]] = [
            (bar.me, "PUT", bar.path, [made, {"id": bar.built_in("favorites"), "collapsed": True}]),
            (town.teamadmin, "DELETE", f"{member}/{bar.me.id}", None),
            (town.teamadmin, "POST", member, {"user_id": bar.me.id}),
            (bar.me, "POST", bar.path, {"display_name": "More"}),
        ]
        caller, method, path, body = calls[number % 4]
        return (await caller.request(method, path, **({} if body is None else {"json": body}))).status_code

    statuses = await asyncio.gather(*(act(number) for number in range(60)))
    assert set(statuses) <= {200, 201, 403, 404}, statuses
    await town.teamadmin.post(member, {"user_id": bar.me.id}, expect=201)
    assert len(await bar.load()) >= 3
