"""Uploads in several requests. Source: Mattermost API v4, uploads."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.api import Client
from tests.integration.files.shelf import BYTES, drawn, objects, stored
from tests.integration.people.crew import Crew
from tidewire.actions import file_janitor, upload_sessions
from tidewire.actions.config import Config
from tidewire.actions.file_janitor import Janitor
from tidewire.actions.file_store import FileStore
from tidewire.actions.upload_sessions import SESSIONS_MAX
from tidewire.wire.ids import new_id, now_ms

pytestmark = pytest.mark.asyncio(loop_scope="package")

SESSION = {
    "id", "type", "create_at", "user_id", "channel_id", "filename", "file_size", "file_offset", "remote_id",
    "req_file_id",
}  # fmt: skip


async def begin(who: Client, channel: str, size: int, name: str = "a.bin", *, expect: int = 201) -> dict[str, Any]:
    body = {"channel_id": channel, "filename": name, "file_size": size, "user_id": "x" * 26, "file_offset": 5}
    made: dict[str, Any] = await who.post("/uploads", body, expect=expect)
    return made


async def data(who: Client, upload: dict[str, Any], content: Any, **more: Any) -> httpx.Response:
    return await who.request("POST", f"/uploads/{upload['id']}", content=content, **more)


async def test_files_of_imports_and_exports(crew: Crew, place: str, config: dict[str, Any]) -> None:
    admin = crew.people.admin
    before = set(await stored(crew, place, config))
    body = {"filename": "old.zip", "file_size": len(BYTES), "type": "import"}
    upload = await admin.post("/uploads", body, expect=201)
    for start, end, status in ((0, 50_000, 204), (50_000, len(BYTES), 200)):
        assert (await data(admin, upload, BYTES[start:end])).status_code == status
    name = f"{upload['id']}_old.zip"
    assert name in await admin.get("/imports")
    store = objects(crew, place, config)
    doomed = await crew.town.db.fetch("SELECT key FROM doomed_objects WHERE key LIKE 'import/%'")
    assert doomed == []
    assert b"".join([piece async for piece in (await store.get(f"import/{name}")).pieces]) == BYTES
    await admin.delete(f"/imports/{name}")
    await store.put("export/all.zip", BYTES)
    assert "all.zip" in await admin.get("/exports")
    answer = await admin.request("GET", "/exports/all.zip", headers={"Range": "bytes=-3"})
    assert (answer.status_code, answer.content) == (206, BYTES[-3:])
    again = await admin.request("GET", "/exports/all.zip", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    await admin.delete("/exports/all.zip")
    await crew.people.admin.get("/exports/all.zip", expect=404)
    left = set(await stored(crew, place, config)) - before
    assert not [key for key in left if not key.startswith("pieces/")]  # the janitor has those


async def test_pieces_become_the_file(crew: Crew, place: str, config: dict[str, Any]) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    before = set(await stored(crew, place, config))
    upload = await begin(me, channel, len(BYTES), "dir/Ünï.bin")
    assert upload.keys() == SESSION
    assert (upload["user_id"], upload["file_offset"], upload["filename"]) == (me.id, 0, "Ünï.bin")
    for start, end in ((0, 50_000), (50_000, 50_001)):
        answer = await data(me, upload, BYTES[start:end])
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await me.get(f"/uploads/{upload['id']}"))["file_offset"] == end
    assert (await data(me, upload, b"")).status_code == 204
    assert upload["id"] in [one["id"] for one in await me.get("/users/me/uploads")]
    over = await data(me, upload, BYTES[50_001:] + b"x")
    assert (over.status_code, over.json()["id"]) == (413, "api.file.upload_file.too_large_detailed.app_error")
    last = await data(me, upload, BYTES[50_001:])
    assert last.status_code == 200, last.text
    info = last.json()
    assert (info["size"], info["name"], info["channel_id"]) == (len(BYTES), "Ünï.bin", channel)
    assert (await me.request("GET", f"/files/{info['id']}")).content == BYTES
    row = await crew.town.db.fetchrow("SELECT sha256, key FROM files WHERE id = $1", info["id"])
    assert row is not None
    assert row["sha256"] == hashlib.sha256(BYTES).digest()
    assert (await me.get(f"/uploads/{upload['id']}", expect=404))["id"] == "app.upload.get.app_error"
    assert (await data(me, upload, b"x")).status_code == 404
    async with asyncio.timeout(30):  # the pieces go when the janitor comes
        while set(await stored(crew, place, config)) - before != {row["key"]}:
            await asyncio.sleep(0.02)
    assert not (Path(crew.people.api.settings.files.directory) / "pieces" / upload["id"]).exists()
    body = {"channel_id": channel, "message": "", "file_ids": [info["id"]]}
    assert (await me.post("/posts", body, expect=201))["metadata"]["files"][0]["id"] == info["id"]


async def test_a_picture_by_a_form(crew: Crew) -> None:
    me, picture = crew.people.member, drawn()
    upload = await begin(me, crew.people.channel["id"], len(picture), "p.png")
    answer = await me.request("POST", f"/uploads/{upload['id']}", files={"data": ("ignored.txt", picture)})
    assert (answer.status_code, answer.json()["has_preview_image"]) == (200, True)
    empty = await begin(me, crew.people.channel["id"], 5)
    refused = await me.request("POST", f"/uploads/{empty['id']}", files={"data": (None, b"abcde")})
    assert (refused.status_code, refused.json()["id"]) == (400, "api.upload.upload_data.multipart_error")


async def test_only_one_of_many_counts(crew: Crew) -> None:
    me = crew.people.member
    upload = await begin(me, crew.people.channel["id"], 2000)
    answers = await asyncio.gather(*(data(me, upload, bytes([n]) * 1000) for n in range(20)))
    # Each of these began at a place where the upload then was: two of them made the file.
    done = [answer for answer in answers if answer.status_code in (200, 204)]
    assert sorted(answer.status_code for answer in done) in ([204], [200, 204])
    assert {answer.status_code for answer in answers} <= {200, 204, 400, 404}
    if len(done) == 1:
        last = await data(me, upload, b"z" * 1000)
        assert last.status_code == 200, last.text
        done.append(last)
    info = next(answer.json() for answer in done if answer.status_code == 200)
    content = (await me.request("GET", f"/files/{info['id']}")).content
    assert (content[:1000], content[1000:]) == (content[:1] * 1000, content[1000:1001] * 1000)
    whole = await begin(me, crew.people.channel["id"], 10)
    answers = await asyncio.gather(*(data(me, whole, b"0123456789") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers)[0] == 200
    assert sum(answer.status_code == 200 for answer in answers) == 1


async def test_what_came_before_a_cut_is_kept(crew: Crew) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    upload = await begin(me, channel, len(BYTES))
    url = httpx.URL(crew.people.api.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    token = me.http.headers["Authorization"]
    head = f"POST /api/v4/uploads/{upload['id']} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
    writer.write(head.encode() + f"Content-Length: {len(BYTES)}\r\n\r\n".encode() + BYTES[:70_000])
    await writer.drain()
    writer.close()
    async with asyncio.timeout(30):
        while not (offset := (await me.get(f"/uploads/{upload['id']}"))["file_offset"]):
            await asyncio.sleep(0.02)
    assert offset <= 70_000
    answer = await data(me, upload, BYTES[offset:])
    assert (await me.request("GET", f"/files/{answer.json()['id']}")).content == BYTES


async def test_who_may_and_what_is_refused(crew: Crew, config: dict[str, Any]) -> None:
    people, channel = crew.people, crew.people.channel["id"]
    upload = await begin(people.member, channel, 10)
    callers = (people.anonymous, crew.gone, people.stranger, people.teammate, people.owner, people.member, people.admin)
    body = {"channel_id": channel, "filename": "a", "file_size": 3}
    table: list[tuple[str, str, Any, tuple[int, ...]]] = [
        ("GET", f"/uploads/{upload['id']}", None, (401, 401, 403, 403, 403, 200, 200)),
        ("POST", f"/uploads/{upload['id']}", b"a", (401, 401, 403, 403, 403, 204, 403)),
        ("GET", f"/users/{people.member.id}/uploads", None, (401, 401, 403, 403, 403, 200, 403)),
        ("GET", f"/uploads/{new_id()}", None, (401, 401, 404, 404, 404, 404, 404)),
    ]
    for method, path, content, expected in table:
        found = [(await caller.request(method, path, content=content)).status_code for caller in callers]
        assert tuple(found) == expected, (method, path)
    foreign = await people.owner.get(f"/uploads/{upload['id']}", expect=403)
    assert foreign["id"] == "api.upload.get_upload.forbidden.app_error"
    made = [(await caller.request("POST", "/uploads", json=body)).status_code for caller in callers]
    assert made == [401, 401, 403, 403, 201, 201, 201]
    archived = await people.owner.new_channel(people.team["id"], "attic")
    begun = await begin(people.owner, archived["id"], 5)
    await people.owner.delete(f"/channels/{archived['id']}")
    for change, status, error in (
        ({"channel_id": "x"}, 400, "api.context.invalid_body_param.app_error"),
        ({"filename": ""}, 400, "model.upload_session.is_valid.filename.app_error"),
        ({"file_size": 0}, 400, "model.upload_session.is_valid.file_size.app_error"),
        ({"file_size": 2**40}, 413, "app.upload.create.upload_too_large.app_error"),
        ({"type": "odd"}, 400, "model.upload_session.is_valid.type.app_error"),
        ({"type": "import"}, 403, "api.context.permissions.app_error"),
        ({"channel_id": archived["id"]}, 400, "app.upload.create.cannot_upload_to_deleted_channel.app_error"),
    ):
        refused = await people.owner.post("/uploads", body | change, expect=status)
        assert refused["id"] == error
    assert begun["file_offset"] == 0
    config["FileSettings.EnableFileAttachments"] = False
    off = await people.owner.post("/uploads", body, expect=501)
    assert off["id"] == "api.file.attachments.disabled.app_error"
    assert (await data(people.member, upload, b"a")).status_code == 501


async def test_limits(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    me, channel = crew.people.owner, crew.people.channel["id"]
    monkeypatch.setattr(upload_sessions, "PIECES_MAX", 2)
    upload = await begin(me, channel, 10)
    assert [(await data(me, upload, b"a")).status_code for _ in range(3)] == [204, 204, 400]
    assert (await data(me, upload, b"a" * 8)).status_code == 200
    monkeypatch.setattr(upload_sessions, "SESSIONS_MAX", len(await me.get("/users/me/uploads")) + 1)
    await begin(me, channel, 10)
    refused = await begin(me, channel, 10, expect=400)
    assert refused["id"] == "app.upload.create.save.app_error"
    assert SESSIONS_MAX == 200


async def test_what_nobody_goes_on_with_ends(crew: Crew, config: dict[str, Any]) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    before = set(await stored(crew, "disk", config))
    upload = await begin(me, channel, 10)
    await data(me, upload, b"abc")
    assert len(set(await stored(crew, "disk", config)) - before) == 1
    settings = crew.people.api.settings
    janitor = Janitor(crew.town.db, FileStore(settings, Config(settings, crew.town.db), ""))
    await janitor.sweep(now_ms() + file_janitor.SESSION_MS - 60_000)
    assert (await me.get(f"/uploads/{upload['id']}"))["file_offset"] == 3
    await janitor.sweep(now_ms() + file_janitor.SESSION_MS + 1000)
    await me.get(f"/uploads/{upload['id']}", expect=404)
    left = set(await stored(crew, "disk", config))
    assert left <= before and not any(key.startswith("pieces/") for key in left)


async def test_objects_are_deleted_several_at_a_time(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, a slow store's took longer than a transaction may wait: none ever left the list."""
    db, settings = crew.town.db, crew.people.api.settings
    store = FileStore(settings, Config(settings, db), "")
    keys = [f"slow/{new_id()}" for _ in range(file_janitor.DELETIONS + 1)]
    together, deleted = asyncio.Barrier(file_janitor.DELETIONS), []

    async def delete(one: list[str]) -> None:
        deleted.extend(one)
        if len(deleted) <= file_janitor.DELETIONS:
            await together.wait()

    monkeypatch.setattr(store.objects, "delete", delete)
    await db.execute("INSERT INTO doomed_objects (key, at) SELECT u, 1 FROM unnest($1::text[]) u", keys)
    async with asyncio.timeout(30):
        assert await Janitor(db, store).sweep(1) == len(keys)
    assert sorted(deleted) == sorted(keys)
    assert not await db.fetchval("SELECT count(*) FROM doomed_objects WHERE at = 1")


async def test_what_cannot_be_deleted_holds_up_nothing(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder where an object should be, and one where files are received."""
    db, settings = crew.town.db, crew.people.api.settings
    store = FileStore(settings, Config(settings, db), "")
    stuck, gone, now = f"stuck/{new_id()}", f"other/{new_id()}", now_ms()
    for key in (f"{stuck}/inside", gone):
        await store.objects.put(key, b"x")
    odd = store.directory / "incoming" / "folder"
    odd.mkdir()
    monkeypatch.setattr(file_janitor, "AT_ONCE", 1)
    await db.execute("INSERT INTO doomed_objects (key, at) VALUES ($1, 1), ($2, 2)", stuck, gone)
    janitor = Janitor(db, store)
    await janitor.sweep(now)
    odd.rmdir()
    assert await store.objects.keys("other") == []
    at = await db.fetchval("SELECT at FROM doomed_objects WHERE key = $1", stuck)
    assert 0 <= at - now - file_janitor.LATER_MS < 60_000  # put off by this janitor, or by the API's own
    await store.objects.delete([f"{stuck}/inside"])  # then it is none any more
    await janitor.sweep(at)
    assert not await db.fetchval("SELECT count(*) FROM doomed_objects WHERE key = $1", stuck)
