"""What an export says of a workspace that was made through the API. That an import restores it: test_equality.py."""

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import asyncpg
import pytest
import pytest_asyncio

from tests.integration.bulk.conftest import Site
from tests.integration.files.shelf import BYTES, drawn
from tests.integration.posts.chat import say
from tidewire.bulk import export_people
from tidewire.bulk.export import export
from tidewire.bulk.export_job import NoSuchTeam, Options
from tidewire.store.objects import Objects, Place
from tidewire.wire.errors import Unavailable

pytestmark = pytest.mark.asyncio(loop_scope="package")
Lines = dict[str, list[dict[str, Any]]]


def decoded(data: bytes) -> Lines:
    """Return type → objects of the lines of a file."""
    found: Lines = {}
    for text in data.decode().removesuffix("\n").split("\n"):
        line = json.loads(text)
        found.setdefault(line["type"], []).append(line.get(line["type"]))
    return found


def unpacked(path: Path) -> Lines:
    """Return the lines of a zip."""
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        return decoded(archive.read("import.jsonl"))


def saying(posts: list[dict[str, Any]], text: str) -> dict[str, Any]:
    """Return the post that begins with a text."""
    (found,) = [post for post in posts if post["message"].startswith(text)]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the exports of this module go."""
    return tmp_path_factory.mktemp("exports")


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def whole(site: Site, folder: Path) -> Path:
    """All of it, in a zip."""
    await site.export(folder / "whole.zip")
    return folder / "whole.zip"


async def test_lines_come_in_the_order_in_which_they_are_read(whole: Path) -> None:
    with ZipFile(whole) as archive:
        kinds = [json.loads(text)["type"] for text in archive.read("import.jsonl").splitlines()]
    order = ["version", "role", "emoji", "team", "channel", "user", "bot", "post", "direct_channel", "direct_post"]
    assert list(dict.fromkeys(kinds)) == order
    assert stat.S_IMODE(whole.stat().st_mode) == 0o600
    assert list(whole.parent.iterdir()) == [whole]


async def test_a_post_has_all_that_hangs_on_it(site: Site, whole: Path) -> None:
    posts = unpacked(whole)["post"]
    post = saying(posts, "der Käse")
    row = await site.db.fetchrow("SELECT create_at FROM posts WHERE id = $1", site.ids["root"])
    assert row is not None
    assert (post["team"], post["channel"], post["user"]) == ("seagulls", "harbour", "member")
    assert (post["create_at"], post["message"], post["is_pinned"]) == (row["create_at"], "der Käse 🧀 @owner", True)
    assert post["props"]["mine"] == [1, {"two": None}]
    assert [(one["user"], one["emoji_name"]) for one in post["reactions"]] == [("owner", "cheese_wedge")]
    (reply,) = post["replies"]
    assert (reply["user"], reply["message"], reply["flagged_by"]) == ("owner", "a better answer", ["owner"])
    assert reply["edit_at"] > reply["create_at"] > post["create_at"] > 0
    assert {one["user"] for one in post["thread_followers"]} == {"owner", "member"}
    assert all(one["last_viewed"] >= 0 for one in post["thread_followers"])
    assert [one["path"].rpartition("/")[2] for one in post["attachments"]] == ["Zeichnung ü.png", "a.bin", "a.bin"]
    assert saying(posts, "urgent")["priority"] == {"priority": "urgent", "requested_ack": True}
    said = [post["message"] for post in posts] + [one["message"] for post in posts for one in post.get("replies", [])]
    assert not {"taken back", "a wrong answer", "an answer"} & set(said)
    assert any(post.get("type") == "system_join_channel" for post in posts)
    assert saying(posts, "long ago")["channel"] == "old"


async def test_files_are_in_the_zip_once(whole: Path) -> None:
    post = saying(unpacked(whole)["post"], "der Käse")
    with ZipFile(whole) as archive:
        names = archive.namelist()
        paths = {one["path"] for one in post["attachments"]}
        assert sorted(archive.read(f"data/{path}") for path in paths) == sorted([drawn(), BYTES])
        (emoji,) = unpacked(whole)["emoji"]
        assert emoji["name"] == "cheddar" and archive.read(f"data/{emoji['image']}").startswith(b"\x89PNG")
        users = {user["username"]: user for user in unpacked(whole)["user"]}
        assert archive.read(f"data/{users['member']['profile_image']}").startswith(b"\x89PNG")
        assert "profile_image" not in users["owner"]
    assert len(names) == len(set(names)) == len(paths) + 3


async def test_people_have_their_memberships_and_wishes(site: Site, whole: Path) -> None:
    lines = unpacked(whole)
    users = {user["username"]: user for user in lines["user"]}
    owner = users["owner"]
    (team,) = owner["teams"]
    channels = {channel["name"]: channel for channel in team["channels"]}
    assert (team["name"], team["roles"]) == ("seagulls", "team_user team_admin")
    assert channels["harbour"]["favorite"] is True and "favorite" not in channels["hidden"]
    assert channels["harbour"]["roles"] == "channel_user channel_admin"
    assert channels["harbour"]["notify_props"]["mobile"] == "default"
    assert (owner["theme"], owner["tutorial_step"], owner["email_interval"]) == ('{"type":"Onyx"}', "999", "fifteen")
    assert owner["notify_props"]["mobile"] == "mention" and owner["email"] == "owner@example.org"
    assert owner["custom_status"] == {"emoji": "palm_tree", "text": "on the beach"}
    assert users["stranger"]["delete_at"] > 0 and "delete_at" not in owner
    assert set(users["admin"]["roles"].split()) == {"system_user", "system_admin"}
    stored = await site.db.fetchval("SELECT password_hash FROM users WHERE username = 'owner'")
    assert stored and owner["password_hash"] == stored
    # Two of seven posts were deleted: what is read of the rest is all of it.
    counted = {post["message"] for post in lines["post"] if post["channel"] == "harbour" and not post.get("type")}
    assert channels["harbour"]["msg_count_root"] == len(counted)
    (bot,) = [bot for bot in lines["bot"] if bot["username"] == "robot"]
    assert bot == {"username": "robot", "owner": "admin", "display_name": "Robot"}
    archived = {one["name"] for one in lines["channel"] if one.get("deleted_at")}
    assert archived == {"old"} and "old" in channels
    (role,) = lines["role"]
    assert (role["name"], role["permissions"]) == ("system_post_all", ["create_post"])


async def test_direct_channels_name_their_members(whole: Path) -> None:
    lines = unpacked(whole)
    found = {tuple(one["username"] for one in line["participants"]): line for line in lines["direct_channel"]}
    assert found.keys() == {("member", "member"), ("member", "owner"), ("member", "owner", "teammate")}
    assert found["member", "owner"]["shown_by"] == ["owner"]
    assert found["member", "owner", "teammate"]["shown_by"] == ["owner"]
    posts = [(post["channel_members"], post["message"]) for post in lines["direct_post"]]
    assert posts == [(["member", "member"], "a note"), (["member", "owner"], "between us")]


async def test_a_plain_file_has_lines_alone(site: Site, tmp_path: Path) -> None:
    report = await site.export(tmp_path / "some.jsonl", passwords=False, archived_channels=False)
    lines = decoded((tmp_path / "some.jsonl").read_bytes())
    assert "emoji" not in lines and not any("attachments" in post for post in lines["post"])
    assert not any("password_hash" in user or "profile_image" in user for user in lines["user"])
    assert "old" not in {channel["name"] for channel in lines["channel"]} | {post["channel"] for post in lines["post"]}
    assert report.left_out == {"attachments": 3, "emojis": 1, "archived channels": 1}


async def test_one_team_is_exported_with_its_people(site: Site, tmp_path: Path) -> None:
    await site.export(tmp_path / "team.zip", team="puffins", attachments=False, profile_pictures=False)
    lines = unpacked(tmp_path / "team.zip")
    assert [team["name"] for team in lines["team"]] == ["puffins"]
    assert [user["username"] for user in lines["user"]] == ["stranger"]
    assert {channel["team"] for channel in lines["channel"]} == {post["team"] for post in lines["post"]} == {"puffins"}
    assert not lines.keys() & {"bot", "direct_channel", "direct_post", "role"}
    with pytest.raises(NoSuchTeam):
        await site.export(tmp_path / "none.zip", team="penguins")
    assert list(tmp_path.iterdir()) == [tmp_path / "team.zip"]


async def test_what_is_written_meanwhile_is_not_in_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_users = export_people.write_users

    async def post_first(job: Any) -> None:
        await say(site.people.member, site.people.channel["id"], "too late")
        await write_users(job)

    monkeypatch.setattr(export_people, "write_users", post_first)
    await site.export(tmp_path / "then.jsonl")
    assert "too late" not in (tmp_path / "then.jsonl").read_text()
    monkeypatch.undo()
    await site.export(tmp_path / "then.jsonl", force=True)
    assert "too late" in (tmp_path / "then.jsonl").read_text()


async def test_a_file_that_is_there_stays(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_text("precious")
    with pytest.raises(FileExistsError):
        await site.export(tmp_path / "mine.zip")
    assert (tmp_path / "mine.zip").read_text() == "precious"
    await site.export(tmp_path / "mine.zip", force=True)
    assert unpacked(tmp_path / "mine.zip")["team"]
    assert stat.S_IMODE((tmp_path / "mine.zip").stat().st_mode) == 0o600


async def test_a_failure_leaves_nothing(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        """A store that does not answer."""

        async def get(self, key: str) -> None:
            raise Unavailable("files")

    away: Any = Away()
    with pytest.raises(Unavailable):
        await export(site.db, lambda: away, tmp_path / "cut.zip", Options())
    assert list(tmp_path.iterdir()) == []


async def test_lost_bytes_are_told(site: Site, tmp_path: Path) -> None:
    empty = Objects(Place(str(tmp_path / "elsewhere")))
    report = await export(site.db, lambda: empty, tmp_path / "lossy.zip", Options())
    assert report.left_out == {"files whose bytes are gone": 3}
    assert saying(unpacked(tmp_path / "lossy.zip")["post"], "der Käse")["attachments"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_leaves_nothing(site: Site, tmp_path: Path, sign: signal.Signals) -> None:
    lock = await asyncpg.connect(site.people.api.settings.database.url)
    try:
        async with lock.transaction():
            await lock.execute("LOCK TABLE threads IN ACCESS EXCLUSIVE MODE")
            process = await command(site, tmp_path / "cut.zip")
            async with asyncio.timeout(30):
                while not await waiting(site):
                    await asyncio.sleep(0.05)
            assert len(list(tmp_path.iterdir())) == 1
            process.send_signal(sign)
            output = await process.communicate()
    finally:
        await lock.close()
    assert process.returncode == 128 + sign, output
    assert list(tmp_path.iterdir()) == []
    assert b"Traceback" not in output[1]


async def waiting(site: Site) -> bool:
    """Tell whether an export waits for a lock."""
    query = "SELECT true FROM pg_stat_activity WHERE application_name = 'tidewire export' AND wait_event_type = 'Lock'"
    return bool(await site.db.fetchval(query))


async def command(site: Site, *args: object, **more: str) -> asyncio.subprocess.Process:
    """Start `tidewire export`."""
    settings = site.people.api.settings
    env = {
        **os.environ,
        # As on a standby: nothing can be written.
        "TIDEWIRE_DATABASE_URL": settings.database.url + "&default_transaction_read_only=on",
        "TIDEWIRE_FILES_DIRECTORY": settings.files.directory,
        **more,
    }
    words = [sys.executable, "-m", "tidewire", "export", *map(str, args)]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*words, env=env, stdout=pipe, stderr=pipe)


async def test_the_command_says_what_it_did(site: Site, tmp_path: Path) -> None:
    process = await command(site, tmp_path / "all.zip")
    output, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b""), (output, errors)
    first = output.decode().splitlines()[0]
    teams = await site.db.fetchval("SELECT count(*) FROM teams WHERE delete_at = 0")  # other tests make some
    assert first.startswith(f"exported 1 roles, 1 emojis, {teams} teams,") and "3 attachments" not in first
    assert "2 attachments" in first
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "database.url").write_text(site.people.api.settings.database.url + "\n")
    again = await command(site, tmp_path / "all.zip", "--data-dir", data_dir, TIDEWIRE_DATABASE_URL="")
    assert (await again.communicate())[1].endswith(b"is there already; --force replaces it\n")
    assert again.returncode == 1
