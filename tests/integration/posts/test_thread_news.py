"""News of threads across workers: what one that was killed did not tell, another one tells."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.fixtures.api import Client, People
from tests.fixtures.doomed import Doomed, doomed_beside
from tests.integration.posts.chat import Announced, say
from tidewire.actions import thread_news
from tidewire.store import threads

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def doomed(people: People) -> AsyncIterator[Doomed]:
    async with doomed_beside(people) as process:
        yield process


async def heard(announced: Announced, who: Client, root_id: str) -> list[int]:
    """Return the reply counts of a thread that a user was told since the last look."""
    found = []
    for copy in await announced.copies(news=True):
        if copy.name == "thread_updated" and copy.user_id == who.id:
            data = msgspec.json.decode(copy.body + b"}}")["data"]
            thread = msgspec.json.decode(data["thread"])
            if thread["id"] == root_id:
                found.append(thread["reply_count"])
    return found


async def test_news_of_a_killed_worker_is_told_by_another(
    people: People, announced: Announced, doomed: Doomed
) -> None:
    """Killed between the reply's commit and its news, which waits for a follower's row that the test holds."""
    owner, ann = people.owner, people.member
    root = await say(owner, people.channel["id"], "root")
    path = f"/users/me/teams/{people.team['id']}/threads/{root['id']}/following"
    await ann.put(path, {})
    connection = await asyncpg.connect(people.api.settings.database.url)
    try:
        async with connection.transaction():
            await connection.execute(
                "SELECT 1 FROM thread_members WHERE root_id = $1 AND user_id = $2 FOR UPDATE", root["id"], ann.id
            )
            await say(doomed.caller(owner), people.channel["id"], "reply", root_id=root["id"])
            doomed.kill()
            assert await heard(announced, ann, root["id"]) == []
        told: list[int] = []
        async with asyncio.timeout(30):
            while not told:
                await asyncio.sleep(0.05)
                told = await heard(announced, ann, root["id"])
        assert told == [1]
        await announced.told()  # and then it is noted, so that nobody tells it again
    finally:
        await connection.close()


async def test_what_is_told_is_not_told_again(people: People, announced: Announced) -> None:
    owner, ann = people.owner, people.member
    root = await say(owner, people.channel["id"], f"for @{ann.me['username']}")
    await say(owner, people.channel["id"], "reply", root_id=root["id"])
    told: list[int] = []
    async with asyncio.timeout(30):
        while not told:
            await asyncio.sleep(0.05)
            told = await heard(announced, ann, root["id"])
    await announced.told()
    assert told == [1] and await heard(announced, ann, root["id"]) == []


async def test_a_thread_ends_when_those_who_are_being_told_have_been(people: People, announced: Announced) -> None:
    """Else they would hear of the thread after its end, and show it again."""
    owner, ann = people.owner, people.member
    root = await say(owner, people.channel["id"], f"for @{ann.me['username']}")
    await say(owner, people.channel["id"], "reply", root_id=root["id"])
    async with asyncio.timeout(30):
        while not await heard(announced, ann, root["id"]):
            await asyncio.sleep(0.05)
    async with announced.db.transaction() as tx:
        page = await threads.hold_followers(tx, [root["id"]], ("", ""), 10)  # as the news does
        assert ann.id in [user_id for _, user_id in page]
        deletion = asyncio.create_task(owner.delete(f"/posts/{root['id']}"))
        assert not (await asyncio.wait([deletion], timeout=0.3))[0]
    assert await deletion == {"status": "OK"}


async def test_a_thread_that_cannot_be_told_of_holds_up_no_other(
    people: People, announced: Announced, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, ann, tell = people.owner, people.member, thread_news.tell
    words = "poison", "later", "first"
    roots = [(await say(owner, people.channel["id"], word))["id"] for word in words]
    gate = asyncio.Event()
    for root_id in roots:
        await ann.put(f"/users/me/teams/{people.team['id']}/threads/{root_id}/following", {})

    async def stumble(services: Any, news: dict[str, Any]) -> int:
        if roots[0] in news:
            raise KeyError("a bug")
        if roots[2] in news:  # meanwhile the others come together
            await gate.wait()
        return await tell(services, news)

    monkeypatch.setattr(thread_news, "tell", stumble)
    await announced.copies()
    for root_id in reversed(roots):
        await say(owner, people.channel["id"], "reply", root_id=root_id)
    gate.set()
    told: list[int] = []
    async with asyncio.timeout(30):
        while not told:
            await asyncio.sleep(0.05)
            told = await heard(announced, ann, roots[1])
    assert told == [1]
