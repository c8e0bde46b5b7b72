"""A thread that is deleted just after its followers were told of it does not come back to them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fixtures.announced import announced as envelopes
from tests.fixtures.api import People
from tests.integration.gateway.world import world
from tests.integration.posts.chat import say
from tidewire.bus.contract import Entry
from tidewire.bus.envelope import After, channel_key, user_key
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_deletion_names_what_followers_were_told(people: People) -> None:
    owner, ann, settings = people.owner, people.member, people.api.settings
    root, alone = await say(owner, people.channel["id"]), await say(owner, people.channel["id"])
    for who in (ann, owner):
        await who.put(f"/users/me/teams/{people.team['id']}/threads/{root['id']}/following", {})
    reply = await say(owner, people.channel["id"], root_id=root["id"])
    _, last = await envelopes(settings.database.url)
    for post in (alone, reply, root):
        await owner.delete(f"/posts/{post['id']}")
    found, _ = await envelopes(settings.database.url, after=last)
    deletions = [one for one in found if "post_deleted" in {copy.name for copy in one.copies}]
    assert [one.effects for one in deletions[:2]] == [[], []]
    db = Database(settings.database.url)
    rows = await db.fetch("SELECT id, event_n FROM users WHERE id = ANY($1::text[]) ORDER BY id", [ann.id, owner.id])
    await db.close()
    assert deletions[2].effects == [After(row["id"], row["event_n"]) for row in rows]
    assert deletions[2].key == channel_key(people.channel["id"])


async def test_the_event_of_a_thread_comes_before_that_of_its_end(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the follower was told is on its way while the deletion is here already: this one waits for him alone."""
    owner, ann, settings = people.owner, people.member, people.api.settings
    root = await say(owner, people.channel["id"], "root")
    await ann.put(f"/users/me/teams/{people.team['id']}/threads/{root['id']}/following", {})
    publish, held, go = RedisProducer.publish, [], asyncio.Event()

    async def later(self: RedisProducer, entries: list[Entry]) -> None:
        await go.wait()
        await publish(self, entries)

    async def delaying(self: RedisProducer, entries: Sequence[Entry], *more: Any) -> None:
        mine = [entry for entry in entries if entry[0] == user_key(ann.id)]
        if mine:
            held.append(asyncio.create_task(later(self, mine)))
        await publish(self, [entry for entry in entries if entry not in mine], *more)

    async with world(settings.database.url, settings.redis.url, bus={"hold_ms": 20_000}) as gateway:
        here, there = [
            await gateway.connect({"Authorization": who.http.headers["Authorization"]}) for who in (ann, owner)
        ]
        for client in (here, there):
            await client.event("hello")
        monkeypatch.setattr(RedisProducer, "publish", delaying)
        try:
            await say(owner, people.channel["id"], "a reply", root_id=root["id"])
            async with asyncio.timeout(30):
                while not held:
                    await asyncio.sleep(0.01)
            await owner.delete(f"/posts/{root['id']}")
            await say(owner, people.channel["id"], "after")
            async with asyncio.timeout(30):
                while gateway.gateway.relay.held < 2:  # the deletion and what follows it have been read
                    await asyncio.sleep(0.01)
            assert "post_deleted" not in await here.quiet()
        finally:
            go.set()
        deleted = await here.event("post_deleted")
        assert json.loads(deleted["data"]["post"])["id"] == root["id"]
        await here.event("posted")
        names = [event["event"] for event in here.events]
        assert names.index("thread_updated") < names.index("post_deleted")
        assert names.count("post_deleted") == names.count("thread_updated") == names.count("hello") == 1
        await there.event("post_deleted")
        for client in (here, there):
            await client.socket.close()
    await asyncio.gather(*held)
