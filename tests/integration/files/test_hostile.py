"""Files that are made to harm: names, types, pictures, bodies that lie; and what is left when something fails."""

import asyncio
import contextlib
import errno
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.fixtures.ports import free_port
from tests.integration.files.shelf import BYTES, drawn, send, stored, upload
from tests.integration.people.crew import Crew
from tidewire.actions.config import Config
from tidewire.actions.file_janitor import GRACE_MS, Janitor
from tidewire.actions.file_store import FileStore
from tidewire.store import files as file_rows
from tidewire.store.incoming import Incoming, sweep
from tidewire.store.objects import INCOMING, Objects
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

pytestmark = pytest.mark.asyncio(loop_scope="package")

NAMES = {
    "../../etc/passwd": "passwd",
    "..%2f..%2fx.png": "..%2f..%2fx.png",
    "a\0b.txt": "ab.txt",
    "..\\..\\x.txt": "x.txt",
    "n" * 4096 + ".png": "n" * 251 + ".png",
    "\u202egnp.exe": "gnp.exe",
    "CON": "CON",
    'a"\r\nX-Evil: 1\r\n\r\nb.txt': 'a"X-Evil: 1b.txt',
    "..": "unnamed",
    "\u65e5\u672c.txt": "\u65e5\u672c.txt",
}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
ACTIVE = [
    ("x.html", b"<!doctype html><script>alert(1)</script>"),
    ("x.svg", SVG),
    ("x.png", SVG),
    ("x.xml", b'<?xml version="1.0"?><x xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></x>'),
    ("x.js", b"alert(1)"),
    ("x.css", b"a{}"),
    ("x.swf", b"FWS\x05"),
    ("x.pdf", b"%PDF-1.7\n<html><script>alert(1)</script>"),
    ("x.jpg", b"<html><script>alert(1)</script>"),
    ("x.mp4", b"<html>    ftyp"),
]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bombs() -> dict[str, bytes]:
    """Return pictures that lie, by name."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0"
    gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff" + frame * 100_000 + b";"
    # One frame of 60,000 x 60,000 on a canvas of one pixel.
    larger = gif[:19] + b",\0\0\0\0" + struct.pack("<HH", 60_000, 60_000) + frame[9:] + b";"
    jpeg, out = drawn("JPEG"), io.BytesIO()
    at = jpeg.index(b"\xff\xc0") + 5
    lying = jpeg[:at] + struct.pack(">HH", 5000, 5000) + jpeg[at + 4 :]
    Image.new("RGB", (60, 60)).save(out, "WEBP", lossless=True)
    webp = out.getvalue()
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = exif.tobytes()[:-4] + struct.pack("<I", 8)  # a directory that follows itself
    return {
        "many-pixels.png": png,
        "many-frames.gif": gif,
        "larger.gif": larger,
        "lying.jpg": lying,
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.webp": webp[:30],
        "lying.webp": webp[:24] + b"\xff\xff\xff\x0f" + webp[28:],
        "deep.jpg": drawn("JPEG", exif=deep),
        "bomb.bmp": b"BM" + struct.pack("<IHHIIiiHHI", 100, 0, 0, 54, 40, 60_000, 60_000, 1, 32, 0) + bytes(24),
    }


async def test_names_are_only_data(crew: Crew, config: dict[str, Any]) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    root = Path(crew.people.api.settings.files.directory)
    outside = set(root.parent.iterdir())
    for name, wanted in NAMES.items():
        answer = await me.request(
            "POST", "/files", params={"channel_id": channel, "filename": name.replace("\0", "")}, content=b"x"
        )
        assert answer.status_code == (201 if len(name) < 2000 else 414), answer.text
        # The same in a form, quoted by hand.
        quoted = name.translate({0: "", 10: "%0A", 13: "%0D", ord("\\"): "\\\\", ord('"'): '\\"'})
        form = f'--b\r\nContent-Disposition: form-data; name="channel_id"\r\n\r\n{channel}\r\n--b\r\n'
        form += f'Content-Disposition: form-data; name="files"; filename="{quoted}"\r\n\r\nx\r\n--b--\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        formed = await me.request("POST", "/files", content=form.encode(), headers=headers)
        assert formed.status_code == 201, formed.text
        for sent in (answer, formed):
            if sent.status_code == 201:
                info = sent.json()["file_infos"][0]
                # A browser may leave a line's end escaped as it is: then it is a name's text.
                assert info["name"] in (wanted, wanted.replace("X-", "%0D%0AX-").replace("1b", "1%0D%0A%0D%0Ab"))
                got = await me.request("GET", f"/files/{info['id']}")
                assert got.headers["Content-Disposition"].isascii()
                assert "X-Evil" not in got.headers
    keys = await stored(crew, "disk", config)
    assert all(key.replace("/", "").replace(".", "").isalnum() for key in keys)
    assert set(root.parent.iterdir()) == outside


async def test_nothing_that_runs_is_shown(crew: Crew) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    for name, content in ACTIVE:
        for media in ("image/png", "text/html"):
            files = {"files": (name, content, media)}
            answer = await me.request("POST", "/files", files=files, data={"channel_id": channel})
            info = answer.json()["file_infos"][0]
            assert "has_preview_image" not in info
            got = await me.request("GET", f"/files/{info['id']}")
            assert got.headers["Content-Disposition"].startswith("attachment;"), name
            assert got.headers["X-Content-Type-Options"] == "nosniff"
            policy = got.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "sandbox" in policy
            assert "script" not in policy
            assert got.headers["X-Frame-Options"] == "DENY"
            kind = got.headers["Content-Type"]
            assert not any(word in kind for word in ("html", "xml", "svg", "script", "css", "flash")), (name, kind)
    for name, content, kind in (
        ("a.bin", b"\0\0\0\x18ftypmp42", "video/mp4"),
        ("a.mp3", b"ID3\x04", "audio/mpeg"),
        ("a.wav", b"RIFF\0\0\0\0WAVE", "audio/wav"),
    ):
        info = await upload(me, channel, name, content)
        got = await me.request("GET", f"/files/{info['id']}")
        assert got.headers["Content-Disposition"].startswith("inline;")
        assert got.headers["Content-Type"] == kind
    for name, brand in (("a.avif", b"avif"), ("a.heic", b"heic"), ("a.heif", b"mif1")):  # the boxes of MP4, no films
        info = await upload(me, channel, name, b"\0\0\0\x1cftyp" + brand)
        got = await me.request("GET", f"/files/{info['id']}")
        assert got.headers["Content-Disposition"].startswith("attachment;")
        assert got.headers["Content-Type"] == info["mime_type"] != "video/mp4"


async def test_pictures_that_lie(crew: Crew, config: dict[str, Any]) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    found: dict[str, Any] = {}
    for name, content in bombs().items():
        answer = await send(me, channel, (name, content))
        assert answer.status_code in (201, 400), (name, answer.text)
        if answer.status_code == 400:
            assert answer.json()["id"] == "api.file.upload_file.large_image_detailed.app_error", name
        found[name] = answer.json()["file_infos"][0] if answer.status_code == 201 else 400
    assert [name for name, info in found.items() if info == 400] == ["many-pixels.png", "larger.gif", "bomb.bmp"]
    assert "has_preview_image" not in found["many-frames.gif"]
    assert "width" not in found["cut.jpg"]
    assert found["deep.jpg"]["has_preview_image"]
    config["FileSettings.MaxImageResolution"] = 300 * 200 - 1
    assert (await send(me, channel, ("a.png", drawn()))).status_code == 400
    config["FileSettings.MaxImageResolution"] = 300 * 200
    assert (await send(me, channel, ("a.png", drawn()))).status_code == 201


async def raw_request(crew: Crew, head: str, body: bytes, *, wait: bool = True) -> bytes:
    """Send bytes as they are; return what comes back, or hang up at once."""
    url = httpx.URL(crew.people.api.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    token = crew.people.member.http.headers["Authorization"]
    writer.write(f"{head}\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode() + body)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(4096), 20) if wait else b""
    writer.close()
    return answer


def incoming(crew: Crew) -> list[Path]:
    return list((Path(crew.people.api.settings.files.directory) / INCOMING).iterdir())


async def nothing_left(crew: Crew, config: dict[str, Any], before: list[str]) -> None:
    """Wait until no file is being received and the store holds nothing that it did not hold.

    The janitor may meanwhile come for what other tests left.
    """
    async with asyncio.timeout(30):
        while incoming(crew) or set(await stored(crew, "disk", config)) - set(before):
            await asyncio.sleep(0.02)


async def test_bodies_that_lie_leave_nothing(crew: Crew, config: dict[str, Any]) -> None:
    channel = crew.people.channel["id"]
    before = await stored(crew, "disk", config)
    rows = await crew.town.db.fetchval("SELECT count(*) FROM files")
    post = f"POST /api/v4/files?channel_id={channel}&filename=a HTTP/1.1"
    form = "POST /api/v4/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b"
    part = f'--b\r\nContent-Disposition: form-data; name="channel_id"\r\n\r\n{channel}\r\n--b\r\n'.encode()
    part += b'Content-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + BYTES
    # Cut in the middle, with and without a length.
    await raw_request(crew, f"{post}\r\nContent-Length: {2 * len(BYTES)}", BYTES, wait=False)
    await raw_request(crew, f"{form}\r\nContent-Length: {2 * len(part)}", part, wait=False)
    await raw_request(crew, f"{form}\r\nTransfer-Encoding: chunked", b"%x\r\n" % len(part) + part, wait=False)
    # A form that ends before its end.
    answer = await raw_request(crew, f"{form}\r\nContent-Length: {len(part)}", part)
    assert answer.startswith(b"HTTP/1.1 400")
    # No length where there must be one; a form of more than may be sent, without a length.
    answer = await raw_request(crew, f"{post}\r\nTransfer-Encoding: chunked", b"1\r\na\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    config["FileSettings.MaxFileSize"] = 100_000
    chunked = b"%x\r\n" % len(part) + part + b"\r\n0\r\n\r\n"
    answer = await raw_request(crew, f"{form}\r\nTransfer-Encoding: chunked", chunked)
    assert answer.startswith(b"HTTP/1.1 413")
    await nothing_left(crew, config, before)
    assert await crew.town.db.fetchval("SELECT count(*) FROM files") == rows


async def test_a_store_that_fails_leaves_nothing(
    crew: Crew, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    before = await stored(crew, "disk", config)
    put, calls = Objects.put_file, 0

    async def failing(self: Objects, key: str, path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            raise Unavailable("files")
        await put(self, key, path)

    monkeypatch.setattr(Objects, "put_file", failing)
    answer = await send(me, channel, ("a.png", drawn()), ("b", b"b"))
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert calls == 2
    await nothing_left(crew, config, before)

    async def insert(*_: Any) -> bool:
        raise Unavailable("database")

    monkeypatch.undo()
    monkeypatch.setattr(file_rows, "insert", insert)
    assert (await send(me, channel, ("a.png", drawn()))).status_code == 503
    await nothing_left(crew, config, before)


async def test_a_full_disk_is_a_503(crew: Crew, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    before = await stored(crew, "disk", config)
    emoji = {"emoji": (None, json.dumps({"name": "full", "creator_id": me.id})), "image": ("a.png", drawn())}
    raw = f"/files?channel_id={channel}&filename=a"
    body = {"channel_id": channel, "filename": "a", "file_size": 10}
    session = (await me.post("/uploads", body, expect=201))["id"]

    async def attempts() -> list[httpx.Response]:
        return [
            await send(me, channel, ("a", b"small")),
            await send(me, channel, ("a", bytes(3 << 20))),
            await me.request("POST", raw, content=b"small"),
            await me.request("POST", f"/uploads/{session}", content=b"0123456789"),
            await me.request("POST", "/emoji", files=emoji),
        ]

    make = tempfile.NamedTemporaryFile

    def make_full(*args: Any, **more: Any) -> Any:
        file, device = make(*args, **more), os.open("/dev/full", os.O_RDWR)
        os.dup2(device, file.fileno())
        os.close(device)
        return file

    def refuse(*args: Any, **more: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/place")

    for fault in (make_full, refuse):
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", fault)
        for answer in await attempts():
            assert (answer.status_code, answer.json()["id"]) == (503, "api.context.server_busy.app_error")
            assert int(answer.headers["Retry-After"]) > 0
            assert not {word for word in ("space", "secret", "/dev") if word in answer.text}
    monkeypatch.undo()
    await nothing_left(crew, config, before)
    answers = await attempts()  # nobody has to start anything again
    assert [answer.status_code for answer in answers] == [201, 201, 201, 200, 200]
    await me.delete(f"/emoji/{answers[-1].json()['id']}")


async def test_s3_that_is_away_is_a_503(crew: Crew, config: dict[str, Any]) -> None:
    me, channel = crew.people.member, crew.people.channel["id"]
    kept = await upload(me, channel)
    config |= {
        "FileSettings.DriverName": "amazons3",
        "FileSettings.AmazonS3Bucket": "none",
        "FileSettings.AmazonS3Endpoint": f"127.0.0.1:{free_port()}",
        "FileSettings.AmazonS3SSL": False,
        "FileSettings.AmazonS3AccessKeyId": "a",
        "FileSettings.AmazonS3SecretAccessKey": "b",
        "FileSettings.AmazonS3RequestTimeoutMilliseconds": 300,
    }
    for answer in (await send(me, channel, ("a", b"a")), await me.request("GET", f"/files/{kept['id']}")):
        assert (answer.status_code, answer.json()["id"]) == (503, "api.context.server_busy.app_error")
    assert incoming(crew) == []
    health = await me.request("GET", "/system/ping?get_server_status=true")
    assert (health.status_code, health.json()["filestore_status"]) == (500, "UNHEALTHY")
    config["FileSettings.AmazonS3Bucket"] = ""  # not the disk instead
    assert (await send(me, channel, ("a", b"a"))).status_code == 503
    for name in list(config):
        del config[name]
    health = await me.request("GET", "/system/ping?get_server_status=true")
    assert (health.json()["filestore_status"], health.headers["filestore_status"]) == ("OK", "OK")


async def test_the_janitor_takes_only_what_nobody_needs(crew: Crew, config: dict[str, Any]) -> None:
    me, db = crew.people.member, crew.town.db
    info = await upload(me, crew.people.channel["id"], "p.png", drawn())
    settings = crew.people.api.settings
    store = FileStore(settings, Config(settings, db), "")
    janitor = Janitor(db, store)
    row = await db.fetchrow("SELECT key FROM files WHERE id = $1", info["id"])
    assert row is not None
    # As if the answer to the commit had been lost.
    keys = [row["key"], row["key"] + ".thumbnail", row["key"] + ".preview"]
    await file_rows.doom(db, keys, 0)
    await store.objects.put("2026/01/01/unnamed", b"x")
    await file_rows.doom(db, ["2026/01/01/unnamed"], now_ms() + GRACE_MS)
    await janitor.sweep(now_ms())
    assert "2026/01/01/unnamed" in await stored(crew, "disk", config)  # its row may still come
    await janitor.sweep(now_ms() + GRACE_MS)
    left = await stored(crew, "disk", config)
    assert "2026/01/01/unnamed" not in left
    assert set(keys) <= set(left)
    assert await db.fetchval("SELECT count(*) FROM doomed_objects WHERE key = ANY($1)", keys) == 0


async def test_files_of_the_living_are_not_swept(tmp_path: Path) -> None:
    async with Incoming(tmp_path) as mine:
        await mine.write(b"abc")
        (tmp_path / "left").write_bytes(b"by the dead")
        assert await asyncio.to_thread(sweep, tmp_path) == 1
        assert list(tmp_path.iterdir()) == [mine.path]
    assert list(tmp_path.iterdir()) == []


@contextlib.asynccontextmanager
async def process(crew: Crew, folder: Path) -> AsyncIterator[tuple["subprocess.Popen[bytes]", httpx.AsyncClient]]:
    """Run an API in a process of its own, at the crew's database, with files in a folder."""
    settings, port = crew.people.api.settings, free_port()
    environment = {
        "TIDEWIRE_DATABASE_URL": settings.database.url,
        "TIDEWIRE_REDIS_URL": settings.redis.url,
        "TIDEWIRE_FILES_DIRECTORY": str(folder),
        "TIDEWIRE_API_PORT": str(port),
    }
    argv = [sys.executable, "-m", "tidewire", "api"]
    api = subprocess.Popen(argv, env=os.environ | environment, start_new_session=True)
    headers = {"Authorization": crew.people.member.http.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v4", headers=headers, timeout=30) as client:
        try:
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        if (await client.get("/system/ping")).status_code == 200:
                            break
                    await asyncio.sleep(0.05)
            yield api, client
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(api.pid, 9)
            api.wait()


async def test_kill_in_the_middle_leaves_nothing(crew: Crew, tmp_path: Path) -> None:
    channel, place = crew.people.channel["id"], tmp_path / INCOMING
    content = random.Random(1).randbytes(8 << 20)

    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1 << 20):
            yield content[start : start + (1 << 20)]
            if start >= 4 << 20:
                await asyncio.sleep(60)

    rows = await crew.town.db.fetchval("SELECT count(*) FROM files")
    async with process(crew, tmp_path) as (api, client):
        headers = {"Content-Length": str(len(content))}
        path = f"/files?channel_id={channel}&filename=a"
        sending = asyncio.create_task(client.post(path, content=slowly(), headers=headers))
        async with asyncio.timeout(30):
            while not (place.is_dir() and sum(one.stat().st_size for one in place.iterdir()) >= 2 << 20):
                await asyncio.sleep(0.02)
        os.killpg(api.pid, 9)
        sending.cancel()
        await asyncio.wait([sending])
    assert len(list(place.iterdir())) == 1
    async with process(crew, tmp_path) as (_, client):
        async with asyncio.timeout(30):
            while list(place.iterdir()):
                await asyncio.sleep(0.02)
        answer = await client.post(path, content=content)
        assert answer.status_code == 201
    assert await crew.town.db.fetchval("SELECT count(*) FROM files") == rows + 1
