"""Files by the API: up, down, in posts, gone. Source: Mattermost API v4, files."""

import base64
import hashlib
import io
from typing import Any

import pytest
from PIL import Image

from tests.integration.files.shelf import BYTES, drawn, objects, send, stored, upload
from tests.integration.people.crew import Crew
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="package")

INFO = {
    "id", "user_id", "channel_id", "create_at", "update_at", "delete_at", "name", "extension", "size", "mime_type",
    "mini_preview", "remote_id", "archived",
}  # fmt: skip


async def test_a_file_comes_back_as_it_was(crew: Crew, place: str, config: dict[str, Any]) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    before = set(await stored(crew, place, config))
    content = BYTES * 20  # of several pieces
    answer = await send(me, channel, ("Notes über.TXT", content), ("b.bin", b""), client_ids=["one", "two"])
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body.keys() == {"file_infos", "client_ids"}
    assert body["client_ids"] == ["one", "two"]
    info, empty = body["file_infos"]
    assert info.keys() == INFO
    assert (info["name"], info["extension"], info["mime_type"]) == ("Notes über.TXT", "txt", "text/plain")
    assert (info["size"], empty["size"]) == (len(content), 0)
    assert (info["user_id"], info["channel_id"], info["mini_preview"]) == (me.id, channel, None)
    got = await me.request("GET", f"/files/{info['id']}")
    assert got.content == content
    head = await me.request("HEAD", f"/files/{info['id']}")
    for headers in (got.headers, head.headers):
        assert headers["Content-Type"] == "text/plain"
        assert headers["Content-Length"] == str(len(content))
        assert headers["Cache-Control"] == "max-age=2592000, private"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Accept-Ranges"] == "bytes"
        wanted = "attachment; filename=\"Notes _ber.TXT\"; filename*=UTF-8''Notes%20%C3%BCber.TXT"
        assert headers["Content-Disposition"] == wanted
    assert (await me.request("GET", f"/files/{empty['id']}")).content == b""
    assert await me.get(f"/files/{info['id']}/info") == info
    assert len(set(await stored(crew, place, config)) - before) == 2
    row = await crew.town.db.fetchrow("SELECT sha256, key FROM files WHERE id = $1", info["id"])
    assert row is not None
    assert row["sha256"] == hashlib.sha256(content).digest()
    assert "ber" not in row["key"]


async def test_what_is_gone_is_not_kept_as_gone(crew: Crew, place: str, config: dict[str, Any]) -> None:
    me = crew.people.member
    info = await upload(me, crew.people.channel["id"])
    row = await crew.town.db.fetchrow("SELECT key FROM files WHERE id = $1", info["id"])
    assert row is not None
    await objects(crew, place, config).delete([row["key"]])
    for method in ("GET", "HEAD"):
        answer = await me.request(method, f"/files/{info['id']}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")
        # It may be there again: who keeps the answer for a month would not see that.
        kept = {"Cache-Control", "ETag", "Last-Modified", "Content-Disposition", "Accept-Ranges"}
        assert not {name for name in kept if name in answer.headers}


async def test_raw_bodies(crew: Crew) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    path = f"/files?channel_id={channel}&filename=a%2Fb.pdf&client_id=x"
    answer = await me.request("POST", path, content=b"%PDF-1.7 <script>")
    assert answer.status_code == 201, answer.text
    info = answer.json()["file_infos"][0]
    assert (info["name"], info["mime_type"], answer.json()["client_ids"]) == ("b.pdf", "application/pdf", ["x"])

    async def chunks() -> Any:
        yield b"abc"

    for query, wanted in (
        ("filename=a", "api.context.invalid_url_param.app_error"),
        (f"channel_id={channel}", "api.context.invalid_url_param.app_error"),
        (f"channel_id={channel}&filename=a", "api.file.upload_file.read_request.app_error"),
    ):
        refused = await me.request("POST", f"/files?{query}", content=chunks())
        assert (refused.status_code, refused.json()["id"]) == (400, wanted)


async def test_ranges(crew: Crew, place: str) -> None:
    me = crew.people.member
    info = await upload(me, crew.people.channel["id"])
    path, size = f"/files/{info['id']}", len(BYTES)
    whole = await me.request("GET", path)
    etag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
    for given, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=5-{size * 9}", 5, size),
        (f"bytes=-{size * 9}", 0, size),
    ):
        for more in ({}, {"If-Range": etag}, {"If-Range": modified}):
            part = await me.request("GET", path, headers={"Range": given, **more})
            assert (part.status_code, part.content) == (206, BYTES[start:end]), given
            assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    for header in ("bytes=5-2", "bytes=-", "items=0-5", "bytes=0-1,4-5", "bytes=x-y"):
        assert (await me.request("GET", path, headers={"Range": header})).content == BYTES
    for other in ('"other"', 'W/' + etag, "Thu, 01 Jan 1970 00:00:00 GMT", "nonsense"):
        again = await me.request("GET", path, headers={"Range": "bytes=0-9", "If-Range": other})
        assert (again.status_code, again.content) == (200, BYTES)
    for header in (f"bytes={size}-", "bytes=-0"):
        none = await me.request("GET", path, headers={"Range": header})
        assert (none.status_code, none.content) == (416, b"")
        assert none.headers["Content-Range"] == f"bytes */{size}"
    for header in (etag, f'"x", W/{etag}', "*"):
        known = await me.request("GET", path, headers={"If-None-Match": header})
        assert (known.status_code, known.content) == (304, b"")
    head = await me.request("HEAD", path, headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["Content-Length"], head.content) == (206, "10", b"")


async def test_pictures(crew: Crew, place: str) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    info = await upload(me, channel, "wide.png", drawn("PNG", (3000, 1000)))
    assert (info["width"], info["height"], info["has_preview_image"]) == (3000, 1000, True)
    assert info["mime_type"] == "image/png"
    mini = Image.open(io.BytesIO(base64.b64decode(info["mini_preview"])))
    assert (mini.format, mini.size) == ("JPEG", (16, 16))
    for which, size in (("thumbnail", (120, 40)), ("preview", (1920, 640))):
        got = await me.request("GET", f"/files/{info['id']}/{which}")
        assert got.status_code == 200, got.text
        assert got.headers["Content-Type"] == "image/jpeg"
        assert got.headers["Content-Disposition"].startswith('inline; filename="wide.jpg"')
        picture = Image.open(io.BytesIO(got.content))
        assert picture.size == size
        left = picture.convert("RGB").getpixel((5, size[1] // 2))
        assert isinstance(left, tuple)
        assert left[0] > 200 > 60 > left[2]
        head = await me.request("HEAD", f"/files/{info['id']}/{which}")
        assert head.headers["Content-Length"] == str(len(got.content))
    shown = await me.request("GET", f"/files/{info['id']}")
    assert shown.headers["Content-Type"] == "image/png"
    assert shown.headers["Content-Disposition"].startswith("inline;")
    forced = await me.request("GET", f"/files/{info['id']}?download=1")
    assert forced.headers["Content-Disposition"].startswith("attachment;")


async def test_turned_moving_and_transparent_pictures(crew: Crew) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    turned = await upload(me, channel, "t.jpg", drawn("JPEG", (400, 200), exif=exif))
    assert (turned["width"], turned["height"]) == (200, 400)
    small = Image.open(io.BytesIO((await me.request("GET", f"/files/{turned['id']}/preview")).content))
    assert small.size == (200, 400)
    top = small.convert("RGB").getpixel((100, 20))
    assert isinstance(top, tuple)
    assert top[0] > 200 > 60 > top[2]
    frames = [Image.new("RGB", (90, 50), colour) for colour in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    moving = await upload(me, channel, "m.gif", out.getvalue())
    assert (moving["width"], moving["height"], "has_preview_image" in moving) == (90, 50, False)
    assert (await me.request("GET", f"/files/{moving['id']}/thumbnail")).status_code == 200
    none = await me.get(f"/files/{moving['id']}/preview", expect=400)
    assert none["id"] == "api.file.get_file_preview.no_preview.app_error"
    out = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(out, "PNG")
    clear = await upload(me, channel, "c.png", out.getvalue())
    for which in ("thumbnail", "preview"):
        got = await me.request("GET", f"/files/{clear['id']}/{which}")
        assert got.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(got.content)).getpixel((5, 5)) == (255, 0, 0, 0)
    text = await upload(me, channel, "x.png", b"no picture")
    assert "has_preview_image" not in text
    refused = await me.get(f"/files/{text['id']}/thumbnail", expect=400)
    assert refused["id"] == "api.file.get_file_thumbnail.no_thumbnail.app_error"


async def test_what_is_refused(crew: Crew, config: dict[str, Any]) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    before = set(await stored(crew, "disk", config))
    one = ("a.txt", b"abc")
    for answer, status, error in (
        (await send(me, "short", one), 400, "incorrect_channelId"),
        (await send(me, channel), 400, "read_request"),
        (await send(me, channel, one, client_ids=["a", "b"]), 400, "incorrect_number_of_client_ids"),
        (await send(me, channel, *[one] * 11), 400, "incorrect_number_of_files"),
        (await me.request("POST", "/files", files={"files": one}), 400, "incorrect_channelId"),
        (await me.request("POST", "/files", files={"channel_id": (None, channel)}), 400, "incorrect_number_of_files"),
    ):
        if error == "read_request":  # without files httpx sends no form
            assert answer.status_code == 400, answer.text
            continue
        assert (answer.status_code, answer.json()["id"]) == (status, f"api.file.upload_file.{error}.app_error")
    config["FileSettings.MaxFileSize"] = 1000
    big = await send(me, channel, ("a", b"x" * 1001))
    assert (big.status_code, big.json()["id"]) == (413, "api.file.upload_file.too_large_detailed.app_error")
    raw = await me.request("POST", f"/files?channel_id={channel}&filename=a", content=b"x" * 1001)
    assert raw.status_code == 413
    assert (await send(me, channel, ("a", b"x" * 1000))).status_code == 201
    config["FileSettings.EnableFileAttachments"] = False
    off = await send(me, channel, one)
    assert (off.status_code, off.json()["id"]) == (403, "api.file.attachments.disabled.app_error")
    assert len(set(await stored(crew, "disk", config)) - before) == 1


async def test_who_may(crew: Crew, config: dict[str, Any]) -> None:
    people = crew.people
    config["FileSettings.EnablePublicLink"] = True
    callers = (people.anonymous, crew.gone, people.stranger, crew.guest, people.teammate, people.member, people.admin)
    channel, private = people.channel["id"], people.private["id"]
    mine = await upload(people.owner, channel)
    shared = await upload(people.owner, channel, "p.png", drawn())
    secret = await upload(people.owner, private, "s.png", drawn())
    body = {"message": "", "file_ids": [shared["id"]], "channel_id": channel}
    post = await people.owner.post("/posts", body, expect=201)
    await people.owner.post("/posts", {**body, "channel_id": private, "file_ids": [secret["id"]]}, expect=201)
    readable, hidden = (401, 401, 403, 200, 200, 200, 200), (401, 401, 403, 403, 403, 200, 200)
    table: list[tuple[str, str, tuple[int, ...]]] = [
        ("POST", f"/files?channel_id={channel}&filename=a", (401, 401, 403, 201, 403, 201, 201)),
        ("POST", f"/files?channel_id={private}&filename=a", (401, 401, 403, 403, 403, 201, 201)),
        ("GET", f"/files/{new_id()}", (401, 401, 404, 404, 404, 404, 404)),
        ("GET", f"/files/{mine['id']}", (401, 401, 403, 403, 403, 403, 200)),
        ("GET", f"/posts/{post['id']}/files/info", (401, 401, 404, 200, 200, 200, 200)),
        ("GET", f"/posts/{post['id']}/files/info?include_deleted=true", (401, 401, 403, 403, 403, 403, 200)),
    ]
    for method in ("GET", "HEAD"):
        for end in ("", "/thumbnail", "/preview"):
            table.append((method, f"/files/{shared['id']}{end}", readable))
            table.append((method, f"/files/{secret['id']}{end}", hidden))
    for end in ("/info", "/link"):
        table += [("GET", f"/files/{shared['id']}{end}", readable), ("GET", f"/files/{secret['id']}{end}", hidden)]
    for method, path, expected in table:
        content = {"content": b"abc"} if method == "POST" else {}
        found = [(await caller.request(method, path, **content)).status_code for caller in callers]
        assert tuple(found) == expected, (method, path)
    # One who left knows the ids, and gets nothing by them; not even his own.
    await people.member.post("/channels/members/me/view", {"channel_id": private})
    his = await upload(people.member, private)
    await people.owner.delete(f"/channels/{private}/members/{people.member.id}")
    for file_id in (secret["id"], his["id"]):
        await people.member.get(f"/files/{file_id}", expect=403)
    await people.owner.post(f"/channels/{private}/members", {"user_id": people.member.id}, expect=201)


async def test_public_links(crew: Crew, config: dict[str, Any]) -> None:
    people = crew.people
    http = people.anonymous.http
    file = await upload(people.member, people.channel["id"])
    path = f"/files/{file['id']}/link"
    off = await people.member.get(path, expect=403)
    assert off["id"] == "api.file.get_public_link.disabled.app_error"
    config["FileSettings.EnablePublicLink"] = True
    unheld = await people.member.get(path, expect=400)
    assert unheld["id"] == "api.file.get_public_link.no_post.app_error"
    body = {"message": "", "file_ids": [file["id"]], "channel_id": people.channel["id"]}
    post = await people.member.post("/posts", body, expect=201)
    link = (await people.member.get(path))["link"]
    assert link.startswith(f"{people.api.url}/files/{file['id']}/public?h=")
    got = await http.get(link)
    assert (got.status_code, got.content) == (200, BYTES)
    assert (await http.head(link)).headers["Content-Length"] == str(len(BYTES))
    assert (await http.get(link, headers={"Range": "bytes=0-3"})).status_code == 206
    assert (await people.anonymous.request("GET", link.removeprefix(people.api.url))).is_success
    for wrong in (link[:-1] + ("A" if link[-1] != "A" else "B"), link.partition("?")[0], link + "é"):
        refused = await http.get(wrong)
        assert (refused.status_code, refused.json()["id"]) == (400, "api.file.get_file.public_invalid.app_error")
    config["FileSettings.PublicLinkSalt"] = "another salt ends all links"
    assert (await http.get(link)).status_code == 400
    del config["FileSettings.PublicLinkSalt"]
    config["FileSettings.EnablePublicLink"] = False
    assert (await http.get(link)).status_code == 403
    config["FileSettings.EnablePublicLink"] = True
    await people.member.delete(f"/posts/{post['id']}")
    gone = await http.get(link)
    assert (gone.status_code, gone.json()["id"]) == (404, "app.file_info.get.app_error")
