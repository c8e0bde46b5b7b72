"""Posts with files: attaching, events, lists, edits, deletion. Source: Mattermost API v4, posts and files."""

import asyncio
import json
from typing import Any

import pytest

from tests.integration.files.shelf import drawn, stored, upload
from tests.integration.people.crew import Crew
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def say(crew: Crew, *files: dict[str, Any], expect: int = 201, **members: Any) -> dict[str, Any]:
    body = {"channel_id": crew.people.channel["id"], "message": "", "file_ids": [file["id"] for file in files]}
    made: dict[str, Any] = await crew.people.member.post("/posts", body | members, expect=expect)
    return made


async def test_a_post_holds_its_files(crew: Crew) -> None:
    people, channel = crew.people, crew.people.channel["id"]
    listening = await crew.socket(people.owner)
    count = (await people.member.get(f"/channels/{channel}/stats"))["files_count"]
    picture = await upload(people.member, channel, "p.png", drawn())
    text = await upload(people.member, channel, "t.txt", b"words")
    post = await say(crew, text, picture)
    event = await listening.event("posted")
    told = json.loads(event["data"]["post"])
    listed = (await people.owner.get(f"/channels/{channel}/posts"))["posts"][post["id"]]
    single = await people.owner.get(f"/posts/{post['id']}")
    many = (await people.owner.post("/posts/ids", [post["id"]]))[0]
    thread = (await people.owner.get(f"/posts/{post['id']}/thread"))["posts"][post["id"]]
    infos = await people.owner.get(f"/posts/{post['id']}/files/info")
    for one in (post, told, listed, single, many, thread):
        assert one["file_ids"] == [text["id"], picture["id"]]
        assert one["metadata"]["files"] == infos
    assert [info["id"] for info in infos] == [text["id"], picture["id"]]
    assert infos[1] == picture | {"post_id": post["id"], "update_at": post["create_at"]}
    assert (event["data"]["otherFile"], event["data"]["image"]) == ("true", "true")
    assert (await people.member.get(f"/channels/{channel}/stats"))["files_count"] == count + 2
    assert (await people.member.get(f"/channels/{channel}/stats?exclude_files_count=true"))["files_count"] == -1
    answer = await people.owner.request("GET", f"/posts/{post['id']}/files/info")
    known = {"If-None-Match": answer.headers["ETag"]}
    assert (await people.owner.request("GET", f"/posts/{post['id']}/files/info", headers=known)).status_code == 304
    # A change of something else says the files again.
    await people.owner.post(f"/posts/{post['id']}/pin")
    assert json.loads((await listening.event("post_edited"))["data"]["post"])["metadata"]["files"] == infos
    only_text = await say(crew, await upload(people.member, channel, "t.txt", b"words"))
    event = await listening.event("posted")
    assert "image" not in event["data"]
    # With the post its files go, for everybody but the admin who asks for them.
    await people.member.delete(f"/posts/{post['id']}")
    for end in ("", "/info", "/thumbnail"):
        await people.owner.get(f"/files/{picture['id']}{end}", expect=404)
    assert (await people.member.get(f"/channels/{channel}/stats"))["files_count"] == count + 1
    blank = json.loads((await listening.event("post_deleted"))["data"]["post"])
    assert (blank["file_ids"], blank["metadata"]) == ([], {})
    kept = await people.admin.get(f"/posts/{post['id']}/files/info?include_deleted=true")
    assert [info["delete_at"] > 0 for info in kept] == [True, True]
    # With a root the files of its replies.
    reply_file = await upload(people.member, channel, "r.txt", b"reply")
    await say(crew, reply_file, root_id=only_text["id"])
    await people.member.delete(f"/posts/{only_text['id']}")
    await people.member.get(f"/files/{reply_file['id']}", expect=404)


async def test_what_cannot_be_attached(crew: Crew) -> None:
    people, channel = crew.people, crew.people.channel["id"]
    own = await upload(people.member, channel)
    elsewhere = await upload(people.member, people.private["id"])
    others = await upload(people.owner, channel)
    held = await upload(people.member, channel)
    await say(crew, held)
    forbidden, bad = "api.context.permissions.app_error", "api.context.invalid_body_param.app_error"
    for files, status, error in (
        ([others], 403, forbidden),
        ([own, {"id": new_id()}], 403, forbidden),
        ([own, elsewhere], 400, bad),
        ([held], 400, bad),
        ([{"id": "no id"}], 400, bad),
        ([{"id": new_id()} for _ in range(11)], 400, "model.post.is_valid.file_ids.app_error"),
    ):
        refused = await say(crew, *files, expect=status)
        assert refused["id"] == error
    # None of these has taken the good one with it; named twice it is held once.
    assert (await say(crew, own, own))["file_ids"] == [own["id"]]


async def test_a_file_is_attached_once_however_many_try(crew: Crew) -> None:
    people, channel = crew.people, crew.people.channel["id"]
    file = await upload(people.member, channel)
    body = {"channel_id": channel, "message": "mine", "file_ids": [file["id"]]}
    answers = await asyncio.gather(*(people.member.request("POST", "/posts", json=body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 19
    winner = next(answer.json() for answer in answers if answer.status_code == 201)
    assert (await people.member.get(f"/files/{file['id']}/info"))["post_id"] == winner["id"]


async def test_a_post_sent_again_is_the_first(crew: Crew) -> None:
    people, channel = crew.people, crew.people.channel["id"]
    file, pending = await upload(people.member, channel), f"{people.member.id}:{new_id()}"
    first = await say(crew, file, pending_post_id=pending)
    again = await say(crew, file, pending_post_id=pending)
    assert again["id"] == first["id"]
    assert again["metadata"]["files"] == first["metadata"]["files"]


async def test_drafts_show_their_files(crew: Crew) -> None:
    people, channel = crew.people, crew.people.channel["id"]
    own, others = await upload(people.member, channel), await upload(people.owner, channel)
    draft = {"channel_id": channel, "message": "", "file_ids": [own["id"], others["id"]], "metadata": {"files": [1]}}
    made = await people.member.post("/drafts", draft, expect=201)
    assert made["metadata"] == {"files": [own]}
    [listed] = await people.member.get(f"/users/me/teams/{people.team['id']}/drafts")
    assert listed["metadata"] == {"files": [own]}
    await people.member.delete(f"/users/me/channels/{channel}/drafts")


@pytest.mark.parametrize("whole", ["teams", "channels"])
async def test_with_a_team_or_a_channel_its_files_go(crew: Crew, config: dict[str, Any], whole: str) -> None:
    people, db = crew.people, crew.town.db
    config["ServiceSettings.EnableAPITeamDeletion"] = config["ServiceSettings.EnableAPIChannelDeletion"] = True
    before = set(await stored(crew, "disk", config))
    team = await people.admin.new_team("shortlived-" + whole)
    channel = await people.admin.new_channel(team["id"], "room")
    file = await upload(people.admin, channel["id"], "p.png", drawn())
    assert len(set(await stored(crew, "disk", config)) - before) == 3
    # As the indexer writes it.
    row = file["id"], channel["id"], file["create_at"]
    await db.execute("INSERT INTO file_search (file_id, channel_id, create_at, words) VALUES ($1, $2, $3, '')", *row)
    gone = team if whole == "teams" else channel
    await people.admin.delete(f"/{whole}/{gone['id']}?permanent=true")
    for table in ("files", "file_search"):
        assert await db.fetchval(f"SELECT count(*) FROM {table} WHERE channel_id = $1", channel["id"]) == 0, table
    await people.admin.get(f"/files/{file['id']}", expect=404)
    doomed = await db.fetch("SELECT key FROM doomed_objects")
    assert set(await stored(crew, "disk", config)) - before <= {row["key"] for row in doomed}


async def test_edits(crew: Crew) -> None:
    people, channel = crew.people, crew.people.channel["id"]
    one, two, three = [await upload(people.member, channel, f"{n}.txt", b"x") for n in "123"]
    post = await say(crew, one, two, message="hello")
    listening = await crew.socket(people.owner)
    path = f"/posts/{post['id']}"
    edited = await people.member.put(f"{path}/patch", {"file_ids": [two["id"], three["id"]]})
    assert edited["edit_at"] > 0
    assert [file["id"] for file in edited["metadata"]["files"]] == edited["file_ids"] == [two["id"], three["id"]]
    told = json.loads((await listening.event("post_edited"))["data"]["post"])
    assert told["metadata"]["files"] == edited["metadata"]["files"]
    assert (await people.owner.get(path))["metadata"]["files"] == edited["metadata"]["files"]
    await people.member.get(f"/files/{one['id']}", expect=404)
    # What the old version held is kept with it, and comes back with it.
    [old] = await people.member.get(f"{path}/edit_history")
    assert [file["id"] for file in old["metadata"]["files"]] == [one["id"], two["id"]]
    restored = await people.member.post(f"{path}/restore/{old['id']}", expect=200)
    assert restored["file_ids"] == [one["id"], two["id"]]
    assert (await people.owner.request("GET", f"/files/{one['id']}")).status_code == 200
    await people.member.get(f"/files/{three['id']}", expect=404)
    # A whole post without file_ids, and a patch without them, leave them.
    same = await people.member.put(path, {"id": post["id"], "message": "changed"})
    assert same["file_ids"] == [one["id"], two["id"]]
    # Others' files cannot be smuggled in by an edit, nor files of other posts.
    others = await upload(people.owner, channel)
    held = await upload(people.member, channel)
    await say(crew, held)
    for file, status in ((others, 403), (held, 400), ({"id": new_id()}, 403)):
        await people.member.put(f"{path}/patch", {"file_ids": [one["id"], file["id"]]}, expect=status)
    assert (await people.member.get(path))["file_ids"] == [one["id"], two["id"]]
    await people.member.put(f"{path}/patch", {"file_ids": [new_id() for _ in range(11)]}, expect=400)
