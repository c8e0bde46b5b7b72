"""Profile pictures and team icons: what is taken, what is refused, who sees what. Source: Mattermost API v4."""

import asyncio
import io
import os
import signal
import struct
import time
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.fixtures.api import Client
from tests.integration.people.crew import Crew
from tidewire.pictures import initials
from tidewire.pictures.squares import SIDE

pytestmark = pytest.mark.asyncio(loop_scope="package")

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def drawn(form: str = "PNG", size: tuple[int, int] = (300, 200), **options: Any) -> bytes:
    """Return a picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", size, "blue")
    picture.paste("red", (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_that_says(width: int, height: int, data: bytes = b"") -> bytes:
    """Return a PNG whose header claims a size that its data does not have."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


async def put(who: Client, path: str, data: bytes, name: str = "image", media: str = "image/png") -> tuple[int, str]:
    """Upload; return the status and the error's id."""
    answer = await who.request("POST", path, files={name: ("x.png", data, media)})
    return answer.status_code, answer.json().get("id", "")


async def pixels(who: Client, path: str) -> Image.Image:
    """Return the picture that an address serves."""
    answer = await who.request("GET", path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png"), answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return Image.open(io.BytesIO(answer.content)).convert("RGB")


async def test_whoever_has_no_picture_gets_his_letter(crew: Crew) -> None:
    people = crew.people
    answer = await people.member.request("GET", f"/users/{people.teammate.id}/image")
    assert answer.content == initials.draw("T", initials.colour(people.teammate.id))
    assert answer.headers["Cache-Control"] == "max-age=300, private"
    assert Image.open(io.BytesIO(answer.content)).size == (SIDE, SIDE)
    again = {"If-None-Match": answer.headers["ETag"]}
    same = await people.member.request("GET", f"/users/{people.teammate.id}/image?_=0", headers=again)
    assert (same.status_code, same.content) == (304, b"")
    default = await people.member.request("GET", f"/users/{people.teammate.id}/image/default")
    assert default.content == answer.content
    await people.member.get("/users/" + "x" * 26 + "/image", expect=404)


async def test_an_uploaded_picture_is_square_and_told_to_everybody(crew: Crew) -> None:
    people, me = crew.people, crew.people.member
    mine, admins, others, guests = [
        await crew.socket(one) for one in (me, people.admin, people.stranger, crew.guest)
    ]
    before = (await me.get("/users/me"))["update_at"]
    assert await put(me, "/users/me/image", drawn()) == (200, "")
    user = await me.get("/users/me")
    assert user["last_picture_update"] == user["update_at"] > before
    for socket, fields in ((mine, {"notify_props"}), (admins, {"notify_props"}), (others, set()), (guests, set())):
        told = (await socket.event("user_updated"))["data"]["user"]
        assert (told["id"], told["last_picture_update"]) == (me.id, user["last_picture_update"])
        assert {"notify_props"} & told.keys() == fields
    first = await people.stranger.request("GET", f"/users/{me.id}/image")
    assert first.headers["ETag"] == str(user["last_picture_update"])
    assert first.headers["Cache-Control"] == "max-age=86400, private"
    picture = Image.open(io.BytesIO(first.content)).convert("RGB")
    assert picture.size == (SIDE, SIDE)
    assert [picture.getpixel((x, 64)) for x in (5, 120)] == [(255, 0, 0), (0, 0, 255)]
    # Another, and its version is another one even within the same millisecond.
    await asyncio.gather(*(put(me, "/users/me/image", drawn("JPEG")) for _ in range(3)))
    assert (await me.get("/users/me"))["last_picture_update"] > user["last_picture_update"]
    # Reset: the letter again, and clients hear a number that is not omitted.
    await me.delete("/users/me/image")
    assert (await others.event("user_updated"))["data"]["user"]["last_picture_update"] != 0
    assert (await me.get("/users/me"))["last_picture_update"] < 0
    assert (await me.request("GET", "/users/me/image")).content == initials.draw("M", initials.colour(me.id))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
async def test_formats(crew: Crew, form: str) -> None:
    me = crew.people.owner
    assert await put(me, "/users/me/image", drawn(form), media="application/octet-stream") == (200, "")
    left = (await pixels(me, "/users/me/image")).getpixel((5, 64))
    assert isinstance(left, tuple)
    assert left[0] > 200 > 60 > left[2]


async def test_orientation_and_nothing_else_of_the_file_survives(crew: Crew) -> None:
    me = crew.people.owner
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    exif[0x010E] = "secret place"
    await put(me, "/users/me/image", drawn("JPEG", exif=exif) + b"<script>alert(1)</script>")
    answer = await me.request("GET", "/users/me/image")
    picture = Image.open(io.BytesIO(answer.content))
    assert not picture.getexif()
    assert b"secret" not in answer.content
    assert b"script" not in answer.content
    top, bottom = [picture.convert("RGB").getpixel((64, y)) for y in (5, 120)]
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > 60 > bottom[0]


async def test_transparency_stays(crew: Crew) -> None:
    me, out = crew.people.owner, io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 255, 0, 0)).save(out, "PNG")
    await put(me, "/users/me/image", out.getvalue())
    picture = Image.open(io.BytesIO((await me.request("GET", "/users/me/image")).content))
    assert picture.mode == "RGBA"
    pixel = picture.getpixel((64, 64))
    assert isinstance(pixel, tuple)
    assert pixel[3] == 0


HOSTILE = {
    "nothing": (b"\0", "decode"),
    "svg": (SVG, "decode"),
    "html after a magic": (b"GIF89a/*<svg onload=alert(1)>*/=1;", "decode"),
    "truncated png": (drawn()[:120], "decode"),
    "truncated jpeg": (drawn("JPEG")[:400], "decode"),
    "60,000 pixels square": (png_that_says(60_000, 60_000), "check_image_limits"),
    "one pixel more than allowed": (png_that_says(7680, 4321), "check_image_limits"),
    "no pixels where the header says 4,000 square": (png_that_says(4000, 4000), "decode"),
    "no width": (png_that_says(0, 5), "decode"),
    "a png in name only": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "decode"),
    "gif frame outside the canvas": (
        b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\xff\xff\xff\xff\xff\xff\xff\xff\0\x02\x02D\x01\0;",
        "check_image_limits",
    ),
    "webp that lies": (
        b"RIFF\xff\xff\xff\x7fWEBPVP8 \xff\xff\xff\x7f\0\0\0\x9d\x01*\xff\x3f\xff\x3f",
        "check_image_limits",
    ),
    "bmp that lies": (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 5000, -5000, 1, 24, 0, 0, 1, 1, 0, 0),
        "decode",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_no_picture_is_a_400(crew: Crew, name: str) -> None:
    data, error = HOSTILE[name]
    people = crew.people
    found = await put(people.member, "/users/me/image", data)
    assert found == (400, f"api.user.upload_profile_user.{error}.app_error")
    found = await put(people.owner, f"/teams/{people.team['id']}/image", data)
    assert found == (400, f"api.team.set_team_icon.{error}.app_error")


FORM = "multipart/form-data; boundary=x"
FORMS: list[tuple[bytes, str, str]] = [
    (b"", FORM, "parse"),
    (b"--x\r\n", FORM, "parse"),
    (b"--x--\r\n", FORM, "no_file"),
    (b"{}", "application/json", "parse"),
    (b"x", "multipart/form-data", "parse"),
    (b"x", "multipart/form-data; boundary=" + "y" * 71, "parse"),
    (b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--', FORM, "no_file"),
    (b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n\r\n--x--', FORM, "array"),
    (b'--x\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\n1\r\n--x--', FORM, "parse"),
    (b"--x\r\n" + b"A: b\r\n" * 5000 + b"\r\n1\r\n--x--", FORM, "parse"),
    (b"".join(b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n' % i for i in range(20)) + b"--x--",
     FORM, "parse"),
]  # fmt: skip


async def test_a_hundred_thousand_frames_cost_one(crew: Crew) -> None:
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0"
    movie = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff" + frame * 100_000 + b";"
    assert await put(crew.people.owner, "/users/me/image", drawn()) == (200, "")  # the decoder has started
    started = time.monotonic()
    assert await put(crew.people.owner, "/users/me/image", movie) == (200, "")
    assert time.monotonic() - started < 5


async def test_forms_that_hold_no_file(crew: Crew) -> None:
    people = crew.people
    for content, media, error in FORMS:
        for who, path, family in (
            (people.member, "/users/me/image", "api.user.upload_profile_user"),
            (people.owner, f"/teams/{people.team['id']}/image", "api.team.set_team_icon"),
        ):
            answer = await who.request("POST", path, content=content, headers={"Content-Type": media})
            assert (answer.status_code, answer.json()["id"]) == (400, f"{family}.{error}.app_error"), content[:60]


async def test_too_many_bytes(crew: Crew, config: dict[str, Any]) -> None:
    config["FileSettings.MaxFileSize"] = 200_000
    people, noise = crew.people, os.urandom(270_000)
    body = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + noise

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    headers = {"Content-Type": FORM}
    for content in (body, in_pieces()):
        answer = await people.member.request("POST", "/users/me/image", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["id"] == "api.user.upload_profile_user.too_large.app_error"
    found = await put(people.owner, f"/teams/{people.team['id']}/image", noise)
    assert found == (400, "api.team.set_team_icon.too_large.app_error")


async def test_a_hanging_decoder_is_replaced(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed in the middle of a job; the next upload gets a new one."""
    state = crew.people
    assert await put(state.member, "/users/me/image", drawn()) == (200, "")
    [pid] = workers()
    submit, given = ProcessPoolExecutor.submit, asyncio.Event()

    def noting(self: ProcessPoolExecutor, *job: Any) -> Any:
        given.set()
        return submit(self, *job)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", noting)
    os.kill(pid, signal.SIGSTOP)
    turn = asyncio.create_task(put(state.member, "/users/me/image", drawn()))
    await given.wait()
    os.kill(pid, signal.SIGKILL)
    assert await turn == (400, "api.user.upload_profile_user.decode.app_error")
    assert await put(state.member, "/users/me/image", drawn()) == (200, "")
    assert workers() != [pid]


def workers() -> list[int]:
    """Return the processes that decode pictures for this one."""
    import psutil

    return [one.pid for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]


async def test_team_icons(crew: Crew) -> None:
    people, team = crew.people, crew.people.team["id"]
    path = f"/teams/{team}/image"
    assert (await people.member.get(path, expect=404))["id"] == "api.team.get_team_icon.read_file.app_error"
    inside, outside = await crew.socket(people.member), await crew.socket(people.stranger)
    assert await put(people.owner, path, drawn()) == (200, "")
    event = await inside.event("update_team")
    told = event["data"]["team"]
    assert event["broadcast"]["team_id"] == team
    assert '"email":""' in told
    assert '"invite_id":""' in told
    row = await people.owner.get(f"/teams/{team}")
    assert f'"last_team_icon_update":{row["last_team_icon_update"]}' in told
    answer = await people.member.request("GET", path)
    assert answer.headers["ETag"] == str(row["last_team_icon_update"])
    assert answer.headers["Cache-Control"] == "max-age=86400, private"
    assert Image.open(io.BytesIO(answer.content)).size == (SIDE, SIDE)
    again = await people.member.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    await people.owner.delete(path)
    await people.member.get(path, expect=404)
    assert (await people.owner.get(f"/teams/{team}"))["last_team_icon_update"] == 0
    assert "update_team" not in await outside.quiet()


async def test_who_may(crew: Crew) -> None:
    people = crew.people
    callers = (people.anonymous, crew.gone, people.stranger, crew.guest, people.member, people.owner, people.admin)
    member, stranger, team = people.member.id, people.stranger.id, people.team["id"]
    table: list[tuple[str, str, tuple[int, ...]]] = [
        ("POST", f"/users/{member}/image", (401, 401, 403, 403, 200, 403, 200)),
        ("DELETE", f"/users/{member}/image", (401, 401, 403, 403, 200, 403, 200)),
        ("POST", f"/teams/{team}/image", (401, 401, 403, 403, 403, 200, 200)),
        ("GET", f"/teams/{team}/image", (401, 401, 403, 200, 200, 200, 200)),
        ("DELETE", f"/teams/{team}/image", (401, 401, 403, 403, 403, 200, 200)),
        ("GET", f"/users/{member}/image", (401, 401, 200, 200, 200, 200, 200)),
        ("GET", f"/users/{stranger}/image", (401, 401, 200, 403, 200, 200, 200)),
        ("GET", f"/users/{stranger}/image/default", (401, 401, 200, 403, 200, 200, 200)),
        ("GET", f"/users/{'x' * 26}/image", (401, 401, 404, 403, 404, 404, 404)),
    ]
    for method, path, expected in table:
        found = []
        for caller in callers:
            files = {"files": {"image": ("x.png", drawn(), "image/png")}} if method == "POST" else {}
            found.append((await caller.request(method, path, **files)).status_code)
        assert tuple(found) == expected, (method, path)
