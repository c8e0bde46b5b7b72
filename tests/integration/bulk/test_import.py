"""What comes of lines: people log in, posts are listed, found and read, files are there, rooms open."""

import hashlib
import io
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import pytest_asyncio
from PIL import Image

from tests.fixtures.api import Api, Client, new_settings
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.bulk import town
from tests.integration.bulk.town import AT, Place, channel, line, post, reasons, reply, team, user, write
from tidewire.bulk.importing import Stopped
from tidewire.bulk.report import Report

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "the old passphrase"


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (200, 100), "teal").save(out, "PNG")
    return out.getvalue()


def pbkdf2(password: str) -> str:
    salt = b"sixteen bytes of"
    made = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 2000, 32)
    parts = [b64encode(one).decode().rstrip("=") for one in (salt, made)]
    return f"$pbkdf2$f=SHA256,w=2000,l=32${parts[0]}${parts[1]}"


FILES = {
    "20231114/notes.txt": b"the quick brown walrus",
    "20231114/view.png": picture(),
    "emoji/party.png": picture(),
    "faces/ann.png": picture(),
}
BCRYPT = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def lines() -> list[town.Object]:
    """Return a town with something of everything."""
    return [
        line("role", name="custom_role", display_name="x", permissions=["a"]),
        line("scheme", name="s", display_name="S", scope="team"),
        line("emoji", name="party", image="emoji/party.png"),
        team("harbour", description="Boats.", allow_open_invite=True),
        channel("harbour", "piers", header="wet", purpose="to moor"),
        channel("harbour", "vault", type="P"),
        channel("harbour", "past", deleted_at=AT + 5),
        user("root", "harbour/piers", roles="system_admin system_user", password=PASSWORD),
        user(
            "ann", "harbour/piers", "harbour/vault", password_hash=BCRYPT, nickname="Annie",
            profile_image="faces/ann.png", theme='{"type":"Onyx"}', tutorial_step="7", military_time="true",
            email_interval="fifteen",
            notify_props={"mobile": "none", "mention_keys": "ann,annie"},
        ),
        user("bob", "harbour/piers", "harbour/past", password_hash=pbkdf2(PASSWORD)),
        user("cat", "harbour", roles="system_guest", teams=[
            {"name": "harbour", "roles": "team_guest", "channels": [{"name": "piers", "roles": "channel_guest"}]},
        ]),
        user("dan", "harbour/piers", delete_at=AT + 9, password=PASSWORD),
        line("bot", username="robo", owner="root", display_name="Robo", description="Beeps."),
        post("harbour/piers", "ann", "first #boat", 0, reactions=[
            {"user": "bob", "emoji_name": "party", "create_at": AT + 3},
            {"user": "ann", "emoji_name": "+1", "create_at": AT + 2},
        ]),
        post(
            "harbour/piers", "bob", "a narwhal thread", 10, is_pinned=True, edit_at=AT + 12, flagged_by=["ann"],
            replies=[
                reply("ann", "reply one", 20, reactions=[{"user": "bob", "emoji_name": "tada", "create_at": AT + 30}]),
                reply("cat", "reply two", 15, flagged_by=["bob"]),
                reply("ann", "reply three", 25),
            ],
        ),
        post("harbour/piers", "ann", "same moment, first", 40),
        post("harbour/piers", "bob", "same moment, second", 40),
        post("harbour/piers", "ann", "with files", 50, attachments=[
            {"path": "20231114/notes.txt"}, {"path": "20231114/view.png"},
        ]),
        post("harbour/piers", "robo", "beep", 60, props={"from_bot": "true", "attachments": [
            {"text": "t", "actions": [{"id": "go", "name": "Go", "integration": {"url": "http://x/secret"}}]},
        ]}),
        post("harbour/past", "bob", "long ago", 3),
        line("direct_channel", members=["ann", "bob"], shown_by=["ann"], favorited_by=["bob"], header="us"),
        line("direct_channel", participants=[{"username": "ann"}, {"username": "bob"}, {"username": "root"}]),
        line("direct_post", channel_members=["bob", "ann"], user="ann", message="psst", create_at=AT + 70,
             replies=[reply("bob", "what", 71)]),
        line("direct_post", channel_members=["ann", "bob", "root"], user="root", message="all", create_at=AT + 80),
        line("direct_post", channel_members=["ann"], user="ann", message="note to self", create_at=AT + 90),
    ]  # fmt: skip


@dataclass
class Harbour:
    """The imported town behind an API."""

    api: Api
    place: Place
    report: Report
    path: Path
    ann: Client
    bob: Client

    async def channel(self, name: str) -> str:
        [row] = await self.place.rows("SELECT id FROM channels WHERE name = $1", name)
        found: str = row["id"]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harbour(
    postgres: Postgres, redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Harbour]:
    redis.flush()
    async with cloned(postgres) as url:
        settings = new_settings(url, redis.url)
        api = Api(settings)
        await api.start()
        path = write(tmp_path_factory.mktemp("bulk") / "town.zip", *lines(), files=FILES)
        report = await town.run(settings, path)
        ann = await api.anonymous().log_in("ann", PASSWORD)
        bob = await api.anonymous().log_in("bob@example.org", PASSWORD)
        yield Harbour(api, Place(settings), report, path, ann, bob)
        await api.stop()


async def test_everything_is_counted_and_what_is_not_is_named(harbour: Harbour) -> None:
    report = harbour.report
    assert report.made == {
        "emoji": 1, "team": 1, "channel": 3, "user": 5, "bot": 1, "post": 7, "reply": 4, "reaction": 3, "attachment": 2,
        "direct_channel": 3, "direct_post": 3,
    }  # fmt: skip
    assert not report.changed
    assert not report.same
    assert reasons(report) == {
        ("role", "what roles permit here is not changed by an import"),
        ("scheme", "there are no permission schemes here"),
    }
    assert report.lines == len(lines()) + 1


async def test_old_passwords_hold_and_are_hashed_anew(harbour: Harbour) -> None:
    await harbour.api.anonymous().log_in("root", PASSWORD)
    own = "SELECT username FROM users WHERE password_hash LIKE '$argon2id$%' ORDER BY username"
    kinds = await harbour.place.rows(own)
    assert [row["username"] for row in kinds] == ["ann", "bob", "dan", "root"]
    await harbour.api.anonymous().log_in("ann", PASSWORD)
    for name, password in (("ann", "x"), ("dan", PASSWORD), ("cat", ""), ("robo", "x")):
        answer = await harbour.api.anonymous().request(
            "POST", "/users/login", json={"login_id": name, "password": password}
        )
        assert answer.status_code in (400, 401), name


async def test_people_are_who_they_were(harbour: Harbour) -> None:
    me = await harbour.ann.get("/users/me")
    notify = me["notify_props"]
    assert (me["nickname"], notify["push"], notify["mention_keys"]) == ("Annie", "none", "ann,annie")
    assert me["email_verified"]
    rows = await harbour.ann.get("/users/me/preferences")
    preferences = {(one["category"], one["name"]): one["value"] for one in rows}
    assert preferences["theme", ""] == '{"type":"Onyx"}'
    assert preferences["tutorial_step", harbour.ann.id] == "7"
    assert preferences["display_settings", "use_military_time"] == "true"
    assert preferences["notifications", "email_interval"] == "900"
    assert preferences["direct_channel_show", harbour.bob.id] == "true"
    image = await harbour.ann.request("GET", f"/users/{harbour.ann.id}/image")
    assert Image.open(io.BytesIO(image.content)).size == (128, 128)
    [dan] = await harbour.ann.post("/users/usernames", ["dan"])
    assert dan["delete_at"] == AT + 9
    root = await harbour.api.anonymous().log_in("root", PASSWORD)
    [bot] = await root.get("/bots")
    assert (bot["username"], bot["display_name"], bot["owner_id"]) == ("robo", "Robo", root.id)


async def test_posts_are_listed_in_order_with_their_times(harbour: Harbour) -> None:
    found = await harbour.ann.get(f"/channels/{await harbour.channel('piers')}/posts")
    posts = [found["posts"][post_id] for post_id in reversed(found["order"])]
    assert [(one["message"], one["create_at"] - AT) for one in posts] == [
        ("first #boat", 0), ("a narwhal thread", 10), ("reply two", 15), ("reply one", 20), ("reply three", 25),
        ("same moment, first", 40), ("same moment, second", 40), ("with files", 50), ("beep", 60),
    ]  # fmt: skip
    first, thread, *_, files, beep = posts
    assert first["hashtags"] == "#boat"
    reactions = {(one["emoji_name"], one["create_at"] - AT) for one in first["metadata"]["reactions"]}
    assert reactions == {("party", 3), ("+1", 2)}
    assert (thread["is_pinned"], thread["edit_at"], thread["reply_count"]) == (True, AT + 12, 3)
    assert [one["name"] for one in files["metadata"]["files"]] == ["notes.txt", "view.png"]
    assert "integration" not in str(beep["props"])
    assert beep["props"]["attachments"][0]["actions"][0]["id"] == "go"


async def test_threads_and_saved_posts(harbour: Harbour) -> None:
    found = await harbour.ann.get(f"/channels/{await harbour.channel('piers')}/posts")
    thread = next(one for one in found["posts"].values() if one["message"] == "a narwhal thread")
    replies = await harbour.ann.get(f"/posts/{thread['id']}/thread")
    assert [replies["posts"][one]["message"] for one in replies["order"]][:1] == ["a narwhal thread"]
    assert len(replies["order"]) == 4
    saved = await harbour.ann.get("/users/me/posts/flagged")
    assert saved["order"] == [thread["id"]]
    [row] = await harbour.place.rows("SELECT participants, last_reply_at FROM threads WHERE root_id = $1", thread["id"])
    [cat] = await harbour.ann.post("/users/usernames", ["cat"])
    assert row["participants"] == [cat["id"], harbour.ann.id]  # in the order of their first replies
    assert row["last_reply_at"] == AT + 25
    [harbour_team] = await harbour.ann.get("/users/me/teams")
    mine = await harbour.bob.get(f"/users/me/teams/{harbour_team['id']}/threads")
    assert [(one["reply_count"], one["unread_replies"]) for one in mine["threads"]] == [(1, 0), (3, 0)]


async def test_files_are_there(harbour: Harbour) -> None:
    found = await harbour.ann.get(f"/channels/{await harbour.channel('piers')}/posts")
    files = next(one for one in found["posts"].values() if one["message"] == "with files")["metadata"]["files"]
    for info, content in zip(files, (FILES["20231114/notes.txt"], FILES["20231114/view.png"]), strict=True):
        answer = await harbour.bob.request("GET", f"/files/{info['id']}")
        assert answer.content == content
        assert info["create_at"] == AT + 50
    assert (files[1]["width"], files[1]["has_preview_image"]) == (200, True)
    thumbnail = await harbour.bob.request("GET", f"/files/{files[1]['id']}/thumbnail")
    assert thumbnail.status_code == 200
    assert not await harbour.place.rows("SELECT key FROM doomed_objects")


async def test_emojis_are_there(harbour: Harbour) -> None:
    emoji = await harbour.ann.get("/emoji/name/party")
    image = await harbour.ann.request("GET", f"/emoji/{emoji['id']}/image")
    assert Image.open(io.BytesIO(image.content)).size == (128, 64)


async def test_nothing_is_unread(harbour: Harbour) -> None:
    [harbour_team] = await harbour.ann.get("/users/me/teams")
    for caller in (harbour.ann, harbour.bob):
        unread = await caller.get(f"/users/me/teams/{harbour_team['id']}/unread")
        assert (unread["msg_count"], unread["mention_count"]) == (0, 0)
        for member in await caller.get("/users/me/channel_members"):
            place = await caller.get(f"/channels/{member['channel_id']}")
            assert member["msg_count"] == place["total_msg_count"], place["name"]
            assert member["mention_count"] == 0
    piers = await harbour.ann.get(f"/channels/{await harbour.channel('piers')}")
    assert (piers["total_msg_count"], piers["total_msg_count_root"]) == (9, 6)
    assert (piers["last_post_at"], piers["last_root_post_at"]) == (AT + 60, AT + 60)


async def test_direct_channels_open_where_they_were(harbour: Harbour) -> None:
    direct = await harbour.ann.post("/channels/direct", [harbour.ann.id, harbour.bob.id])
    assert direct["header"] == "us"
    found = await harbour.bob.get(f"/channels/{direct['id']}/posts")
    assert [found["posts"][one]["message"] for one in found["order"]] == ["what", "psst"]
    root = await harbour.api.anonymous().log_in("root", PASSWORD)
    group = await harbour.ann.post("/channels/group", [harbour.ann.id, harbour.bob.id, root.id])
    found = await root.get(f"/channels/{group['id']}/posts")
    assert [one["message"] for one in found["posts"].values()] == ["all"]
    alone = await harbour.ann.post("/channels/direct", [harbour.ann.id, harbour.ann.id])
    assert alone["total_msg_count"] == 1


async def test_search_finds_it_at_once(harbour: Harbour) -> None:
    [harbour_team] = await harbour.bob.get("/users/me/teams")
    path = f"/teams/{harbour_team['id']}/posts/search"
    for terms, message in (("narwhal", "a narwhal thread"), ("#boat", "first #boat"), ("psst", "psst")):
        found = await harbour.bob.post(path, {"terms": terms, "is_or_search": False}, expect=200)
        assert [one["message"] for one in found["posts"].values()] == [message]
    found = await harbour.bob.post(
        f"/teams/{harbour_team['id']}/files/search", {"terms": "notes", "is_or_search": False}, expect=200
    )
    assert [one["name"] for one in found["file_infos"].values()] == ["notes.txt"]


async def test_life_goes_on(harbour: Harbour) -> None:
    """What the API does with such rows: a reply, a reaction, an edit, a deletion, and what others see of it."""
    settings = new_settings(harbour.place.settings.database.url, harbour.place.settings.redis.url)
    extra = write(
        harbour.path.with_name("more.jsonl"), channel("harbour", "later"), user("ann", "harbour/later"),
        user("bob", "harbour/later"), post("harbour/later", "ann", "old", 0, replies=[reply("bob", "older", 1)]),
    )  # fmt: skip
    await town.run(settings, extra)
    later = await harbour.channel("later")
    found = await harbour.ann.get(f"/channels/{later}/posts")
    root = next(one for one in found["posts"].values() if not one["root_id"])
    body: Any = {"channel_id": later, "message": "new", "root_id": root["id"]}
    new = await harbour.bob.post("/posts", body, expect=201)
    liked = {"user_id": harbour.ann.id, "post_id": root["id"], "emoji_name": "tada"}
    await harbour.ann.post("/reactions", liked)
    await harbour.ann.put(f"/posts/{root['id']}/patch", {"message": "old but edited"})
    member = await harbour.ann.get(f"/channels/{later}/members/me")
    place = await harbour.ann.get(f"/channels/{later}")
    assert (place["total_msg_count"] - member["msg_count"], place["total_msg_count"]) == (1, 3)
    assert (await harbour.ann.get(f"/posts/{root['id']}"))["reply_count"] == 2
    await harbour.bob.delete(f"/posts/{new['id']}")
    # The same file again says of the edited post what it was: nothing changes, and nothing is there twice.
    same = write(harbour.path.with_name("again.jsonl"), "", *extra.read_text().splitlines()[1:])
    again = await town.run(settings, same)
    assert again.same == {"channel": 1, "user": 2, "post": 1, "reply": 1}
    assert not again.made
    assert (await harbour.ann.get(f"/posts/{root['id']}"))["message"] == "old but edited"


async def test_a_file_that_is_done_changes_nothing(harbour: Harbour) -> None:
    before = await harbour.place.everything()
    again = await town.run(harbour.place.settings, harbour.path)
    assert again.made == harbour.report.made
    after = await harbour.place.everything()
    # The API indexes what other tests posted; the test below has no API, and compares the index too.
    del before["search"], after["search"]
    assert after == before


async def test_another_file_of_the_same_brings_it_up_to_date(
    postgres: Postgres, redis: Redis, tmp_path: Path
) -> None:
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        await town.run(place.settings, write(tmp_path / "one.zip", *lines(), files=FILES))
        before = await place.everything()
        newer = lines()
        first = next(one["post"] for one in newer if one.get("post", {}).get("message") == "first #boat")
        first |= {"message": "first, but edited", "edit_at": AT + 500}
        thread = next(one["post"] for one in newer if one.get("post", {}).get("message") == "a narwhal thread")
        thread["replies"].append(reply("root", "late reply", 400))
        ann = next(one["user"] for one in newer if one.get("user", {}).get("username") == "ann")
        ann |= {"nickname": "Anna", "password": "another one", "email": "anna@example.org"}
        report = await town.run(place.settings, write(tmp_path / "two.zip", *newer, files=FILES))
        assert report.made == {"reply": 1}
        assert report.changed == {"user": 1, "post": 1}
        assert ("user", "the account keeps the password that it has here") in reasons(report)
        after = await place.everything()
        assert {name for name in after if after[name] != before[name]} == {
            "users", "channels", "posts", "members", "threads", "followers", "search", "reactions",
        }  # fmt: skip
        assert len(after["posts"]) == len(before["posts"]) + 1
        third = await town.run(place.settings, write(tmp_path / "three.zip", "", *newer, files=FILES))
        assert not third.made
        assert not third.changed
        assert await place.everything() == after


async def test_posts_of_one_moment_are_as_many_as_there_are(
    postgres: Postgres, redis: Redis, tmp_path: Path
) -> None:
    """Programs post several times in a millisecond, and the same text too; a second file means the same posts."""
    places = [team("town"), channel("town", "square"), user("ann", "town/square")]
    again = {"replies": [reply("ann", "r", 1), reply("ann", "r", 1), reply("ann", "s", 1, edit_at=AT + 5)]}
    posts = [
        post("town/square", "ann", "one", 0),
        post("town/square", "ann", "two", 0, edit_at=AT + 9),
        post("town/square", "ann", "two", 0, **again),
    ]
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        report = await town.run(place.settings, write(tmp_path / "x.jsonl", *places, *posts))
        assert (report.made["post"], report.made["reply"]) == (3, 3)
        before = await place.everything()
        rows = await place.rows("SELECT message FROM posts WHERE root_id = '' ORDER BY create_at, id")
        assert [row["message"] for row in rows] == ["one", "two", "two"]
        report = await town.run(place.settings, write(tmp_path / "y.jsonl", "", *places, *posts))
        assert not report.made
        assert not report.changed
        assert await place.everything() == before
        posts[0]["post"] |= {"message": "one, edited", "edit_at": AT + 20}
        report = await town.run(place.settings, write(tmp_path / "z.jsonl", "", *places, *posts))
        assert (report.made, report.changed) == ({}, {"post": 1})
        rows = await place.rows("SELECT message FROM posts WHERE root_id = '' ORDER BY create_at, id")
        assert [row["message"] for row in rows] == ["one, edited", "two", "two"]


async def test_read_states_are_those_of_the_file(postgres: Postgres, redis: Redis, tmp_path: Path) -> None:
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        seen = {"name": "square", "roles": "channel_user", "last_viewed_at": AT + 10, "msg_count": 77}
        seen |= {"mention_count": 2, "mention_count_root": 1}
        ann = user("ann", teams=[{"name": "town", "roles": "team_user team_admin", "channels": [seen]}])
        posts = [post("town/square", "bob", f"p{n}", n * 5, replies=[reply("bob", "r", n * 5 + 1)]) for n in range(5)]
        joined = post("town/square", "bob", "joined", 90, type="system_join_channel")
        people = [ann, user("bob", "town/square")]
        places = [team("town"), channel("town", "square")]
        report = await town.run(place.settings, write(tmp_path / "x.jsonl", *places, *people, *posts, joined))
        assert not report.reasons
        [row] = await place.rows(
            """SELECT m.msg_count, m.msg_count_root, m.mention_count, c.total_msg_count, c.total_msg_count_root
            FROM channel_members m JOIN channels c ON c.id = m.channel_id JOIN users u ON u.id = m.user_id
            WHERE c.name = 'square' AND u.username = 'ann'"""
        )
        assert tuple(row.values()) == (5, 3, 2, 10, 5)
        admins = "SELECT username FROM team_members m JOIN users u ON u.id = m.user_id WHERE scheme_admin"
        assert await place.rows(admins) == [{"username": "ann"}]


async def test_a_dry_run_writes_nothing_and_says_the_same(postgres: Postgres, redis: Redis, tmp_path: Path) -> None:
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        bad = [post("harbour/piers", "nobody", "x", 0), post("harbour/nowhere", "ann", "x", 0), user("eve", "nowhere")]
        path = write(tmp_path / "x.zip", *lines(), *bad, files=FILES)
        empty = await place.everything()
        dry = await town.run(place.settings, path, dry=True)
        assert await place.everything() == empty
        assert not await place.rows("SELECT FROM imports")
        wet = await town.run(place.settings, path)
        assert {name: count for name, count in dry.made.items() if name != "emoji"} == {
            name: count for name, count in wet.made.items() if name != "emoji"
        }
        assert dry.reasons == wet.reasons


async def test_it_stops_where_it_is_told_to(postgres: Postgres, redis: Redis, tmp_path: Path) -> None:
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        bad = post("town/off-topic", "nobody", "x", 0)
        good = post("town/off-topic", "ann", "y", 0)
        path = write(tmp_path / "x.jsonl", team("town"), user("ann", "town"), bad, good)
        with pytest.raises(Stopped, match=r"line 4: post: there is no such user \(nobody\)"):
            await town.run(place.settings, path, stop_on_error=True)
        assert not await place.rows("SELECT FROM posts")
        report = await town.run(place.settings, path)
        assert report.made["post"] == 1
        assert report.skipped == 1


@pytest.mark.parametrize("first", [None, "", '{"type":"version","version":2}', '{"type":"team"}', "no json"])
async def test_a_file_that_is_none_is_refused(
    postgres: Postgres, redis: Redis, tmp_path: Path, first: str | None
) -> None:
    async with cloned(postgres) as url:
        path = tmp_path / "x.jsonl"
        path.write_text("\n" if first is None else first + '\n{"type":"team","team":{}}\n')
        with pytest.raises(Stopped, match="the first line is not the format's version"):
            await town.run(Place.at(url, redis.url).settings, path)
