"""Links to posts and names of channels: by REST and by events, each reader gets what he may know.

A private channel of owner and member ("hidden") holds the linked post; the links stand in a public one ("harbour"),
where teammate and a guest are members too. teammate may read public channels, the guest those that he is in.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.api import Api, Client, People, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.gateway.world import PATIENCE_S, World, world
from tests.integration.gateway.world import Client as Socket

pytestmark = pytest.mark.asyncio(loop_scope="module")

SITE = "https://chat.example.org"


@dataclass
class Place(People):
    """The small world with a guest and a gateway."""

    guest: Client
    gateway: World

    async def listen(self, *who: Client) -> list[Socket]:
        """Open a socket for each."""
        sockets = []
        for client in who:
            socket = await self.gateway.open(client.http.headers["Authorization"].removeprefix("Bearer "))
            await socket.event("hello")
            sockets.append(socket)
        return sockets

    async def say(self, who: Client, message: str, channel: str = "", **members: Any) -> dict[str, Any]:
        """Create a post, in the public channel by default."""
        body = {"channel_id": channel or self.channel["id"], "message": message, **members}
        made: dict[str, Any] = await who.post("/posts", body, expect=201)
        return made

    def link(self, post: dict[str, Any]) -> str:
        """Return the address of a post."""
        return f"{SITE}/{self.team['name']}/pl/{post['id']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_place(postgres: Postgres) -> AsyncIterator[Place]:
    """A server with an address of its own."""
    redis = Redis(durable=False)
    redis.start()
    try:
        async with cloned(postgres) as url, world(url, redis.url) as gateway:
            api = Api(new_settings(url, redis.url, site={"url": SITE}))
            await api.start()
            people = await settle(api)
            await people.admin.put("/config/patch", {"GuestAccountsSettings": {"Enable": True}})
            guest = await api.user("guest")
            await people.owner.add_to_team(people.team["id"], guest)
            for one in (guest, people.teammate):
                await people.owner.post(f"/channels/{people.channel['id']}/members", {"user_id": one.id}, expect=201)
            await people.admin.post(f"/users/{guest.id}/demote")
            await guest.log_in("guest")
            yield Place(**vars(people), guest=guest, gateway=gateway)
            await api.stop()
    finally:
        redis.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def place(shared_place: Place) -> AsyncIterator[Place]:
    """The module's server; sockets are the test's own."""
    yield shared_place
    shared_place.gateway.cut_clients()


def shown(post: dict[str, Any]) -> str:
    """Return the message of the post that a post shows, "" for none; what says so must agree."""
    embeds = [one for one in post["metadata"].get("embeds", []) if one["type"] == "permalink"]
    told = [post["props"]["previewed_post"]] if "previewed_post" in post["props"] else []
    assert [one["data"]["post_id"] for one in embeds] == told
    return str(embeds[0]["data"]["post"]["message"]) if embeds else ""


def named(post: dict[str, Any]) -> set[str]:
    """Return the channels whose names are links in a post."""
    assert post["props"].get("channel_mentions") != {}
    return set(post["props"].get("channel_mentions", {}))


async def event(socket: Socket, name: str) -> dict[str, Any]:
    """Return the post of the next event of this name."""
    post: dict[str, Any] = json.loads((await socket.event(name))["data"]["post"])
    return post


async def test_a_preview_says_where_the_post_stands(place: Place) -> None:
    secret = await place.say(place.owner, "the word", place.private["id"])
    await place.member.post("/reactions", {"user_id": place.member.id, "post_id": secret["id"], "emoji_name": "wave"})
    made = await place.say(place.member, f"see {place.link(secret)}.")
    embed = made["metadata"]["embeds"][0]
    assert made["props"] == {"previewed_post": secret["id"]}
    assert (embed["type"], embed["url"]) == ("permalink", place.link(secret))
    data = embed["data"]
    assert data == {
        "post_id": secret["id"],
        "post": await place.member.get(f"/posts/{secret['id']}"),
        "team_name": place.team["name"],
        "channel_display_name": place.private["display_name"],
        "channel_type": "P",
        "channel_id": place.private["id"],
    }
    assert data["post"]["metadata"]["reactions"]


async def test_every_read_shows_it_to_who_can_read_it_only(place: Place) -> None:
    secret = await place.say(place.owner, "secret of all reads", place.private["id"])
    before = await place.say(place.member, "before")
    post = await place.say(place.member, f"uniqueword {place.link(secret)} ~hidden ~harbour")
    after = await place.say(place.member, "after")
    post_id, channel = post["id"], place.channel["id"]
    await place.member.post(f"/posts/{post_id}/pin")
    await place.say(place.member, "a reply", root_id=post_id)
    found: dict[str, Any] = {}
    for who in (place.owner, place.member, place.teammate, place.guest, place.admin):
        listed = f"/channels/{channel}/posts"
        reads: dict[str, Any] = {
            "post": await who.get(f"/posts/{post_id}"),
            "ids": (await who.post("/posts/ids", [post_id]))[0],
        }
        for name, path in {
            "page": listed,
            "collapsed": f"{listed}?collapsedThreads=true&collapsedThreadsExtended=true",
            "since": f"{listed}?since={before['create_at']}",
            "before": f"{listed}?before={after['id']}",
            "after": f"{listed}?after={before['id']}",
            "thread": f"/posts/{post_id}/thread",
            "pinned": f"/channels/{channel}/pinned",
        }.items():
            reads[name] = (await who.get(path))["posts"][post_id]
        if who is not place.admin:  # he is no member
            row = {"user_id": who.id, "category": "flagged_post", "name": post_id, "value": "true"}
            await who.put("/users/me/preferences", [row])
            reads["flagged"] = (await who.get("/users/me/posts/flagged"))["posts"][post_id]
            await who.post(f"/users/me/posts/{post_id}/set_unread", {})
            reads["unread"] = (await who.get(f"/users/me/channels/{channel}/posts/unread"))["posts"][post_id]
            async with asyncio.timeout(PATIENCE_S):
                search = f"/teams/{place.team['id']}/posts/search"
                while post_id not in (found := await who.post(search, {"terms": "uniqueword"}))["posts"]:
                    await asyncio.sleep(0.1)
            reads["search"] = found["posts"][post_id]
            thread = f"/users/me/teams/{place.team['id']}/threads/{post_id}"
            await who.put(f"{thread}/following")
            reads["followed"] = (await who.get(thread))["post"]
            threads = await who.get(f"/users/me/teams/{place.team['id']}/threads")
            reads["threads"] = next(one["post"] for one in threads["threads"] if one["id"] == post_id)
        may = who in (place.owner, place.member, place.admin)
        for name, read in reads.items():
            assert shown(read) == ("secret of all reads" if may else ""), (name, who.me["username"])
            assert named(read) == ({"hidden", "harbour"} if may else {"harbour"}), (name, who.me["username"])
            assert may or "secret" not in json.dumps(read)
    assert (await place.stranger.request("GET", f"/posts/{post_id}")).status_code == 404


async def test_what_is_named(place: Place) -> None:
    gone = await place.owner.new_channel(place.team["id"], "gone")
    await place.owner.delete(f"/channels/{gone['id']}")
    hall = await place.owner.new_channel(place.team["id"], "hall")
    secret = await place.owner.new_channel(place.team["id"], "cellar", "P")
    made = await place.say(place.owner, "~hall ~cellar ~gone ~nowhere ~Harbour `~town-square`")
    told = {"display_name": "Hall", "team_name": place.team["name"]}
    assert made["props"]["channel_mentions"]["hall"] == told
    assert named(made) == {"hall", "cellar", "harbour"}
    assert named(await place.say(place.teammate, "~hall ~cellar")) == {"hall"}  # the author's to know
    assert named(await place.say(place.guest, "~hall ~harbour")) == {"harbour"}
    # What is told is what is so now.
    await place.owner.put(f"/channels/{hall['id']}/patch", {"display_name": "Great Hall"})
    await place.owner.put(f"/channels/{hall['id']}/privacy", {"privacy": "P"})
    again = await place.owner.get(f"/posts/{made['id']}")
    assert again["props"]["channel_mentions"]["hall"]["display_name"] == "Great Hall"
    assert named(await place.teammate.get(f"/posts/{made['id']}")) == {"harbour"}
    await place.owner.delete(f"/channels/{secret['id']}")
    assert named(await place.owner.get(f"/posts/{made['id']}")) == {"hall", "cellar", "harbour"}
    # An imported post has another server's ids, or none: the names count, for who can read what has them.
    for one in ({}, {"id": "x" * 26}, {"id": ["no"]}):
        false = {"display_name": "old", "team_name": place.team["name"], **one}
        props = {"channel_mentions": {"cellar": false, "harbour": false, "nowhere": false, "odd": "text"}, "more": 1}
        await place.gateway.db.execute("UPDATE posts SET props = $2 WHERE id = $1", made["id"], props)
        known = {"harbour", "cellar"} if one.get("id") != ["no"] else set()
        read = await place.owner.get(f"/posts/{made['id']}")
        assert (named(read), read["props"]["more"]) == (known, 1)
        assert named(await place.teammate.get(f"/posts/{made['id']}")) == known - {"cellar"}
    private = [await place.owner.new_channel(place.team["id"], f"private-{i}", "P") for i in range(6)]
    every = " ".join("~" + one["name"] for one in private)
    assert named(await place.say(place.owner, every)) == {one["name"] for one in private[:5]}
    for one in private[3:]:
        await place.owner.post(f"/channels/{one['id']}/members", {"user_id": place.teammate.id}, expect=201)
    # Others' channels do not count, so he does not learn which names are taken.
    assert named(await place.say(place.teammate, every)) == {one["name"] for one in private[3:]}
    direct = await place.owner.post("/channels/direct", [place.owner.id, place.member.id])
    assert named(await place.say(place.owner, "~harbour", direct["id"])) == set()


async def test_edits_name_anew_and_clients_decide_nothing(place: Place) -> None:
    """Security case C5: what a post says of others is the server's word."""
    secret = await place.say(place.owner, "made up", place.private["id"])
    false = {
        "props": {
            "previewed_post": secret["id"],
            "channel_mentions": {"hidden": {"id": place.private["id"], "display_name": "x", "team_name": "x"}},
            "own": "kept",
        },
        "metadata": {"embeds": [{"type": "permalink", "data": {"post_id": secret["id"]}}]},
    }
    made = await place.say(place.owner, "nothing", **false)
    assert (made["props"], made["metadata"]) == ({"own": "kept"}, {})
    path = f"/posts/{made['id']}"
    patched = await place.owner.put(f"{path}/patch", {"message": f"~harbour {place.link(secret)}", **false})
    assert (shown(patched), named(patched), patched["props"]["own"]) == ("made up", {"harbour"}, "kept")
    assert patched == await place.owner.get(path)
    whole = await place.owner.put(path, {"id": made["id"], **false})
    assert (shown(whole), named(whole)) == ("made up", {"harbour"})
    assert shown(await place.owner.put(f"{path}/patch", {"is_pinned": True})) == "made up"
    bare = await place.owner.put(f"{path}/patch", {"message": "nothing again"})
    assert (bare["props"], bare["metadata"]) == ({"own": "kept"}, {})
    assert all(old["props"] == {"own": "kept"} for old in await place.owner.get(f"{path}/edit_history"))


async def test_what_is_shown_is_what_is_there_now(place: Place) -> None:
    first = await place.say(place.owner, "first words", place.private["id"])
    post = await place.say(place.member, place.link(first))
    again = await place.say(place.member, f"again {place.link(post)}")
    inner = again["metadata"]["embeds"][0]["data"]["post"]
    assert (inner["props"], inner["metadata"]) == ({}, {})  # a shown post shows none
    await place.member.post(f"/posts/{post['id']}/pin")
    channel = f"/channels/{place.channel['id']}"
    paths = (f"/posts/{post['id']}", f"/posts/{post['id']}/thread", f"{channel}/posts", f"{channel}/pinned")
    tags = {path: (await place.member.request("GET", path)).headers["ETag"] for path in paths}
    for path, tag in tags.items():
        same = await place.member.request("GET", path, headers={"If-None-Match": tag})
        assert (same.status_code, same.headers["ETag"]) == (304, tag), path
    await place.owner.put(f"/posts/{first['id']}/patch", {"message": "second words"})
    for path, tag in tags.items():  # nothing happened to the post nor in its channel
        other = await place.member.request("GET", path, headers={"If-None-Match": tag})
        assert other.status_code == 200 and "second words" in other.text and other.headers["ETag"] != tag, path
    assert shown(await place.member.get(f"/posts/{post['id']}")) == "second words"
    await place.admin.put("/config/patch", {"ServiceSettings": {"EnablePermalinkPreviews": False}})
    assert (await place.member.get("/config/client"))["EnablePermalinkPreviews"] == "false"
    assert shown(await place.member.get(f"/posts/{post['id']}")) == ""
    silent = await place.say(place.member, place.link(first))
    await place.admin.put("/config/patch", {"ServiceSettings": {"EnablePermalinkPreviews": True}})
    assert (shown(silent), shown(await place.member.get(f"/posts/{silent['id']}"))) == ("", "second words")
    await place.owner.delete(f"/posts/{first['id']}")
    assert shown(await place.member.get(f"/posts/{post['id']}")) == ""
    assert shown(await place.say(place.member, place.link(first))) == ""


async def test_what_is_not_shown(place: Place) -> None:
    secret = await place.say(place.owner, "text", place.private["id"])
    with_attachments = {"props": {"attachments": [{"text": "~harbour"}]}}
    made = await place.say(place.owner, place.link(secret), **with_attachments)
    assert (shown(made), named(made)) == ("", {"harbour"})
    large = await place.say(place.owner, "large", place.private["id"], props={"x": "y" * 70_000})
    for message in (
        f"https://elsewhere.example {place.link(secret)}",
        f"[here]({place.link(secret)})",
        f"`{place.link(secret)}`",
        place.link({"id": "a" * 26}),
        place.link(large),
    ):
        made = await place.say(place.owner, message)
        assert (made["props"], shown(made)) == ({}, ""), message
    direct = await place.owner.post("/channels/direct", [place.owner.id, place.member.id])
    psst = await place.say(place.owner, "psst", direct["id"])
    post = await place.say(place.owner, f"{SITE}/_redirect/pl/{psst['id']}")
    assert post["metadata"]["embeds"][0]["data"]["team_name"] == ""
    assert shown(await place.member.get(f"/posts/{post['id']}")) == "psst"
    assert shown(await place.teammate.get(f"/posts/{post['id']}")) == ""
    blind = await place.say(place.teammate, place.link(secret))  # he shows others what he may not see
    assert shown(blind) == ""
    # Nor does he learn that it is there.
    nothing = await place.say(place.teammate, place.link({"id": "b" * 26}))
    assert (blind["props"], blind["metadata"]) == (nothing["props"], nothing["metadata"]) == ({}, {})
    for post in (blind, nothing):
        tag = (await place.teammate.request("GET", f"/posts/{post['id']}")).headers["ETag"]
        assert re.fullmatch(r"[0-9a-f]{32}", tag.rpartition(".")[2]), "of the bytes, for both"
    assert shown(await place.member.get(f"/posts/{blind['id']}")) == "text"


async def test_events_give_each_what_he_may_know(place: Place) -> None:
    secret = await place.say(place.owner, "told live", place.private["id"])
    who = [place.owner, place.teammate, place.guest]
    sockets = await place.listen(*who)
    made = await place.say(place.member, f"~hidden ~harbour ~town-square @all {place.link(secret)}")
    told = [await event(socket, "posted") for socket in sockets]
    assert [shown(post) for post in told] == ["told live", "", ""]
    everywhere = {"harbour", "hidden", "town-square"}
    assert [named(post) for post in told] == [everywhere, everywhere - {"hidden"}, everywhere - {"hidden"}]
    await place.member.put(f"/posts/{made['id']}/patch", {"message": f"edited {place.link(secret)} ~hidden"})
    edited = [await event(socket, "post_edited") for socket in sockets]
    assert [shown(post) for post in edited] == ["told live", "", ""]
    assert [named(post) for post in edited] == [{"hidden"}, set(), set()]
    for client, post in zip(who, edited, strict=True):  # events lead where a fresh load leads
        assert post == await client.get(f"/posts/{made['id']}")
    await place.say(place.member, "a reply", root_id=made["id"])  # the root named them all: they follow the thread
    for client, socket in zip(who, sockets, strict=True):
        thread = json.loads((await socket.event("thread_updated"))["data"]["thread"])
        fresh = await client.get(f"/users/me/teams/{place.team['id']}/threads/{made['id']}")
        assert thread["post"] == fresh["post"]
        told_now = ("told live", {"hidden"}) if client is place.owner else ("", set())
        assert (shown(thread["post"]), named(thread["post"])) == told_now
    mentioned = [next(one for one in socket.events if one["event"] == "posted") for socket in sockets]
    for client, one in zip(who, mentioned, strict=True):
        assert json.loads(one["data"]["mentions"]) == [client.id]
        assert client is place.owner or "told live" not in json.dumps(one)


async def test_a_public_channel_is_read_by_its_team_and_by_guests_in_it(place: Place) -> None:
    hall = await place.owner.new_channel(place.team["id"], "open-hall")
    words = await place.say(place.owner, "in the hall", hall["id"])
    who = [place.teammate, place.guest]
    sockets = await place.listen(*who)
    for guest_reads in (False, True):
        if guest_reads:
            await place.owner.post(f"/channels/{hall['id']}/members", {"user_id": place.guest.id}, expect=201)
        made = await place.say(place.owner, f"~open-hall {place.link(words)}")
        for client, socket, reads in zip(who, sockets, (True, guest_reads), strict=True):
            told = await event(socket, "posted")
            while told["id"] != made["id"]:
                told = await event(socket, "posted")
            assert shown(told) == ("in the hall" if reads else "")
            assert named(told) == ({"open-hall"} if reads else set())
            fresh = await client.get(f"/posts/{made['id']}")
            assert (shown(fresh), named(fresh)) == (shown(told), named(told))


async def test_one_who_left_learns_nothing_more(place: Place) -> None:
    """Security case C3: not by a link to what he once could read, not even if he left a moment ago."""
    words = await place.say(place.owner, "after he left", place.private["id"])
    channel = f"/channels/{place.private['id']}/members"
    (socket,) = await place.listen(place.teammate)
    for _ in range(5):
        await place.owner.post(channel, {"user_id": place.teammate.id}, expect=201)
        inside = await place.say(place.member, f"inside {place.link(words)} ~hidden")
        await place.owner.delete(f"{channel}/{place.teammate.id}")
        outside = await place.say(place.member, f"outside {place.link(words)} ~hidden")
        told = {}
        while outside["id"] not in told:
            post = await event(socket, "posted")
            told[post["id"]] = post
        assert (shown(told[inside["id"]]), named(told[inside["id"]])) == ("after he left", {"hidden"})
        assert (shown(told[outside["id"]]), named(told[outside["id"]])) == ("", set())
        for post in (inside, outside):
            fresh = await place.teammate.get(f"/posts/{post['id']}")
            assert (shown(fresh), named(fresh)) == ("", set())


async def test_what_is_gone_is_shown_by_no_read_and_no_event(place: Place) -> None:
    """The linked post is deleted, with its thread or alone; the reader leaves its channel or team: C3.

    A client that shows it is told nothing of it (Mattermost API v4 has no such event): its next read or event is right.
    """
    owner, reader = place.owner, place.teammate
    team = await owner.new_team("terns")
    harbour = await owner.new_channel(team["id"], "quay")
    await owner.add_to_team(team["id"], reader)
    for room in (harbour, place.private):
        await owner.post(f"/channels/{room['id']}/members", {"user_id": reader.id}, expect=201)
    root = await place.say(owner, "root", place.private["id"])
    answer = await place.say(owner, "gone words", place.private["id"], root_id=root["id"])
    alone = await place.say(owner, "gone words", place.private["id"])
    left = await place.say(owner, "gone words", place.private["id"])
    in_team = await place.say(owner, "gone words", harbour["id"])
    causes = [
        (alone, f"/posts/{alone['id']}"),
        (answer, f"/posts/{root['id']}"),
        (left, f"/channels/{place.private['id']}/members/{reader.id}"),
        (in_team, f"/teams/{team['id']}/members/{reader.id}"),
    ]
    (socket,) = await place.listen(reader)
    posts = [await place.say(owner, place.link(linked)) for linked, _ in causes]
    for post in posts:
        await reader.put(f"/users/me/teams/{place.team['id']}/threads/{post['id']}/following")
        await owner.post(f"/posts/{post['id']}/pin")
        assert shown(await event(socket, "post_edited")) == "gone words"
    channel = f"/channels/{place.channel['id']}"
    lists = (f"{channel}/posts", f"{channel}/pinned")
    for post, (_, cause) in zip(posts, causes, strict=True):
        paths = (f"/posts/{post['id']}", f"/posts/{post['id']}/thread", *lists)
        tags = {path: (await reader.request("GET", path)).headers["ETag"] for path in paths}
        assert shown(await reader.get(paths[0])) == "gone words"
        await owner.delete(cause)
        for path, tag in tags.items():
            read = await reader.request("GET", path, headers={"If-None-Match": tag})
            found = read.json()
            assert read.status_code == 200, (cause, path)
            assert shown(found if path == paths[0] else found["posts"][post["id"]]) == "", (cause, path)
        await owner.post(f"/posts/{post['id']}/unpin")
        assert shown(await event(socket, "post_edited")) == "", cause
        await place.say(owner, "a reply", root_id=post["id"])
        thread = json.loads((await socket.event("thread_updated"))["data"]["thread"])
        assert (thread["id"], shown(thread["post"])) == (post["id"], ""), cause


async def test_a_resumed_connection_gets_the_variants_that_it_missed(place: Place) -> None:
    secret = await place.say(place.owner, "while away", place.private["id"])
    who = [place.owner, place.teammate]
    for client, words in zip(who, ("while away", ""), strict=True):
        (socket,) = await place.listen(client)
        socket.socket.transport.abort()
        made = await place.say(place.member, f"{place.link(secret)} ~hidden")
        token = client.http.headers["Authorization"].removeprefix("Bearer ")
        again = await place.gateway.resume(socket, token)
        told = await event(again, "posted")
        assert (told["id"], shown(told), named(told)) == (made["id"], words, {"hidden"} if words else set())
