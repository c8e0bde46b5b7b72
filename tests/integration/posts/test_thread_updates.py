"""What was changed in a thread, page by page. Source: Mattermost API v4, "Get a thread", updatesOnly."""

import pytest

from tests.fixtures.api import People
from tests.integration.posts.chat import Announced, say

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_pages_of_changes_leave_nothing_out(people: People, announced: Announced) -> None:
    me, channel = people.member, people.channel["id"]
    root = await say(me, channel)
    replies = [(await say(me, channel, f"{number}", root_id=root["id"]))["id"] for number in range(6)]
    await me.put(f"/posts/{replies[0]}/patch", {"message": "changed last"})
    # Replies of one commit have one time.
    await announced.db.execute("UPDATE posts SET update_at = $2 WHERE id = ANY($1::text[])", replies[1:5], 5_000)
    found: list[str] = []
    cursor = "fromUpdateAt=1"
    for _ in range(4):
        page = await me.get(f"/posts/{root['id']}/thread?updatesOnly=true&direction=down&perPage=2&{cursor}")
        assert page["order"][0] == root["id"]
        found += page["order"][1:]
        if not page["has_next"]:
            break
        last = page["posts"][found[-1]]
        cursor = f"fromPost={last['id']}&fromUpdateAt={last['update_at']}"
    assert found == [*sorted(replies[1:5]), replies[5], replies[0]]
