"""Custom emojis. Source: Mattermost API v4, emojis."""

import asyncio
import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.fixtures.api import Client
from tests.integration.files.shelf import drawn
from tests.integration.files.test_hostile import bombs
from tests.integration.people.crew import Crew
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def make(who: Client, name: str, image: bytes | None = None, **more: Any) -> httpx.Response:
    """Send the form as the web client does."""
    emoji = json.dumps({"name": name, "creator_id": who.me.get("id", ""), **more})
    picture = drawn() if image is None else image
    return await who.request("POST", "/emoji", files={"image": ("x.png", picture)}, data={"emoji": emoji})


async def made(who: Client, name: str, image: bytes | None = None) -> dict[str, Any]:
    answer = await make(who, name, image)
    assert answer.status_code == 200, answer.text
    emoji: dict[str, Any] = answer.json()
    return emoji


def moving(size: tuple[int, int], frames: int = 3) -> bytes:
    pictures = [Image.new("RGB", size, (80 * n % 256, n % 256, 0)) for n in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=70, loop=0)
    return out.getvalue()


async def test_an_emoji_is_made_found_told_and_gone(crew: Crew) -> None:
    people = crew.people
    listening = [await crew.socket(one) for one in (people.stranger, crew.guest)]
    emoji = await made(people.member, "sea_gull")
    assert emoji.keys() == {"id", "create_at", "update_at", "delete_at", "creator_id", "name"}
    assert (emoji["creator_id"], emoji["name"], emoji["delete_at"]) == (people.member.id, "sea_gull", 0)
    for socket in listening:
        assert json.loads((await socket.event("emoji_added"))["data"]["emoji"]) == emoji
    other = await made(people.owner, "gull-2")
    who = people.stranger
    assert await who.get(f"/emoji/{emoji['id']}") == await who.get("/emoji/name/sea_gull") == emoji
    assert await who.post("/emoji/names", ["nobody", "sea_gull", "gull-2"]) == [other, emoji]
    assert await who.get("/emoji?sort=name") == [other, emoji]
    assert await who.get("/emoji") == [emoji, other]
    assert await who.get("/emoji?page=1&per_page=1") == [other]
    assert await who.post("/emoji/search", {"term": "gull"}) == [other, emoji]
    assert await who.post("/emoji/search", {"term": "GULL", "prefix_only": True}) == [other]
    assert await who.post("/emoji/search", {"term": "a%g"}) == await who.post("/emoji/search", {"term": "g_l"}) == []
    assert await who.get("/emoji/autocomplete?name=sea") == [emoji]
    picture = await who.request("GET", f"/emoji/{emoji['id']}/image")
    assert (picture.headers["Content-Type"], picture.headers["Cache-Control"]) == (
        "image/png",
        "max-age=2592000, private",
    )
    assert Image.open(io.BytesIO(picture.content)).size == (128, 85)
    direct = (await who.post("/channels/direct", [who.id, people.owner.id]))["id"]
    text = "at 10:30:45 a :sea_gull: and a :smile: and a :no_such_bird:"
    post = await who.post("/posts", {"channel_id": direct, "message": text}, expect=201)
    told = json.loads((await listening[0].event("posted"))["data"]["post"])
    for seen in (post, told, await who.get(f"/posts/{post['id']}")):
        assert seen["metadata"]["emojis"] == [emoji]
    for name in ("sea_gull", "gull-2"):
        body = {"user_id": who.id, "post_id": post["id"], "emoji_name": name}
        assert (await who.post("/reactions", body))["emoji_name"] == name
    listed = await who.get(f"/channels/{direct}/posts")
    assert listed["posts"][post["id"]]["metadata"]["emojis"] == [emoji, other]
    edited = await who.put(f"/posts/{post['id']}/patch", {"message": "nothing"})
    assert edited["metadata"]["emojis"] == [emoji, other]  # of the reactions
    await people.owner.post("/posts", {"channel_id": direct, "message": "re", "root_id": post["id"]}, expect=201)
    thread = json.loads((await listening[0].event("thread_updated"))["data"]["thread"])
    assert thread["post"]["metadata"]["emojis"] == [emoji, other]
    await people.member.delete(f"/emoji/{emoji['id']}")
    for path in (f"/emoji/{emoji['id']}", "/emoji/name/sea_gull", f"/emoji/{emoji['id']}/image"):
        gone = await who.get(path, expect=404)
        by_name = path == "/emoji/name/sea_gull"
        assert gone["id"] == ("app.emoji.get_by_name.no_result" if by_name else "app.emoji.get.no_result")
    assert await who.post("/emoji/names", ["sea_gull"]) == []
    assert (await who.get(f"/posts/{post['id']}"))["metadata"]["emojis"] == [other]
    again = await made(people.owner, "sea_gull")  # the name is free
    for one in (again, other):
        await people.admin.delete(f"/emoji/{one['id']}")


async def test_a_linked_post_names_its_emojis_too(crew: Crew, config: dict[str, Any]) -> None:
    config["ServiceSettings.SiteURL"] = "https://chat.example.org"
    me, channel = crew.people.member, crew.people.channel["id"]
    emoji = await made(me, "puffin")
    linked = await me.post("/posts", {"channel_id": channel, "message": "a :puffin:"}, expect=201)
    link = {"channel_id": channel, "message": f"https://chat.example.org/seagulls/pl/{linked['id']}"}
    [embed] = (await me.post("/posts", link, expect=201))["metadata"]["embeds"]
    assert embed["data"]["post"]["metadata"]["emojis"] == [emoji]
    await me.delete(f"/emoji/{emoji['id']}")


async def test_an_emoji_changes_the_lists_that_name_it(crew: Crew) -> None:
    """A post and lists are sent again once one of its words is an emoji, and once it is none any more."""
    me = crew.people.member
    channel = (await me.new_channel(crew.people.team["id"], "auks"))["id"]
    post = await me.post("/posts", {"channel_id": channel, "message": "an :auk:"}, expect=201)
    await me.post(f"/posts/{post['id']}/pin")
    paths = [f"/posts/{post['id']}", f"/posts/{post['id']}/thread"]
    paths += [f"/channels/{channel}/{end}" for end in ("posts", "posts?collapsedThreads=true", "pinned")]
    tags = {path: (await me.request("GET", path)).headers["ETag"] for path in paths}

    async def change_to(emojis: list[dict[str, Any]]) -> None:
        for path in paths:
            known = {"If-None-Match": tags[path]}
            async with asyncio.timeout(30):  # until every cache has heard of it
                while (answer := await me.request("GET", path, headers=known)).status_code == 304:
                    await asyncio.sleep(0.02)
            shown = answer.json()
            shown = shown["posts"][post["id"]] if "posts" in shown else shown
            assert shown["metadata"].get("emojis", []) == emojis
            tags[path] = answer.headers["ETag"]

    emoji = await made(me, "auk")
    await change_to([emoji])
    unchanged = await me.request("GET", paths[0], headers={"If-None-Match": tags[paths[0]]})
    assert unchanged.status_code == 304
    await me.delete(f"/emoji/{emoji['id']}")
    await change_to([])


async def test_pictures_move_or_stand(crew: Crew) -> None:
    me = crew.people.member
    for name, image, kind, size, frames in (
        ("moves", moving((300, 150)), "image/gif", (128, 64), 3),
        ("stands", moving((20, 20), 1), "image/png", (20, 20), 1),
        ("jpeg", drawn("JPEG", (1028, 1028)), "image/png", (128, 128), 1),
    ):
        emoji = await made(me, name, image)
        got = await me.request("GET", f"/emoji/{emoji['id']}/image")
        picture = Image.open(io.BytesIO(got.content))
        assert (got.headers["Content-Type"], picture.size, getattr(picture, "n_frames", 1)) == (kind, size, frames)
        if frames > 1:
            assert picture.info["duration"] == 70
        await me.delete(f"/emoji/{emoji['id']}")


async def test_what_is_refused(crew: Crew, config: dict[str, Any]) -> None:
    me = crew.people.member
    taken = await made(me, "taken")
    for answer, status, error in (
        (await make(me, "taken"), 400, "api.emoji.create.duplicate.app_error"),
        (await make(me, "smile"), 400, "model.emoji.system_emoji_name.app_error"),
        (await make(me, "Big"), 400, "model.emoji.name.app_error"),
        (await make(me, "x" * 65), 400, "model.emoji.name.app_error"),
        (await make(me, ""), 400, "model.emoji.name.app_error"),
        (await make(me, "a/b"), 400, "model.emoji.name.app_error"),
        (await make(me, "other", creator_id=crew.people.owner.id), 403, "api.emoji.create.other_user.app_error"),
        (await make(me, "text", b"no picture"), 400, "api.emoji.upload.image.app_error"),
        (await make(me, "svg", b"<svg/>"), 400, "api.emoji.upload.image.app_error"),
        (await make(me, "webp", drawn("WEBP")), 400, "api.emoji.upload.image.app_error"),
        (await make(me, "none", b""), 400, "api.context.invalid_body_param.app_error"),
        (await make(me, "odd", creator_id=5), 400, "api.context.invalid_body_param.app_error"),
        (await make(me, "long", moving((9, 9), 501)), 400, "api.emoji.upload.large_image.too_large.app_error"),
        (await make(me, "wide", drawn("PNG", (1100, 1000))), 400, "api.emoji.upload.large_image.too_large.app_error"),
        (await make(me, "big", drawn() + bytes(512 << 10)), 413, "api.emoji.create.too_large.app_error"),
        (await me.request("POST", "/emoji", json={}), 400, "api.emoji.create.parse.app_error"),
    ):
        assert (answer.status_code, answer.json()["id"]) == (status, error)
    for name, content in bombs().items():
        # Fewer than a million pixels may be what it says; nothing else becomes an emoji, and nothing is a 500.
        answer = await make(me, "bomb", content)
        assert answer.status_code in (200, 400, 413), (name, answer.text)
        if answer.status_code == 200:
            await me.delete(f"/emoji/{answer.json()['id']}")
    for path in ("/emoji?sort=odd", "/emoji/autocomplete", "/emoji/name/a%20b", "/emoji/name/" + "x" * 65):
        assert (await me.get(path, expect=400))["id"] == "api.context.invalid_url_param.app_error"
    await me.post("/emoji/search", {"term": ""}, expect=400)
    await me.post("/emoji/names", ["x"] * 1 + [str(n) for n in range(200)], expect=400)
    answers = await asyncio.gather(*(make(me, "once") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
    config["ServiceSettings.EnableCustomEmoji"] = False
    for method, path in (
        ("GET", "/emoji"), ("GET", f"/emoji/{taken['id']}"), ("GET", "/emoji/name/taken"),
        ("GET", f"/emoji/{taken['id']}/image"), ("DELETE", f"/emoji/{taken['id']}"), ("POST", "/emoji"),
        ("POST", "/emoji/names"), ("POST", "/emoji/search"), ("GET", "/emoji/autocomplete?name=x"),
    ):  # fmt: skip
        answer = await me.request(method, path, json={"term": "x"} if path.endswith("/search") else ["taken"])
        assert (answer.status_code, answer.json()["id"]) == (501, "api.emoji.disabled.app_error")


async def test_who_may(crew: Crew) -> None:
    people = crew.people
    callers = (people.anonymous, crew.gone, crew.guest, people.stranger, people.member, people.admin)
    kept = await made(people.owner, "kept")
    found = [(await make(caller, f"by-{number}")).status_code for number, caller in enumerate(callers)]
    assert found == [401, 401, 403, 200, 200, 200]
    table: list[tuple[str, str, tuple[int, ...]]] = [
        ("GET", f"/emoji/{kept['id']}", (401, 401, 200, 200, 200, 200)),
        ("GET", f"/emoji/{kept['id']}/image", (401, 401, 200, 200, 200, 200)),
        ("GET", f"/emoji/{new_id()}", (401, 401, 404, 404, 404, 404)),
        ("DELETE", f"/emoji/{kept['id']}", (401, 401, 403, 403, 403, 200)),
    ]
    for method, path, expected in table:
        answers = [(await caller.request(method, path)).status_code for caller in callers]
        assert tuple(answers) == expected, (method, path)
