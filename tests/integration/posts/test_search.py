"""Search: what is posted is found within a second by those who may read it, and by nobody else."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.fixtures.api import Api, Client, People, new_settings
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.posts.chat import say
from tests.integration.posts.test_extras import refusal
from tidewire.actions import search, search_index
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


def pdf(text: str) -> bytes:
    """Return a PDF of one page that says this."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = "%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj{one}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return f"{out}{head}trailer<</Root 1 0 R/Size {len(objects) + 1}>>\nstartxref\n{len(out)}\n%%EOF\n".encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def log_book(people: People) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """Posts of the module, indexed."""
    member, owner, harbour = people.member, people.owner, people.channel["id"]
    direct = await member.post("/channels/direct", [member.id, owner.id], expect=201)
    posts = {
        "storm": await say(member, harbour, "A storm is coming, reef the sails #weather"),
        "calm": await say(owner, harbour, "dead calm after the storm"),
        "gone": await say(member, harbour, "storm in a teacup"),
        "hidden": await say(owner, people.private["id"], "a storm below deck"),
        "direct": await say(owner, direct["id"], "storm between us"),
        "odd": await say(member, harbour, "it's C:\\sea & 'quotes' 100% <b>"),
    }
    posts["reply"] = await say(owner, harbour, "sailing through the storm", root_id=posts["storm"]["id"])
    await member.delete(f"/posts/{posts['gone']['id']}")
    await settled(people, *(post["id"] for name, post in posts.items() if name != "gone"))
    yield posts


async def settled(people: People, *post_ids: str) -> None:
    """Wait until these posts are indexed and nothing waits."""
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        async with asyncio.timeout(30):
            while (
                await connection.fetchval("SELECT count(*) FROM post_search WHERE post_id = ANY($1)", post_ids)
                < len(post_ids)
                or await connection.fetchval("SELECT count(*) FROM post_search_todo")
                or await connection.fetchval("SELECT count(*) FROM file_search WHERE NOT read_in")
            ):
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def find(who: Client, people: People, terms: str, **members: Any) -> list[str]:
    """Return the ids of what the team's search finds."""
    answer = await who.post(f"/teams/{people.team['id']}/posts/search", {"terms": terms, **members}, expect=200)
    assert answer["posts"].keys() == set(answer["order"]) and answer["matches"] is None
    found: list[str] = answer["order"]
    return found


async def test_who_finds_what(people: People, log_book: dict[str, Any]) -> None:
    ids = {name: post["id"] for name, post in log_book.items()}
    everything = [ids[name] for name in ("reply", "direct", "hidden", "calm", "storm")]
    assert await find(people.member, people, "storm") == everything
    assert await find(people.owner, people, "STORMS") == everything  # by their stems
    assert await find(people.teammate, people, "storm") == []  # a member of the team alone
    path = f"/teams/{people.team['id']}/posts/search"
    assert (await refusal(people.stranger, "POST", path, {"terms": "x"}))[0] == 403
    assert (await people.stranger.post("/posts/search", {"terms": "storm"}, expect=200))["order"] == []
    assert (await people.member.post("/posts/search", {"terms": "storm"}, expect=200))["order"] == everything


async def test_conditions(people: People, log_book: dict[str, Any]) -> None:
    ids = {name: post["id"] for name, post in log_book.items()}
    me = people.member

    async def names(terms: str, **members: Any) -> set[str]:
        found = await find(me, people, terms, **members)
        return {name for name, post_id in ids.items() if post_id in found}

    assert await names("reef sails") == {"storm"}
    assert await names('"dead calm"') == {"calm"}
    assert await names('"calm dead"') == set()
    assert await names("storm -calm -deck") == {"storm", "direct", "reply"}
    assert await names("sai*") == {"storm", "reply"}
    assert await names("#weather") == {"storm"}
    assert await names("#weath") == set()
    assert await names("reef calm", is_or_search=True) == {"storm", "calm"}
    assert await names("storm from:owner") == {"calm", "hidden", "direct", "reply"}
    assert await names("storm -from:owner") == {"storm"}
    assert await names("from:member") == {"storm", "odd"}
    assert await names("-storm") == {"odd"} and await names("-from:owner") == {"storm", "odd"}
    assert await names("-in:harbour") == {"hidden", "direct"} and "storm" in await names("-in:nowhere")
    assert await names("storm in:harbour") == {"storm", "calm", "reply"}
    assert await names("storm -in:harbour") == {"hidden", "direct"}
    assert await names("storm in:@owner") == {"direct"}
    assert await names("storm in:nowhere") == set() and await names("storm from:nobody") == set()
    assert await names("storm from:owner from:member -in:harbour") == {"hidden", "direct"}
    assert await names("#weather reef", is_or_search=True) == {"storm"}
    assert await names("storm before:2020-01-01") == set()
    assert "storm" in await names("storm after:2020-01-01")
    assert await names("c:\\sea 'quotes'") == {"odd"}
    for hostile in ("'", "\\", "& | !", "<->", ":*", "a'b:*c", '"', "x" * 600, "🐙", "' OR 1=1 --", "a & !b | (c"):
        await names(hostile)


async def test_pages(people: People, log_book: dict[str, Any]) -> None:
    whole = await find(people.member, people, "storm")
    assert await find(people.member, people, "storm", per_page=2) == whole[:2]
    assert await find(people.member, people, "storm", page=1, per_page=2) == whole[2:4]
    assert await find(people.member, people, "storm", page=9) == []
    assert await find(people.member, people, "storm", page=-1, per_page=0) == whole


async def test_hashtags_that_are_longer_than_a_word_may_be(people: People) -> None:
    """They are not found; their posts are, and the index can be written out, as backups do."""
    room = (await people.member.new_channel(people.team["id"], "tags"))["id"]
    tags = ("#" + "ሀ" * 998, "#" + "𐀀" * 512 + "a", "#" + "é" * 998, "#short")
    posts = [(await say(people.member, room, f"{tag} mast"))["id"] for tag in tags]
    await settled(people, *posts)
    assert await find(people.member, people, "mast in:tags") == posts[::-1]
    assert await find(people.member, people, "#short in:tags") == [posts[3]]
    for terms in ("𐀀" * 512, "#" + "𐀀" * 511, '"' + "𐀀 " * 255 + '"', "-" + "𐀀" * 511):
        await find(people.member, people, terms)
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        rows = await connection.fetch("SELECT words::text FROM post_search WHERE post_id = ANY($1)", posts)
    finally:
        await connection.close()
    assert len(rows) == len(posts)


async def test_edits_and_archives(people: People, log_book: dict[str, Any]) -> None:
    owner, me = people.owner, people.member
    room = await owner.new_channel(people.team["id"], "bridge", "O", me)
    post = await say(owner, room["id"], "steer north")
    await owner.put(f"/posts/{post['id']}/patch", {"message": "steer south"})
    await settled(people, post["id"])
    assert await find(me, people, "south") == [post["id"]] and await find(me, people, "north") == []
    await owner.delete(f"/channels/{room['id']}")
    assert await find(me, people, "south") == []
    assert await find(me, people, "south", include_deleted_channels=True) == [post["id"]]


async def test_what_is_refused(people: People) -> None:
    path = f"/teams/{people.team['id']}/posts/search"
    bad = (400, "api.context.invalid_body_param.app_error")
    for body in ({}, {"terms": ""}, {"terms": " "}, {"terms": 1}, {"terms": "x", "page": "1"}, []):
        assert await refusal(people.member, "POST", path, body) == bad
    assert (await refusal(people.anonymous, "POST", path, {"terms": "x"}))[0] == 401
    await people.admin.put("/config/patch", {"ServiceSettings": {"EnablePostSearch": False}})
    try:
        assert (await refusal(people.member, "POST", path, {"terms": "x"}))[0] == 501
    finally:
        await people.admin.put("/config/patch", {"ServiceSettings": {"EnablePostSearch": True}})


async def test_files_by_name_kind_and_content(people: People) -> None:
    me, channel = people.member, people.channel["id"]

    async def attach(name: str, data: bytes) -> str:
        answer = await me.request(
            "POST", "/files", data={"channel_id": channel}, files={"files": (name, io.BytesIO(data))}
        )
        file_id: str = answer.json()["file_infos"][0]["id"]
        await say(me, channel, "see", file_ids=[file_id])
        return file_id

    chart = await attach("North-Sea_chart.txt", b"depths of the Dogger Bank")
    report = await attach("report.pdf", pdf("Kraken sighted"))
    broken = await attach("broken.pdf", b"%PDF-1.4 no more")
    async with asyncio.timeout(30):
        while len((await me.post("/files/search", {"terms": "from:member"}, expect=200))["order"]) < 3:
            await asyncio.sleep(0.05)
    await settled(people)

    async def find_files(who: Client, terms: str) -> list[str]:
        answer = await who.post(f"/teams/{people.team['id']}/files/search", {"terms": terms}, expect=200)
        assert answer["file_infos"].keys() == set(answer["order"])
        found: list[str] = answer["order"]
        return found

    assert await find_files(me, "chart") == [chart] == await find_files(me, "dogger")
    assert await find_files(me, "kraken") == [report]
    assert await find_files(me, "ext:pdf") == [broken, report]
    assert await find_files(me, "-ext:pdf in:harbour") == [chart]
    assert await find_files(me, "from:member -chart") == [broken, report]
    assert await find_files(people.teammate, "chart") == []
    for page, expected in ((0, [broken, report]), (1, [chart]), (2, [])):
        answer = await me.post("/files/search", {"terms": "from:member", "page": page, "per_page": 2}, expect=200)
        assert answer["order"] == expected
    path = f"/teams/{people.team['id']}/files/search"
    assert (await refusal(people.stranger, "POST", path, {"terms": "x"}))[0] == 403


async def test_a_guest_finds_only_what_he_may_read(people: People, log_book: dict[str, Any]) -> None:
    """Security case C2: posts and files, with modifiers and without."""
    admin, owner, team = people.admin, people.owner, people.team["id"]
    await admin.put("/config/patch", {"GuestAccountsSettings": {"Enable": True}})
    guest = await people.api.user("lodger")
    await admin.put(f"/users/{guest.id}/roles", {"roles": "system_guest"})
    await admin.add_to_team(team, guest)
    parlour = await owner.new_channel(team, "parlour", "O", guest)
    seen = await say(owner, parlour["id"], "storm in the parlour")
    await settled(people, seen["id"])
    async with asyncio.timeout(30):
        while not await find(guest, people, "storm"):
            await asyncio.sleep(0.05)
    for terms in (
        "storm", "from:owner", "storm from:owner", "storm after:2020-01-01", "sto*", "storm -calm", '"storm in the"',
        "storm in:parlour",
    ):  # fmt: skip
        assert await find(guest, people, terms) == [seen["id"]], terms
        everywhere = await guest.post("/posts/search", {"terms": terms}, expect=200)
        assert everywhere["order"] == [seen["id"]], terms
    for terms in ("in:harbour", "storm in:harbour", "in:hidden", "in:@owner", "#weather", "from:member"):
        assert await find(guest, people, terms) == [], terms
        assert await find(guest, people, terms, include_deleted_channels=True) == [], terms
    for terms in ("chart", "ext:pdf", "from:member", "in:harbour", "kraken", "*"):
        for path in (f"/teams/{team}/files/search", "/files/search"):
            assert (await guest.post(path, {"terms": terms}, expect=200))["order"] == [], terms


async def test_late_and_older_posts_come_in_too(people: People) -> None:
    """A row that no pass over the newest ones can see, as an import writes it; and days by the searcher's clock."""
    late = int(datetime(2020, 3, 5, 23, 30, tzinfo=UTC).timestamp() * 1000)
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        await connection.execute(
            "INSERT INTO posts (id, create_at, update_at, user_id, channel_id, message)"
            " VALUES ($1, $2, $2, $3, $4, 'ancient mariner')",
            new_id(late), late, people.member.id, people.channel["id"],
        )  # fmt: skip
    finally:
        await connection.close()
    async with asyncio.timeout(30):
        while not await find(people.member, people, "ancient"):
            await asyncio.sleep(0.2)
    for terms, here, an_hour_east in (
        ("on:2020-03-05", True, False), ("on:2020-3-6", False, True), ("on:2020-03-04", False, False),
        ("before:2020-03-06", True, False), ("before:2020-03-05", False, False), ("before:2020-03-07", True, True),
        ("after:2020-03-05", False, True), ("after:2020-03-04", True, True), ("after:2020-03-06", False, False),
        ("-on:2020-03-05", False, True), ("-on:2020-03-06 -on:2020-03-07", True, False),
        ("after:2020-03-04 before:2020-03-06", True, False), ("-after:2020-03-05", True, False),
        ("-before:2020-03-06", False, True),
    ):  # fmt: skip
        for offset_s, expected in ((0, here), (3600, an_hour_east)):
            found = await find(people.member, people, "ancient " + terms, time_zone_offset=offset_s)
            assert bool(found) is expected, (terms, offset_s)


async def test_a_search_that_takes_too_long_is_given_up(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "TIMEOUT_MS", 200)
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE post_search, file_search IN ACCESS EXCLUSIVE MODE")
            for path in ("/posts/search", "/files/search"):
                answer = await people.member.request("POST", path, json={"terms": "storm"})
                assert answer.status_code == 503 and answer.headers["Retry-After"]
    finally:
        await connection.close()
    assert await find(people.member, people, "storm")


async def test_a_file_of_too_many_words_or_none_does_not_end_the_index(people: People) -> None:
    """Hyphens make three words of two; in letters of three bytes that is more than PostgreSQL holds in a row."""
    me = people.member
    room = (await me.new_channel(people.team["id"], "library"))["id"]
    letters, random = [chr(code) for code in range(0x1200, 0x1240)], Random(1)
    words = (["".join(random.choices(letters, k=4)) for _ in range(2)] for _ in range(20_000))
    text = "\n".join(["Catalogue", *("-".join(pair) for pair in words)])
    answer = await me.request(
        "POST", "/files", data={"channel_id": room}, files={"files": ("library.txt", text.encode())}
    )
    file_id = answer.json()["file_infos"][0]["id"]
    await settled(people, (await say(me, room, "", file_ids=[file_id]))["id"])
    answer = await me.post("/files/search", {"terms": "catalogue in:library"}, expect=200)
    assert answer["order"] == [file_id]
    answer = await me.request("POST", "/files", data={"channel_id": room}, files={"files": ("lost.txt", b"lost")})
    lost = answer.json()["file_infos"][0]["id"]
    connection = await asyncpg.connect(people.api.settings.database.url)
    await connection.execute("UPDATE files SET key = 'nowhere' WHERE id = $1", lost)
    await connection.close()
    await settled(people, (await say(me, room, "", file_ids=[lost]))["id"])
    await settled(people, (await say(me, room, "what comes later"))["id"])


async def test_files_are_read_beside_each_other(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change of the index all files are read again: one slow object must not hold up all others."""
    reading, together, count = [], asyncio.Event(), search_index.FILES_AT_ONCE

    async def text_of(services: Any, file: Any) -> str:
        reading.append(file.id)
        if len(reading) == count:
            together.set()
        async with asyncio.timeout(10):
            await together.wait()
        return f"lighthouse {file.name}"

    monkeypatch.setattr(search_index, "_text_of", text_of)
    me = people.member
    room = (await me.new_channel(people.team["id"], "reading-room"))["id"]
    ids = []
    for number in range(count):
        named = {"files": (f"page{number}.txt", b"-")}
        answer = await me.request("POST", "/files", data={"channel_id": room}, files=named)
        ids.append(answer.json()["file_infos"][0]["id"])
    await settled(people, (await say(me, room, "", file_ids=ids))["id"])
    answer = await me.post("/files/search", {"terms": "lighthouse in:reading-room"}, expect=200)
    assert sorted(answer["order"]) == sorted(ids) == sorted(reading)


async def test_a_pass_that_fails_does_not_end_the_index(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def fail(*args: Any, **named: Any) -> bool:
        failed.set()
        raise ValueError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(search_index, "index_some", fail)
        async with asyncio.timeout(30):
            await failed.wait()
    post = await say(people.member, people.channel["id"], "after the failure")
    await settled(people, post["id"])


async def test_parts_of_what_is_written_without_spaces(people: People) -> None:
    me = people.member
    room = (await me.new_channel(people.team["id"], "harbours"))["id"]
    texts = ("你好世界 测试", "日本語のテストです。", "서울에서 만나요", "看v2版𠀀本", "界世")
    ids = {text: (await say(me, room, text))["id"] for text in texts}
    answer = await me.request(
        "POST", "/files", data={"channel_id": room}, files={"files": ("港口报告.txt", "深海の地図".encode())}
    )
    file_id = answer.json()["file_infos"][0]["id"]
    await settled(people, *ids.values(), (await say(me, room, "", file_ids=[file_id]))["id"])

    async def names(terms: str) -> set[str]:
        found = await find(me, people, f"{terms} in:harbours")
        return {text for text, post_id in ids.items() if post_id in found}

    assert await names("世界") == {texts[0]} and await names("界") == {texts[0], texts[4]}
    assert await names("你好世界") == {texts[0]} == await names("世界 试") == await names('"世界 测试"')
    assert await names("テスト") == {texts[1]} and await names("서울") == {texts[2]}
    assert await names("v2版") == {texts[3]} == await names("版𠀀") and await names("世* -你好") == {texts[4]}
    assert await names("好你") == set()
    for terms in ("报告", "深海", "地図 口报"):
        answer = await me.post("/files/search", {"terms": f"{terms} in:harbours"}, expect=200)
        assert answer["order"] == [file_id], terms


async def test_words_of_another_language(postgres: Postgres, redis: Redis) -> None:
    """A change of the language makes the index anew."""
    async with cloned(postgres) as url:
        post_id = ""
        for language, found_by, not_by in (("german", "haus", "hau"), ("simple", "häuser", "haus")):
            api = Api(new_settings(url, redis.url, search={"language": language}))
            await api.start()
            try:
                if not post_id:
                    me = await api.user("hafenmeister")
                    channel = await me.new_channel((await me.new_team("hafen"))["id"], "kai")
                    post_id = (await say(me, channel["id"], "Die Häuser am Kai"))["id"]
                me = await api.anonymous().log_in("hafenmeister")
                async with asyncio.timeout(30):
                    while (await me.post("/posts/search", {"terms": found_by}, expect=200))["order"] != [post_id]:
                        await asyncio.sleep(0.1)
                assert (await me.post("/posts/search", {"terms": not_by}, expect=200))["order"] == []
            finally:
                await api.stop()
