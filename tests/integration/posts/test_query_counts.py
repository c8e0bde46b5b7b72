"""What each action asks of PostgreSQL: a fixed number of statements, however many posts it is about."""

import asyncio

import pytest

from tests.fixtures.api import People
from tests.fixtures.statements import Statements
from tests.integration.posts.chat import react, say

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_statements_of_each_action(statements: Statements, people: People) -> None:
    me, channel = people.member, people.channel["id"]
    roots = await asyncio.gather(*[say(me, channel) for _ in range(20)])
    replies = await asyncio.gather(*[say(me, channel, root_id=root["id"]) for root in roots])
    for post in [*roots[:10], *replies[:10]]:
        await react(me, post["id"], "+1")
    await statements.settled()  # the bus says that threads have got a follower
    with statements.count(1):
        await say(me, channel)
    await say(me, channel, root_id=roots[0]["id"])
    with statements.count(1):
        await say(me, channel, root_id=roots[0]["id"])
    with statements.count(1):  # names and keywords of a small channel are in memory
        await say(me, channel, f"hello @{people.owner.me['username']}")
    await me.get(f"/channels/{channel}/posts?per_page=1")  # from now on the number of emojis is in memory
    with statements.count(4):  # version, page with both its ends, roots, reactions
        assert len((await me.get(f"/channels/{channel}/posts?per_page=15"))["order"]) == 15
    with statements.count(2):  # changed posts, reactions; every root has changed too
        await me.get(f"/channels/{channel}/posts?since={replies[0]['create_at'] - 1}")
    with statements.count(4):  # post, version, replies, reactions
        await me.get(f"/posts/{roots[0]['id']}/thread")
    with statements.count(2):  # posts, reactions
        assert len(await me.post("/posts/ids", [post["id"] for post in [*roots, *replies]])) == 40
    with statements.count(2):
        assert len(await me.post("/posts/ids/reactions", [post["id"] for post in roots])) == 20
    with statements.count(8):  # post; lock, read, old version, update, reactions; number, outbox
        await me.put(f"/posts/{roots[0]['id']}/patch", {"message": "edited"})
    with statements.count(7):  # post; lock, distinct emojis, insert, touch; number, outbox
        await react(me, roots[1]["id"], "wave")
    with statements.count(9):  # post; lock, read, delete, end of the thread, followers, their numbers; number, outbox
        await me.delete(f"/posts/{roots[2]['id']}")
    alone = await say(me, channel)
    with statements.count(8):  # nobody follows it
        await me.delete(f"/posts/{alone['id']}")


async def test_statements_for_what_posts_refer_to(statements: Statements, people: People) -> None:
    """Of a list: one for the posts that it links to, one for the channels that it names, however many there are."""
    me, channel = people.member, people.channel["id"]
    site = "https://chat.example.org"
    await people.admin.put("/config/patch", {"ServiceSettings": {"SiteURL": site}})
    linked = [await say(me, place, "linked") for place in (channel, people.private["id"]) for _ in range(5)]
    await say(me, channel, "warm")
    with statements.count(2):  # the linked post, the new post
        await say(me, channel, f"{site}/seagulls/pl/{linked[0]['id']}")
    with statements.count(2):  # the channels, the new post
        made = await say(me, channel, "~harbour ~hidden")
    assert set(made["props"]["channel_mentions"]) == {"harbour", "hidden"}
    first = await say(me, channel, "the list begins here")
    for post in linked:
        await say(me, channel, f"{site}/seagulls/pl/{post['id']}")
    await me.get(f"/channels/{channel}/posts?per_page=1")  # how often emojis changed is in memory now
    with statements.count(3):  # version, page; linked posts
        page = await me.get(f"/channels/{channel}/posts?per_page=10")
    assert all(post["metadata"]["embeds"] for post in page["posts"].values())
    await say(me, channel, "~harbour")
    with statements.count(6):  # version, cursor, page, neighbours; linked posts, named channels
        await me.get(f"/channels/{channel}/posts?after={first['id']}&per_page=11")


async def test_links_cost_a_list_one_statement(statements: Statements, people: People) -> None:
    me = people.member
    channel = (await me.new_channel(people.team["id"], "links"))["id"]
    posts = [await say(me, channel, f"http://example.org/{number}") for number in range(5)]
    await say(me, channel, "no link")
    await me.get(f"/channels/{channel}/posts?per_page=1")  # how often emojis changed is in memory now
    with statements.count(2):  # version, page
        await me.get(f"/channels/{channel}/posts?per_page=1")
    with statements.count(3):  # and what the posts show
        await me.get(f"/channels/{channel}/posts")
    with statements.count(9):  # post; lock, read, old version, what it showed, update, what it shows; number, outbox
        await me.put(f"/posts/{posts[0]['id']}/patch", {"message": "http://example.org/other"})
