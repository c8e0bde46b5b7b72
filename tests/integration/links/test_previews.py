"""Link previews: a post goes out at once, what its link leads to comes by an edit that nobody is told of."""

import asyncio
import gzip
import struct
import zlib
from typing import Any

import pytest

from tests.fixtures.api import Client, People
from tests.integration.files.shelf import drawn
from tests.integration.links.site import Heard, Site, described, moved, reply
from tests.integration.posts.chat import say
from tidewire.actions import link_previews
from tidewire.actions.link_previews import FOUND_MS, NONE_MS
from tidewire.outbound import client as outbound_client
from tidewire.store import links
from tidewire.wire.ids import now_ms

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shown(announced: Heard, post: dict[str, Any], *, events: list[Any] | None = None) -> dict[str, Any]:
    """Return the post of its next `post_edited`. events: what else was announced is added to it."""
    async with asyncio.timeout(30):
        while True:
            heard = await announced.events()
            for number, event in enumerate(heard):
                if event["event"] == "post_edited" and event["data"]["post"]["id"] == post["id"]:
                    announced.left = heard[number + 1 :]
                    found: dict[str, Any] = event["data"]["post"]
                    return found
                if events is not None:
                    events.append(event)
            await asyncio.sleep(0.02)


async def looked(people: People, announced: Heard, site: Site, channel: str, *, under_way: int = 0) -> list[Any]:
    """Wait until all links so far were looked at; return what was announced meanwhile, but for the last post.

    under_way: posts whose links need longer.
    """
    async with asyncio.timeout(30):
        while await announced.db.fetchval("SELECT count(*) FROM awaited_previews") > under_way:
            await asyncio.sleep(0.02)
    path = f"/last-{len(site.asked)}"
    site.pages[path] = described(title="last")
    events: list[Any] = []
    await shown(announced, await say(people.owner, channel, site.url + path), events=events)
    return events


async def fresh(who: Client, post_id: str) -> dict[str, Any]:
    """Return a post as a list has it."""
    found: dict[str, Any] = await who.get(f"/posts/{post_id}")
    return found


async def test_a_page_is_shown_after_the_post(people: People, announced: Heard, site: Site) -> None:
    me, channel = people.member, people.channel["id"]
    url = site.url + "/page"
    site.pages["/page"] = described(
        title="A &amp; B", type="article", url="http://other.example/", description="d" * 400, site_name="S",
        image="/i.png", image_width="640", locale="de",
    )  # fmt: skip
    site.pages["/i.png"] = reply(drawn(size=(64, 48)), "image/png")
    post = await say(me, channel, f"see {url}, and {site.url}/second")
    assert post["metadata"] == {"embeds": [{"type": "link", "url": url}]}
    posted: list[Any] = []
    edited = await shown(announced, post, events=posted)
    assert [event["data"]["post"]["metadata"] for event in posted if event["event"] == "posted"] == [post["metadata"]]
    assert edited["edit_at"] == 0 and edited["update_at"] > post["update_at"]
    image = site.url + "/i.png"
    assert edited["metadata"] == {
        "embeds": [
            {
                "type": "opengraph",
                "url": url,
                "data": {
                    "type": "article", "url": url, "title": "A & B", "description": "d" * 300 + "[...]",
                    "determiner": "", "site_name": "S", "locale": "", "locales_alternate": None, "audios": None,
                    "videos": None,
                    "images": [{"url": image, "secure_url": "", "type": "", "width": 640, "height": 0}],
                },
            }
        ],
        "images": {image: {"width": 64, "height": 48, "format": "png", "frame_count": 0}},
    }  # fmt: skip
    assert site.asked == ["/page", "/i.png"]
    listed = (await me.get(f"/channels/{channel}/posts"))["posts"]
    thread = (await me.get(f"/posts/{post['id']}/thread"))["posts"]
    by_id = (await me.post("/posts/ids", [post["id"]]))[0]
    for found in (await fresh(me, post["id"]), listed[post["id"]], thread[post["id"]], by_id):
        assert (found["metadata"], found["update_at"]) == (edited["metadata"], edited["update_at"])
    # Who changes the post otherwise sees it too, and known addresses are not asked again.
    await me.post(f"/posts/{post['id']}/pin")
    assert (await shown(announced, post))["metadata"] == edited["metadata"]
    again = await shown(announced, await say(people.owner, people.private["id"], url))
    assert again["metadata"] == edited["metadata"] and site.asked == ["/page", "/i.png"]


async def test_images(people: People, announced: Heard, site: Site) -> None:
    me, channel = people.member, people.channel["id"]
    site.pages |= {
        "/a.gif": reply(drawn("GIF", save_all=True, append_images=[]), "image/gif"),
        "/b.jpg": reply(drawn("JPEG", size=(30, 20)), "image/jpeg"),
        "/c.webp": reply(drawn("WEBP", size=(7, 9)), "image/webp"),
    }
    post = await say(me, channel, f"{site.url}/a.gif ![b]({site.url}/b.jpg) `{site.url}/not` [l]({site.url}/not)")
    edited = await shown(announced, post)
    assert edited["metadata"]["embeds"] == [{"type": "image", "url": site.url + "/a.gif"}]
    assert edited["metadata"]["images"] == {
        site.url + "/a.gif": {"width": 300, "height": 200, "format": "gif", "frame_count": 1},
        site.url + "/b.jpg": {"width": 30, "height": 20, "format": "jpeg", "frame_count": 0},
    }
    # What programs attach is shown instead of the link.
    attachment = {"text": f"![c]({site.url}/c.webp)", "image_url": site.url + "/b.jpg", "thumb_url": "javascript:1"}
    post = await say(me, channel, f"{site.url}/not", props={"attachments": [attachment]})
    assert post["metadata"] == {"embeds": [{"type": "message_attachment"}]}
    edited = await shown(announced, post)
    assert edited["metadata"]["embeds"] == [{"type": "message_attachment"}]
    assert set(edited["metadata"]["images"]) == {site.url + "/b.jpg", site.url + "/c.webp"}
    assert (await fresh(me, post["id"]))["metadata"] == edited["metadata"]
    assert sorted(site.asked) == ["/a.gif", "/b.jpg", "/c.webp"]


async def test_what_cannot_be_shown_stays_a_link(people: People, announced: Heard, site: Site) -> None:
    me, channel = people.member, people.channel["id"]
    bomb = drawn()[:16] + struct.pack(">II", 100_000, 100_000) + drawn()[24:]
    site.pages |= {
        "/text": reply(b"words", "text/plain"),
        "/plain": reply(b"<title>no description</title>"),
        "/svg": reply(b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>", "image/svg+xml"),
        "/lie": reply(b"<html><meta property=og:title content=x>", "image/png"),
        "/bomb": reply(bomb, "image/png"),
        "/broken": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<meta",
        "/body": reply(b"<body><meta property=og:title content=x>"),
        "/error": reply(b"<meta property=og:title content=x>", status="500 No"),
    }
    posts = [await say(me, channel, site.url + path) for path in [*site.pages, "/missing"]]
    events = await looked(people, announced, site, channel)
    assert {event["event"] for event in events} == {"posted"}
    for post in posts:
        now = await fresh(me, post["id"])
        assert now["metadata"] == {"embeds": [{"type": "link", "url": post["message"]}]}
        assert now["update_at"] == post["update_at"]
    asked = len(site.asked)
    await say(me, channel, site.url + "/text")
    await looked(people, announced, site, channel)
    assert len(site.asked) == asked + 1  # that there is nothing is known too


async def test_pages_of_all_kinds(people: People, announced: Heard, site: Site) -> None:
    me, channel = people.member, people.channel["id"]
    head = '<meta property="og:title" content="Žluťoučký">'
    site.pages |= {
        "/header": reply(head.encode("iso-8859-2"), "text/html; charset=ISO-8859-2"),
        "/meta": reply(b"<meta charset=iso-8859-2>" + head.encode("iso-8859-2"), "text/html"),
        "/utf-16": reply(head.encode("utf-16"), "text/html"),
        "/gzip": reply(gzip.compress(head.encode()), "text/html", "Content-Encoding: gzip"),
        "/odd": reply(head.encode(), "text/html; charset=unicode_escape"),
        "/cut": reply(head.encode() + b"x" * 3_000_000, "text/html"),
        "/moved": moved("/meta"),
    }
    for path in list(site.pages):
        edited = await shown(announced, await say(me, channel, site.url + path))
        embed = edited["metadata"]["embeds"][0]
        assert (embed["type"], embed["data"]["title"]) == ("opengraph", "Žluťoučký"), path


async def test_only_allowed_addresses_are_asked(
    people: People, announced: Heard, site: Site, inside: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    me, channel, port = people.member, people.channel["id"], inside.url.rpartition(":")[2]
    hosts = ["127.0.0.2", "0x7f000002", "2130706434", "127.2", "[::ffff:127.0.0.2]", "a@127.0.0.2"]
    inside.pages["/x"] = described(title="secret", image=inside.url + "/y")
    site.pages["/in"] = moved(inside.url + "/x")
    site.pages["/page"] = described(title="t", image=inside.url + "/y")
    posts = [await say(me, channel, f"http://{host}:{port}/x") for host in hosts]
    posts.append(await say(me, channel, site.url + "/in"))
    posts.append(await say(me, channel, f"![i]({inside.url}/y) ![i](http://169.254.169.254/latest) ![i](file:///etc)"))
    # A name whose address changes after the look: it is looked up once, and that address is asked.
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]]

    async def look_up(host: str, port: int) -> list[str]:
        return answers.pop(0)

    monkeypatch.setattr(outbound_client, "look_up", look_up)
    site.pages["/name"] = described(title="by name")
    named = await say(me, channel, f"http://rebound.example:{site.url.rpartition(':')[2]}/name")
    assert (await shown(announced, named))["metadata"]["embeds"][0]["data"]["title"] == "by name"
    assert len(answers) == 2
    monkeypatch.undo()
    with_page = await shown(announced, await say(me, channel, site.url + "/page"))
    assert with_page["metadata"]["embeds"][0]["type"] == "opengraph" and "images" not in with_page["metadata"]
    await looked(people, announced, site, channel)
    for post in posts:
        embeds = (await fresh(me, post["id"]))["metadata"].get("embeds", [])
        assert [embed["type"] for embed in embeds] in (["link"], [])
    assert inside.asked == []


async def test_a_post_does_not_wait(
    people: People, announced: Heard, site: Site, config: dict[str, Any]
) -> None:
    config["ExperimentalSettings.LinkMetadataTimeoutMilliseconds"] = 120_000
    me, channel = people.member, people.channel["id"]
    go = asyncio.Event()

    async def silent(writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(described(title="late"))

    for number in range(12):  # more than are asked at once
        site.pages[f"/{number}"] = silent
    posts = [await say(me, channel, f"{site.url}/{number}") for number in range(12)]
    assert not go.is_set()
    assert all(post["metadata"]["embeds"][0]["type"] == "link" for post in posts)
    go.set()
    late: set[str] = set()
    async with asyncio.timeout(30):
        while len(late) < len(posts):
            for event in await announced.events():
                if event["event"] == "post_edited":
                    assert event["data"]["post"]["metadata"]["embeds"][0]["data"]["title"] == "late"
                    late.add(event["data"]["post"]["id"])
            await asyncio.sleep(0.02)
    assert late == {post["id"] for post in posts}


async def test_servers_that_hurt_are_left(people: People, announced: Heard, site: Site) -> None:
    me, channel = people.member, people.channel["id"]

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"<p>" * 20_000)
            await writer.drain()

    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(zeros.compress(b"\0" * (1 << 20)) for _ in range(64)) + zeros.flush()
    site.pages |= {
        "/drip": drip,
        "/endless": endless,
        "/gzip": reply(bomb, "text/html", "Content-Encoding: gzip"),
        "/loop": moved("/loop"),
    }
    for path in list(site.pages):
        await say(me, channel, site.url + path)
    while "/drip" not in site.asked:  # it is still being read when the others are done
        await asyncio.sleep(0.02)
    events = await looked(people, announced, site, channel, under_way=1)
    assert "post_edited" not in {event["event"] for event in events}
    assert site.asked.count("/loop") == 6
    assert site.asked.count("/endless") == site.asked.count("/gzip") == 1


async def test_what_was_found_is_known_for_a_while(people: People, announced: Heard, site: Site) -> None:
    me, channel, db = people.member, people.channel["id"], announced.db
    site.pages["/x"] = described(title="x")
    for path in ("/x", "/none"):
        await say(me, channel, site.url + path)
        await looked(people, announced, site, channel)
    for kind, path, age in (("opengraph", "/x", FOUND_MS), ("none", "/none", NONE_MS)):
        for more, asked in ((-60_000, 1), (60_000, 2)):
            at = now_ms() - age - more
            await db.execute("UPDATE link_metadata SET fetched_at = $1 WHERE url = $2", at, site.url + path)
            await say(me, channel, site.url + path)
            await looked(people, announced, site, channel)
            assert site.asked.count(path) == asked, (kind, more)
    await db.execute("UPDATE link_metadata SET fetched_at = 1 WHERE url = $1", site.url + "/x")
    await links.prune(db, 2, 10)
    assert await db.fetchval("SELECT count(*) FROM link_metadata WHERE url LIKE $1", site.url + "/x") == 0


@pytest.mark.parametrize("limit", ["WAITING_MAX", "WAITING_PER_HOST"])
async def test_too_many_links_are_not_looked_at(
    people: People, announced: Heard, site: Site, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    given_up = link_previews._LOOKS.labels("given up")._value
    before = given_up.get()
    monkeypatch.setattr(link_previews, limit, 0)
    site.pages["/x"] = described(title="x")
    post = await say(people.member, people.channel["id"], site.url + "/x")
    async with asyncio.timeout(30):
        while given_up.get() == before:
            await asyncio.sleep(0.02)
    monkeypatch.undo()
    await looked(people, announced, site, people.channel["id"])
    assert post["metadata"]["embeds"][0]["type"] == "link" and "/x" not in site.asked


async def test_edits(people: People, announced: Heard, site: Site) -> None:
    me, channel = people.member, people.channel["id"]
    gate = asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(described(title="slow"))

    site.pages |= {"/one": described(title="one"), "/two": described(title="two"), "/slow": slow}
    post = await say(me, channel, site.url + "/one")
    first = await shown(announced, post)
    path = f"/posts/{post['id']}/patch"
    # Other words around the same link: it stays, and nothing is asked.
    same = await me.put(path, {"message": f"look: {site.url}/one"})
    assert same["metadata"] == first["metadata"] and same["edit_at"]
    assert (await shown(announced, post))["metadata"] == first["metadata"]
    # Another link: what the first led to is gone at once.
    other = await me.put(path, {"message": f"look: {site.url}/two"})
    assert other["metadata"] == {"embeds": [{"type": "link", "url": site.url + "/two"}]}
    assert (await shown(announced, post))["metadata"] == other["metadata"]
    later = await shown(announced, post)
    assert later["metadata"]["embeds"][0]["data"]["title"] == "two" and later["edit_at"] == other["edit_at"]
    # What comes for words that are not there any more is not shown, nor for a post that is gone.
    slow_post = await say(me, channel, site.url + "/slow")
    gone = await say(me, channel, site.url + "/slow")
    await me.put(f"/posts/{slow_post['id']}/patch", {"message": "no link"})
    await me.delete(f"/posts/{gone['id']}")
    await announced.events()
    gate.set()
    events = await looked(people, announced, site, channel)
    assert {event["event"] for event in events} == {"posted"}
    assert (await fresh(me, slow_post["id"]))["metadata"] == {}
    assert site.asked.count("/slow") == 1


async def test_switches(people: People, announced: Heard, site: Site, config: dict[str, Any]) -> None:
    me, channel = people.member, people.channel["id"]
    site.pages |= {"/x": described(title="x"), "/i.png": reply(drawn(), "image/png"), "/away": moved("http://localhost/")}
    post = await say(me, channel, site.url + "/x")
    edited = await shown(announced, post)
    config["ServiceSettings.EnableLinkPreviews"] = False
    assert (await fresh(me, post["id"]))["metadata"] == {}
    assert (await say(me, channel, site.url + "/x"))["metadata"] == {}
    # The sizes of images are no previews.
    sized = await shown(announced, await say(me, channel, f"{site.url}/x ![i]({site.url}/i.png)"))
    assert "embeds" not in sized["metadata"] and list(sized["metadata"]["images"]) == [site.url + "/i.png"]
    config["ServiceSettings.EnableLinkPreviews"] = True
    assert (await fresh(me, post["id"]))["metadata"] == edited["metadata"]
    config["ServiceSettings.RestrictLinkPreviews"] = "@elsewhere.example, 127.0.0.1"
    assert (await fresh(me, post["id"]))["metadata"] == {}
    links = await say(me, channel, f"{site.url}/x http://nowhere.invalid/")
    assert links["metadata"]["embeds"] == [{"type": "link", "url": "http://nowhere.invalid/"}]
    config["ServiceSettings.RestrictLinkPreviews"] = "localhost"
    config["ServiceSettings.AllowedUntrustedInternalConnections"] = "127.0.0.1 localhost"
    await say(me, channel, site.url + "/away")
    await looked(people, announced, site, channel)
    assert "embeds" in (await fresh(me, post["id"]))["metadata"]


async def test_the_own_site_is_not_asked(
    people: People, announced: Heard, site: Site, config: dict[str, Any]
) -> None:
    config["ServiceSettings.SiteURL"] = site.url + "/chat"
    me, channel = people.member, people.channel["id"]
    site.pages["/chat/x"] = described(title="x")
    post = await say(me, channel, site.url + "/chat/x")
    await looked(people, announced, site, channel)
    assert post["metadata"]["embeds"][0]["type"] == "link" and "/chat/x" not in site.asked


async def test_what_was_found_goes_with_its_post(people: People, announced: Heard, site: Site) -> None:
    """Deleting a user for good takes what his posts show with them."""
    author = await people.api.user("shown")
    await people.owner.add_to_team(people.team["id"], author)
    room = await people.owner.new_channel(people.team["id"], "shown", "O", author)
    site.pages["/x"] = described(title="x")
    post = await say(author, room["id"], site.url + "/x")
    await shown(announced, post)
    rows = "SELECT count(*) FROM post_previews WHERE post_id = $1"
    assert await announced.db.fetchval(rows, post["id"]) == 1
    await people.admin.put("/config/patch", {"ServiceSettings": {"EnableAPIUserDeletion": True}})
    await people.admin.delete(f"/users/{author.id}?permanent=true")
    assert await announced.db.fetchval(rows, post["id"]) == 0
