"""Links of posts whose worker ends before the page has answered: another one shows what they lead to."""

import asyncio
import json
from typing import Any

import pytest

from tests.fixtures.api import People
from tests.fixtures.doomed import doomed_beside
from tests.integration.gateway.world import world
from tests.integration.links.site import Heard, Site, described
from tests.integration.posts.chat import say
from tidewire.actions import link_previews
from tidewire.store import links
from tidewire.store.db import Database
from tidewire.store.links import Look
from tidewire.wire.ids import new_id, now_ms

pytestmark = pytest.mark.asyncio(loop_scope="module")
AWAITED = "SELECT count(*) FROM awaited_previews"


async def no_more(db: Database) -> None:
    """Wait until no post's links are to be looked at."""
    async with asyncio.timeout(30):
        while await db.fetchval(AWAITED):
            await asyncio.sleep(0.02)


class Slow:
    """A page that is answered when the test says so."""

    def __init__(self, title: str) -> None:
        self.page = described(title=title)
        self.go = asyncio.Event()
        self.asked = 0

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await self.go.wait()
        writer.write(self.page)

    async def is_asked(self, times: int) -> None:
        async with asyncio.timeout(30):
            while self.asked < times:
                await asyncio.sleep(0.01)


async def test_a_killed_workers_link_is_shown_by_another(people: People, announced: Heard, site: Site) -> None:
    """kill -9 while the page is being waited for. A new post and an edited one; a socket hears what became of both."""
    await people.admin.put("/config/patch", {"ExperimentalSettings": {"LinkMetadataTimeoutMilliseconds": 20_000}})
    me, channel, settings = people.member, people.channel["id"], people.api.settings
    pages = {path: Slow(path) for path in ("/new", "/edited", "/gone")}
    site.pages |= pages
    async with doomed_beside(people) as doomed, world(settings.database.url, settings.redis.url) as gateway:
        there = doomed.caller(me)
        client = await gateway.connect({"Authorization": people.owner.http.headers["Authorization"]})
        await client.event("hello")
        edited = await say(there, channel, "no link yet")
        await there.put(f"/posts/{edited['id']}/patch", {"message": site.url + "/edited"})
        new, gone = [await say(there, channel, site.url + path) for path in ("/new", "/gone")]
        for page in pages.values():
            await page.is_asked(1)
        assert await announced.db.fetchval(AWAITED) == 3
        await people.owner.post(f"/posts/{new['id']}/pin")  # the one that lives does not look at what it did not write
        await me.delete(f"/posts/{gone['id']}")
        assert [page.asked for page in pages.values()] == [1, 1, 1]
        doomed.kill()
        for page in (pages["/new"], pages["/edited"]):
            await page.is_asked(2)
        for page in pages.values():
            page.go.set()
        told: dict[str, Any] = {}
        async with asyncio.timeout(30):
            while len(told) < 2:
                event = await client.event("post_edited")
                post = json.loads(event["data"]["post"])
                if post["metadata"].get("embeds", [{}])[0].get("type") == "opengraph":
                    told[post["id"]] = post["metadata"]["embeds"][0]["data"]["title"]
        assert told == {new["id"]: "/new", edited["id"]: "/edited"}
        await client.socket.close()
    await no_more(announced.db)
    assert pages["/gone"].asked == 1  # nobody looks for a post that is not there
    for post in (new, edited):
        found = await me.get(f"/posts/{post['id']}")
        assert found["metadata"]["embeds"][0]["data"]["title"] == told[post["id"]]


async def test_rows_go_with_their_looks(people: People, announced: Heard, site: Site) -> None:
    """Shown, nothing there, edited away, deleted: no row stays. Posts without links leave none at any time."""
    me, channel, db = people.member, people.channel["id"], announced.db
    slow = Slow("slow")
    site.pages |= {"/slow": slow, "/page": described(title="page")}
    posts = [await say(me, channel, site.url + path) for path in ("/slow", "/slow", "/page", "/nothing")]
    await say(me, channel, "no link")
    await slow.is_asked(1)
    async with asyncio.timeout(30):
        while await db.fetchval(AWAITED) != 2:
            await asyncio.sleep(0.02)
    await me.put(f"/posts/{posts[0]['id']}/patch", {"message": "no link"})
    assert await db.fetchval(AWAITED) == 1
    await me.delete(f"/posts/{posts[1]['id']}")
    slow.go.set()
    await no_more(db)


async def test_what_a_worker_has_lost_is_taken_up_again(
    people: People, announced: Heard, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database was away when the page was to be shown, or the author went while his post was committed."""
    me, channel, db = people.member, people.channel["id"], announced.db
    monkeypatch.setattr(link_previews.LinkPreviews, "written", lambda *_: None)
    site.pages["/lost"] = described(title="lost")
    post = await say(me, channel, site.url + "/lost")
    await asyncio.sleep(link_previews.KEEP_S + 0.5)
    assert await db.fetchval(AWAITED) == 1 and not site.asked  # its write may still be under way
    await db.execute("UPDATE awaited_previews SET at = at - $1", link_previews.LOST_MS)
    await no_more(db)
    assert (await me.get(f"/posts/{post['id']}"))["metadata"]["embeds"][0]["data"]["title"] == "lost"


async def test_claims(people: People) -> None:
    """Each look is one worker's; takes are counted; who lost a look cannot end it; what is old or hopeless goes."""
    settings = people.api.settings
    one, two = (Database(settings.database.url, worker=new_id()) for _ in range(2))
    holder = await one.connect()

    async def claimed(db: Database, now: int, *in_hand: str) -> list[Look]:
        return await links.claim(db, in_hand, now_ms=now, lost_ms=1000, grace_ms=100, limit=10, tries=3)

    try:
        await holder.execute("SELECT pg_advisory_lock_shared(29815, hashtext($1))", one.worker)
        now = now_ms() + 3_600_000  # the world's own worker must not take them
        looks = [Look(new_id(), one.worker, now) for _ in range(2)]
        async with one.transaction() as tx:
            for look in looks:
                await links.begin(tx, look)
        first = looks[0].post_id
        assert await claimed(two, now + 10_000) == []  # it lives
        assert await claimed(one, now + 500) == []
        assert [look.post_id for look in await claimed(one, now + 2000, first)] == [looks[1].post_id]
        await holder.execute("SELECT pg_advisory_unlock_shared(29815, hashtext($1))", one.worker)
        assert await claimed(two, now + 50) == []
        async with one.transaction() as tx:  # held by somebody: the other one does not wait
            await tx.fetch("SELECT 1 FROM awaited_previews WHERE post_id = $1 FOR UPDATE", looks[1].post_id)
            (taken,) = await claimed(two, now + 5000)
        assert taken == Look(first, two.worker, now + 5000)
        assert not await links.end(one, looks[0])
        assert await links.end(two, taken) and not await links.end(two, taken)
        for number in (2, 3):
            (again,) = await claimed(two, now + number * 10_000)
            assert again.post_id == looks[1].post_id
        assert await claimed(two, now + 90_000) == []  # three times
        await links.give_up(two, since_ms=0, tries=3, before_ms=now)
        assert await one.fetchval(AWAITED) == 1
        await links.give_up(two, since_ms=0, tries=3, before_ms=again.at + 1)
        assert await one.fetchval(AWAITED) == 0
        async with one.transaction() as tx:
            await links.begin(tx, looks[0])
        await links.give_up(two, since_ms=now + 1, tries=3, before_ms=0)
        assert await one.fetchval(AWAITED) == 0
    finally:
        await holder.close()
        await one.close()
        await two.close()
