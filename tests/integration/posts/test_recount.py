"""After any sequence of posts, mentions, views and comings and goings the stored counts are what a recount says.

The recount is a model of the contract in plain Python, kept beside the real API. Source: Mattermost API v4, "counters
and read state".
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fixtures.api import Client, People
from tests.integration.posts.chat import say
from tidewire.store.db import Database

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAMES = ("owner", "member", "teammate")
PEOPLE = st.sampled_from(NAMES)
NUMBER = st.integers(0, 30)
STEP = st.one_of(
    st.tuples(st.sampled_from(["post", "urgent"]), PEOPLE, NUMBER, st.sampled_from(["", *NAMES, "all"])),
    st.tuples(st.just("reply"), PEOPLE, NUMBER, st.sampled_from(["", *NAMES, "all"])),
    st.tuples(
        st.sampled_from(
            ["delete", "view", "unread", "leave", "join", "read thread", "unread thread", "unfollow", "follow"]
        ),
        PEOPLE, NUMBER, st.just(""),
    ),
)  # fmt: skip


@dataclass
class Said:
    """A post. named: whom it mentioned when it was written."""

    id: str
    by: str
    at: int
    root: str
    text: str
    named: set[str]
    urgent: bool = False
    deleted: bool = False


@dataclass
class Read:
    """A member's read state of the channel: posts seen and mentions since."""

    seen: int
    seen_root: int
    mentions: int = 0
    mentions_root: int = 0
    urgent: int = 0


@dataclass
class Follow:
    """A follower's read state of a thread."""

    following: bool = True
    viewed_at: int = 0
    mentions: int = 0


@dataclass
class Model:
    """What the contract says of one channel."""

    members: dict[str, Read]
    total: int
    total_root: int
    posts: dict[str, Said] = field(default_factory=dict)
    follows: dict[tuple[str, str], Follow] = field(default_factory=dict)

    def live(self, *, roots: bool) -> list[Said]:
        return [post for post in self.posts.values() if not post.deleted and (not post.root) == roots]

    def follow(self, root: str, who: str, *, chosen: bool) -> None:
        """Let a member follow: against his own choice only if he wrote or was named."""
        if who not in self.members:
            return
        found = self.follows.setdefault((root, who), Follow())
        found.following = found.following or chosen

    def said(self, post: Said) -> None:
        self.posts[post.id] = post
        self.total += 1
        self.total_root += not post.root
        if not post.root:
            self.members[post.by] = Read(self.total, self.total_root)
        for who in post.named:
            self.members[who].mentions += 1
            self.members[who].mentions_root += not post.root
            self.members[who].urgent += post.urgent
        if post.root:
            root = self.posts[post.root]
            self.follow(post.root, post.by, chosen=True)
            own = self.follows[post.root, post.by]
            own.viewed_at, own.mentions = max(own.viewed_at, post.at), 0
            for who in post.named:
                self.follow(post.root, who, chosen=True)
                self.follows[post.root, who].mentions += 1
            for who in {root.by, *root.named}:
                self.follow(post.root, who, chosen=False)

    def deleted(self, post: Said) -> None:
        for other in self.posts.values():
            other.deleted |= post.id in (other.id, other.root)

    def left(self, who: str) -> None:
        del self.members[who]
        self.follows = {key: value for key, value in self.follows.items() if key[1] != who}

    def mentions_after(
        self, who: str, at: int, *, root: str = "", roots_only: bool = False, urgent: bool = False
    ) -> int:
        return sum(
            not post.deleted
            and post.at > at
            and post.by != who
            and (who in post.text or "all" in post.text)
            and (not root or post.root == root)
            and (not roots_only or not post.root)
            and (post.urgent or not urgent)
            for post in self.posts.values()
        )

    def set_unread(self, who: str, post: Said) -> None:
        later = [other for other in self.posts.values() if not other.deleted and other.at >= post.at]
        at = post.at - 1
        self.members[who] = Read(
            self.total - len(later),
            self.total_root - sum(not other.root for other in later),
            self.mentions_after(who, at),
            self.mentions_after(who, at, roots_only=True),
            self.mentions_after(who, at, urgent=True),
        )

    def set_thread_read(self, who: str, root: str, at: int) -> None:
        found = self.follows.setdefault((root, who), Follow())
        found.following, found.viewed_at = True, at
        found.mentions = self.mentions_after(who, at, root=root)

    def unread_replies(self, root: str, at: int) -> int:
        return sum(not post.deleted and post.root == root and post.at > at for post in self.posts.values())


class Run:
    """One example: the API and the model side by side."""

    def __init__(self, people: People, channel_id: str, model: Model) -> None:
        self.people = people
        self.channel_id = channel_id
        self.model = model
        self.clients: dict[str, Client] = {name: getattr(people, name) for name in NAMES}

    async def step(self, kind: str, who: str, number: int, words: str) -> None:
        """Do one thing, if it can be done, in both."""
        client, model = self.clients[who], self.model
        if kind == "join" and who not in model.members:
            await self.clients["owner"].post(f"/channels/{self.channel_id}/members", {"user_id": client.id}, expect=201)
            mention = who != "owner"  # the post that says so names him
            model.members[who] = Read(model.total, model.total_root, mention, mention)
        if who not in model.members or kind == "join":
            return
        roots, replies = model.live(roots=True), model.live(roots=False)
        if kind in ("post", "urgent"):
            await self.say(who, words, "", urgent=kind == "urgent")
        elif kind == "view":
            body = {"channel_id": self.channel_id, "collapsed_threads_supported": True}
            await client.post("/channels/members/me/view", body)
            model.members[who] = Read(model.total, model.total_root)
        elif kind == "leave" and who != "owner":
            await client.delete(f"/channels/{self.channel_id}/members/{client.id}")
            model.left(who)
        elif roots:
            root = roots[number % len(roots)]
            post = [*roots, *replies][number % len([*roots, *replies])]
            thread = f"/users/me/teams/{self.people.team['id']}/threads/{root.id}"
            if kind == "reply":
                await self.say(who, words, root.id)
            elif kind == "delete":
                await self.people.admin.delete(f"/posts/{post.id}")
                model.deleted(post)
            elif kind == "unread":
                body = {"collapsed_threads_supported": True}
                await client.post(f"/users/me/posts/{post.id}/set_unread", body)
                model.set_unread(who, post)
            elif kind == "read thread":
                await client.put(f"{thread}/read/{post.at}")
                model.set_thread_read(who, root.id, post.at)
            elif kind == "unread thread":
                await client.post(f"{thread}/set_unread/{root.id}")
                model.set_thread_read(who, root.id, root.at - 1)
            elif kind == "unfollow":
                await client.delete(f"{thread}/following")
                old = model.follows.get((root.id, who), Follow())
                model.follows[root.id, who] = Follow(following=False, viewed_at=old.viewed_at)
            elif kind == "follow":
                await client.put(f"{thread}/following")
                model.follows[root.id, who] = Follow(viewed_at=2**60)

    async def say(self, who: str, words: str, root: str, *, urgent: bool = False) -> None:
        """Post, naming nobody, one or all."""
        named = ({words} if words != "all" else set(NAMES)) & self.model.members.keys() - {who}
        name = "all" if words == "all" else self.clients[words].me["username"] if words else ""
        await asyncio.sleep(0.002)  # posts of one millisecond are read and unread together
        more = {"metadata": {"priority": {"priority": "urgent"}}} if urgent else {}
        made = await say(
            self.clients[who], self.channel_id, f"hi @{name}" if words else "hi", root_id=root, **more
        )
        text = words if words != who else ""
        for follow in self.model.follows.values():
            follow.viewed_at = min(follow.viewed_at, made["create_at"] - 1)  # "now" of a follow
        self.model.said(Said(made["id"], who, made["create_at"], root, text, named, urgent))

    async def check(self, db: Database) -> None:
        """Compare everything that is stored or answered."""
        model = self.model
        channel = await db.fetchrow("SELECT * FROM channels WHERE id = $1", self.channel_id)
        assert channel is not None
        assert (channel["total_msg_count"], channel["total_msg_count_root"]) == (model.total, model.total_root)
        rows = await db.fetch("SELECT * FROM channel_members WHERE channel_id = $1", self.channel_id)
        ids = {client.id: name for name, client in self.clients.items()}
        stored = {
            ids[row["user_id"]]: Read(
                *(
                    row[name]
                    for name in ("msg_count", "msg_count_root", "mention_count", "mention_count_root")
                ),
                row["urgent_mention_count"],
            )
            for row in rows
        }
        assert stored == model.members
        follows = await db.fetch("SELECT * FROM thread_members WHERE channel_id = $1", self.channel_id)
        rows_of = {(row["root_id"], ids[row["user_id"]]): (row["following"], row["unread_mentions"]) for row in follows}
        assert rows_of == {key: (value.following, value.mentions) for key, value in model.follows.items()}
        live = {post.id for post in model.live(roots=True)}
        for name in model.members:
            threads: list[dict[str, Any]] = (
                await self.clients[name].get(f"/users/me/teams/{self.people.team['id']}/threads?per_page=200")
            )["threads"]
            told = {
                row["id"]: (row["unread_replies"], row["unread_mentions"], row["reply_count"])
                for row in threads
                if row["post"]["channel_id"] == self.channel_id
            }
            expected = {
                root: (model.unread_replies(root, value.viewed_at), value.mentions, model.unread_replies(root, -1))
                for (root, who), value in model.follows.items()
                if who == name and value.following and root in live and model.unread_replies(root, -1)
            }
            assert told == expected, name


async def test_counts_are_what_a_recount_says(people: People) -> None:
    db = Database(people.api.settings.database.url)
    loop = asyncio.get_running_loop()
    numbers = iter(range(1000))

    async def example(steps: list[tuple[str, str, int, str]]) -> None:
        channel = await people.owner.new_channel(
            people.team["id"], f"recount-{next(numbers)}", "O", people.member, people.teammate
        )
        model = Model({name: Read(0, 0, name != "owner", name != "owner") for name in NAMES}, 0, 0)
        run = Run(people, channel["id"], model)
        for step in steps:
            await run.step(*step)
        await run.check(db)

    @settings(
        max_examples=15,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(st.lists(STEP, min_size=15, max_size=40))
    def examples(steps: list[tuple[str, str, int, str]]) -> None:
        asyncio.run_coroutine_threadsafe(example(steps), loop).result(60)

    try:
        await asyncio.to_thread(examples)
    finally:
        await db.close()
