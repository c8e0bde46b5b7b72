"""Every list mode against a plain-Python oracle over the rows, after a random history; counters against a recount."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import Announced, react, say
from tidewire.actions import post_lists
from tidewire.store.db import Database

pytestmark = pytest.mark.asyncio(loop_scope="module")
Row = dict[str, Any]


@dataclass
class World:
    """One channel with a history, and its rows."""

    people: People
    channel_id: str
    db: Database
    rows: list[Row]

    def shown(self, *, roots_only: bool) -> list[Row]:
        """Live posts, newest first."""
        live = [row for row in self.rows if not row["delete_at"] and not row["original_id"]]
        chosen = [row for row in live if not (roots_only and row["root_id"])]
        return sorted(chosen, key=lambda row: (row["create_at"], row["id"]), reverse=True)

    def check(self, answer: dict[str, Any], order: list[Row], newer: str, older: str) -> None:
        """Compare an answer with the rows that it must hold, in their order."""
        assert answer["order"] == [row["id"] for row in order]
        assert (answer["next_post_id"], answer["prev_post_id"]) == (newer, older)
        roots = {row["root_id"] for row in order if row["root_id"] and not row["delete_at"]}
        assert set(answer["posts"]) == {row["id"] for row in order} | roots
        by_id = {row["id"]: row for row in self.rows}
        for post_id, post in answer["posts"].items():
            row = by_id[post_id]
            blank = row["delete_at"] > 0
            assert post["message"] == ("" if blank else row["message"])
            assert (post["update_at"], post["delete_at"]) == (row["update_at"], row["delete_at"])
            replies = [r for r in self.shown(roots_only=False) if r["root_id"] == post_id]
            assert post["reply_count"] == (0 if blank else len(replies))
            users = {user["id"] for user in post["participants"] or []}
            assert users == (set() if blank else {r["user_id"] for r in replies})
            assert post["last_reply_at"] == (
                0 if blank else max((r["create_at"] for r in replies), default=0)
            )
            reacted = [] if blank else row["reactions"]
            assert {(r["user_id"], r["emoji_name"]) for r in post["metadata"].get("reactions", [])} == set(
                reacted
            )


async def read(db: Database, channel_id: str) -> list[Row]:
    """Return all rows of a channel's posts, with their reactions."""
    rows = [dict(row) for row in await db.fetch("SELECT * FROM posts WHERE channel_id = $1", channel_id)]
    reactions = await db.fetch(
        "SELECT post_id, user_id, emoji_name FROM reactions WHERE channel_id = $1", channel_id
    )
    for row in rows:
        row["reactions"] = [(r["user_id"], r["emoji_name"]) for r in reactions if r["post_id"] == row["id"]]
    return rows


async def live(people: People, channel_id: str, random: Random, steps: int) -> None:
    """Post, reply, edit, delete, pin and react at random, several at a time."""
    authors = [people.member, people.owner]
    posts: list[tuple[Client, Row]] = []

    async def step() -> None:
        who = random.choice(authors)
        deed = random.choices(
            ["post", "reply", "edit", "delete", "pin", "react", "unreact"], [8, 8, 3, 2, 1, 4, 2]
        )[0]
        if deed == "post" or len(posts) < 5:
            posts.append((who, await say(who, channel_id, f"root {len(posts)}")))
            return
        author, post = random.choice(posts)
        path, emoji = f"/posts/{post['id']}", random.choice(["+1", "wave", "sob"])
        if deed == "reply":
            body = {"channel_id": channel_id, "message": "re", "root_id": post["root_id"] or post["id"]}
            answer = await who.request("POST", "/posts", json=body)
            assert answer.status_code in (201, 400)  # 400: the root is gone
            if answer.status_code == 201:
                posts.append((who, answer.json()))
        elif deed == "edit":
            await author.request("PUT", path + "/patch", json={"message": f"edited {random.random()}"})
        elif deed == "delete":
            await author.request("DELETE", path)
        elif deed == "pin":
            await who.request("POST", path + random.choice(["/pin", "/unpin"]))
        elif deed == "react":
            body = {"user_id": who.id, "post_id": post["id"], "emoji_name": emoji}
            await who.request("POST", "/reactions", json=body)
        else:
            await who.request("DELETE", f"/users/me{path}/reactions/{emoji}")

    for _ in range(steps):
        await asyncio.gather(*[step() for _ in range(random.choice([1, 4]))])


@pytest_asyncio.fixture(loop_scope="module")
async def world(people: People) -> AsyncIterator[World]:
    """A channel of some 150 posts, some of them of the same millisecond."""
    channel_id = people.channel["id"]
    notes = Announced(people.api)
    await live(people, channel_id, Random(7), 100)
    await notes.db.execute(
        "UPDATE posts SET create_at = create_at / 40 * 40 WHERE root_id = '' AND type = ''"
    )
    yield World(people, channel_id, notes.db, await read(notes.db, channel_id))
    await notes.close()


async def check_lists(world: World) -> None:
    """Pages, before, after and since."""
    get, base = world.people.member.get, f"/channels/{world.channel_id}/posts"
    random = Random(3)
    for roots_only in (False, True):
        posts = world.shown(roots_only=roots_only)
        assert len(posts) > 40
        ids = [row["id"] for row in posts]
        flag = f"&collapsedThreads={str(roots_only).lower()}"

        def ends(start: int, stop: int, ids: list[str] = ids) -> tuple[str, str]:
            if start >= min(stop, len(ids)):
                return "", ""
            return ids[start - 1] if start else "", ids[stop] if stop < len(ids) else ""

        for size in (1, 7, 60, 200):
            for page in (0, 1, len(posts) // size, len(posts) // size + 1):
                start, stop = page * size, page * size + size
                answer = await get(f"{base}?page={page}&per_page={size}{flag}")
                world.check(answer, posts[start:stop], *ends(start, stop))
        for at in [*random.sample(range(len(posts)), 8), 0, len(posts) - 1]:
            for page, size in ((0, 5), (1, 3), (0, 200)):
                start, stop = at + 1 + page * size, at + 1 + page * size + size
                answer = await get(f"{base}?before={ids[at]}&page={page}&per_page={size}{flag}")
                newer, older = ends(start, stop)
                world.check(answer, posts[start:stop], newer if page else ids[at], older)
                stop = max(0, at - page * size)
                start = max(0, stop - size)
                answer = await get(f"{base}?after={ids[at]}&page={page}&per_page={size}{flag}")
                newer, older = ends(start, stop)
                world.check(answer, posts[start:stop], newer, older if page else ids[at])
        changed = [
            row for row in world.rows if not row["original_id"] and not (roots_only and row["root_id"])
        ]
        changed.sort(key=lambda row: (row["create_at"], row["id"]), reverse=True)
        for since in [*random.sample([row["update_at"] for row in changed], 6), 1]:
            answer = await get(f"{base}?since={since}{flag}")
            world.check(answer, [row for row in changed if row["update_at"] > since], "", "")


async def check_unread(world: World) -> None:
    """The list around the first unread post."""
    me = world.people.member
    base = f"/users/me/channels/{world.channel_id}/posts/unread"
    for roots_only in (False, True):
        flag = f"&collapsedThreads={str(roots_only).lower()}"
        posts = world.shown(roots_only=roots_only)
        ids = [row["id"] for row in posts]
        for viewed_at in [posts[k]["create_at"] for k in (0, 1, 5, len(posts) // 2, -1)] + [1, 0]:
            await world.db.execute(
                "UPDATE channel_members SET last_viewed_at = $1 WHERE channel_id = $2 AND user_id = $3",
                viewed_at,
                world.channel_id,
                me.id,
            )
            unread = [k for k, row in enumerate(posts) if row["create_at"] > viewed_at]
            for before, after in ((3, 1), (60, 60), (0, 5)):
                answer = await me.get(f"{base}?limit_before={before}&limit_after={after}{flag}")
                start, stop = 0, before
                if unread and viewed_at:
                    first = unread[-1]
                    start, stop = max(0, first + 1 - after), first + 1 + before
                newer = ids[start - 1] if start and posts[start:stop] else ""
                older = ids[stop] if posts[start:stop] and stop < len(ids) else ""
                world.check(answer, posts[start:stop], newer, older)
    assert (await me.get(f"{base}?limit_after=0", expect=400))[
        "id"
    ] == "api.context.invalid_url_param.app_error"
    await world.people.teammate.get(base, expect=404)
    await world.people.stranger.get(base, expect=403)
    await me.get(f"/users/{world.people.owner.id}/channels/{world.channel_id}/posts/unread", expect=403)


async def check_thread(world: World) -> None:
    """A thread is paged in the direction of reading."""
    me = world.people.member
    roots = world.shown(roots_only=True)
    replies = {
        row["id"]: [r for r in world.shown(roots_only=False) if r["root_id"] == row["id"]] for row in roots
    }
    root = max(roots, key=lambda row: len(replies[row["id"]]))
    down = replies[root["id"]][::-1]
    assert len(down) >= 4
    base = f"/posts/{root['id']}/thread"
    whole = await me.get(base)
    world.check(whole, [root, *down], "", "")
    assert not whole["has_next"]
    assert await me.get(f"/posts/{down[1]['id']}/thread") == whole
    for direction, expected in (("down", down), ("up", down[::-1])):
        read: list[str] = []
        cursor = ""
        while True:
            page = await me.get(f"{base}?perPage=3&direction={direction}{cursor}")
            assert page["order"][0] == root["id"]
            read += page["order"][1:]
            if not page["has_next"]:
                break
            last = page["posts"][read[-1]]
            cursor = f"&fromPost={last['id']}&fromCreateAt={last['create_at']}"
        assert read == [row["id"] for row in expected]
    alone = await me.get(f"{base}?skipFetchThreads=true")
    assert (alone["order"], list(alone["posts"])) == ([root["id"]], [root["id"]])
    since = down[2]["update_at"]
    updates = await me.get(f"{base}?updatesOnly=true&fromUpdateAt={since}&direction=down&perPage=200")
    changed = [row for row in sorted(down, key=lambda row: (row["update_at"], row["id"])) if row["update_at"] > since]
    assert updates["order"][1:] == [row["id"] for row in changed]
    for bad in ("direction=left", "fromPost=x", f"fromPost={root['id']}", "fromCreateAt=x", "updatesOnly=true",
                "fromCreateAt=1&fromUpdateAt=1", "updatesOnly=true&fromUpdateAt=1&direction=up"):  # fmt: skip
        await me.get(f"{base}?{bad}", expect=400)
    extended = await me.get(f"{base}?collapsedThreadsExtended=true")
    names = {user["username"] for user in extended["posts"][root["id"]]["participants"]}
    assert names <= {"member", "owner"} and names
    await world.people.stranger.get(base, expect=404)


async def check_counters(world: World) -> None:
    """Stored counters equal counted ones."""
    rows = [row for row in world.rows if not row["original_id"]]
    channel = await world.people.member.get(f"/channels/{world.channel_id}")
    counted = [row for row in rows if not row["type"]]
    uncounted = {"system_join_channel", "system_add_to_channel"}
    counted += [row for row in rows if row["type"] and row["type"] not in uncounted]
    assert channel["total_msg_count"] == len(counted)
    assert channel["total_msg_count_root"] == sum(not row["root_id"] for row in counted)
    threads = {row["root_id"]: row for row in await world.db.fetch("SELECT * FROM threads")}
    for root_id, thread in threads.items():
        replies = [row for row in rows if row["root_id"] == root_id and not row["delete_at"]]
        assert thread["reply_count"] == len(replies)
        assert set(thread["participants"]) == {row["user_id"] for row in replies}
    assert {row["root_id"] for row in rows if row["root_id"] and not row["delete_at"]} <= threads.keys()
    for row in rows:
        assert row["has_reactions"] == bool(row["reactions"])


async def check_hostile_queries(world: World) -> None:
    """Bad values default or are refused; nobody reads what is not his."""
    base = f"/channels/{world.channel_id}/posts"
    latest = await world.people.member.get(base)
    assert len(latest["order"]) == 60
    for query in (
        "page=-1",
        "page=x&per_page=x",
        "per_page=0",
        "per_page=-5",
        "page=9" + "9" * 30,
        "since=-1",
        "since=",
    ):
        assert await world.people.member.get(f"{base}?{query}") == latest, query
    assert len((await world.people.member.get(f"{base}?per_page=100000"))["order"]) <= 200
    for query in ("since=x", "since=1e400", "before=x", "after=%2e", "since=" + "9" * 20):
        answer = await world.people.member.get(f"{base}?{query}", expect=400)
        assert answer["id"] == "api.context.invalid_body_param.app_error"
    away = await world.people.member.get(f"{base}?before={'a' * 26}")
    assert (away["order"], away["next_post_id"]) == ([], "a" * 26)
    for who in (world.people.stranger,):
        for query in ("", "?since=1", f"?before={latest['order'][0]}", "?include_deleted=true"):
            await who.get(base + query, expect=403)
    await world.people.anonymous.get(base, expect=401)
    await world.people.member.get(base + "?include_deleted=true", expect=403)
    everything = await world.people.admin.get(base + "?include_deleted=true&per_page=200")
    assert any(post["delete_at"] and post["message"] for post in everything["posts"].values())
    # An open channel can be read by the team.
    assert (await world.people.teammate.get(base))["order"] == latest["order"]


async def test_every_list_equals_the_rows(world: World) -> None:
    await check_lists(world)
    await check_thread(world)
    await check_counters(world)
    await check_hostile_queries(world)
    await check_unread(world)


async def test_an_unchanged_list_is_not_sent_again(people: People) -> None:
    me, channel = people.member, people.channel["id"]
    post = await say(me, channel)
    for number, url in enumerate(
        (f"/channels/{channel}/posts", f"/posts/{post['id']}/thread", f"/posts/{post['id']}")
    ):
        first = await me.request("GET", url)
        tag = first.headers["ETag"]
        again = await me.request("GET", url, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        await react(people.owner, post["id"], ["+1", "wave", "sob"][number])
        changed = await me.request("GET", url, headers={"If-None-Match": tag})
        assert changed.status_code == 200 and changed.headers["ETag"] != tag


async def test_lists_without_pages_are_bounded_in_bytes(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand posts of the longest props took a worker gigabytes for one request."""
    owner = people.owner
    channel = (await owner.new_channel(people.team["id"], "heavy", "O"))["id"]
    body = {"channel_id": channel, "message": "x", "props": {"x": "y" * 10_000}}
    posts = [await owner.post("/posts", body, expect=201) for _ in range(5)]
    ids = [post["id"] for post in posts]
    for post_id in ids:
        await owner.post(f"/posts/{post_id}/pin")
    replies = [await say(owner, channel, "reply", root_id=post_id) for post_id in ids]
    light = {post["id"] for post in replies}

    async def heavy() -> list[list[str]]:
        answers = [
            (await owner.get(f"/channels/{channel}/pinned"))["order"],
            (await owner.get(f"/channels/{channel}/posts?since={posts[0]['create_at'] - 1}"))["posts"],
            (await owner.get(f"/channels/{channel}/posts?per_page=5"))["posts"],
            [post["id"] for post in await owner.post("/posts/ids", ids)],
        ]
        return [[post_id for post_id in answer if post_id not in light] for answer in answers]

    pinned, *others = await heavy()
    assert pinned == ids[::-1] and others[-1] == ids
    assert all(set(ids) <= set(found) for found in others)
    monkeypatch.setattr(post_lists, "LIST_BYTES", 15_000)
    monkeypatch.setattr(post_lists, "FEW", 2)
    assert [len(found) for found in await heavy()] == [2, 2, 2, 2]
    assert (await owner.post("/posts/ids", ids))[0]["id"] == ids[0]


async def test_whole_threads_are_bounded_in_bytes(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = people.owner
    channel = (await owner.new_channel(people.team["id"], "heavy-thread", "O"))["id"]
    root = await say(owner, channel, "root")
    heavy: dict[str, Any] = {"root_id": root["id"], "props": {"x": "y" * 10_000}}
    ids = [(await say(owner, channel, "reply", **heavy))["id"] for _ in range(4)]
    await owner.put(f"/posts/{ids[0]}/patch", {"message": "changed last"})

    async def thread(query: str = "") -> tuple[list[str], bool]:
        found = await owner.get(f"/posts/{root['id']}/thread{query}")
        assert found["order"][0] == root["id"]
        return found["order"][1:], found.get("has_next", False)

    created, updated = f"?fromCreateAt={root['create_at']}", "?updatesOnly=true&fromUpdateAt=1&direction=down"
    queries = "", "?direction=up", created, updated
    unbounded = [await thread(query) for query in queries]
    assert unbounded[0] == (ids, False) and unbounded[1] == (ids[::-1], False)
    assert unbounded[3] == ([*ids[1:], ids[0]], False)
    monkeypatch.setattr(post_lists, "FEW", 3)
    assert [await thread(query) for query in queries] == unbounded
    monkeypatch.setattr(post_lists, "LIST_BYTES", 15_000)
    assert [await thread(query) for query in queries] == [(found[:2], True) for found, _ in unbounded]
