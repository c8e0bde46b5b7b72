"""Two hundred people who post, listen, lose the server and come back, as the official clients do.

Each keeps what a client would keep: the posts of his channel, from snapshots and events. Whether that is right is
verdict.py's business. Source: Mattermost API v4, reliable WebSockets; `pending_post_id` of POST /posts.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tests.chaos.wire import Socket

# A client asks for what changed since its newest post, less this: clocks of workers and slow commits.
SINCE_MARGIN_MS = 10_000
SINCE_LIMIT = 1000
PAGE = 200


class Event(msgspec.Struct):
    event: str = ""
    seq: int = -1
    data: dict[str, Any] = {}


class Post(msgspec.Struct):
    """What a client keeps of a post, and what the verdict compares."""

    id: str
    create_at: int
    update_at: int
    delete_at: int
    message: str
    edit_at: int = 0


class PostList(msgspec.Struct):
    order: list[str]
    posts: dict[str, Post]


_event = msgspec.json.Decoder(Event).decode
_post = msgspec.json.Decoder(Post).decode
_list = msgspec.json.Decoder(PostList).decode


@dataclass
class Site:
    """Where the product is, and what the crowd has in common."""

    url: str
    http: aiohttp.ClientSession
    gateway: str = ""  # another origin for WebSockets
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def socket_address(self) -> tuple[str, int]:
        parts = urlsplit(self.gateway or self.url)
        return parts.hostname or "", parts.port or 80


@asynccontextmanager
async def open_site(url: str, gateway: str = "") -> AsyncIterator[Site]:
    """The site with a pool of connections for everybody."""
    timeout = aiohttp.ClientTimeout(total=15)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield Site(url, http, gateway)


class Member:
    """One person with one socket in one channel."""

    def __init__(self, site: Site, token: str, user_id: str, channel_id: str) -> None:
        self.site, self.token, self.user_id, self.channel_id = site, token, user_id, channel_id
        self.posts: dict[str, Post] = {}
        self.acknowledged: dict[str, str] = {}  # message → post id of a 201
        self.stretches: list[list[str]] = []  # posts heard between one hello and the next, in order
        self.faults: list[str] = []
        self.synced = asyncio.Event()
        self.heard = asyncio.Event()  # set at each change, for those who wait
        self._connection_id, self._next_seq = "", 0
        self._sync: asyncio.Task[None] | None = None
        self._headers = {"Authorization": f"Bearer {token}"}

    # -- listening -------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Be connected, for ever; come back by resume."""
        while True:
            target = "/api/v4/websocket"
            target += f"?connection_id={self._connection_id}&sequence_number={self._next_seq}"
            try:
                address = self.site.socket_address
                socket = await Socket.connect(*address, target, self._headers, self._on_text)
            except OSError:
                self.site.counts["refused sockets"] += 1
            else:
                try:
                    await socket.closed
                finally:
                    socket.abort()
                self.site.counts[f"sockets closed with {socket.close_code or 1006}"] += 1
            await asyncio.sleep(random.uniform(0.05, 0.3))

    def _on_text(self, text: bytes) -> None:
        event = _event(text)
        if event.event == "hello":
            self._connection_id, self._next_seq = event.data["connection_id"], 0
            self.stretches.append([])
            self.site.counts["hello"] += 1
            self._start_sync()
        if event.seq != self._next_seq:
            self.faults.append(f"seq {event.seq} instead of {self._next_seq}: {text[:200]!r}")
        self._next_seq = event.seq + 1
        if event.event in ("posted", "post_edited", "post_deleted"):
            post = _post(event.data["post"])
            if event.event == "posted":
                self.stretches[-1].append(post.id)
            self.posts[post.id] = (
                post  # the last event is right, whatever it says: order is the server's promise
            )
            self.heard.set()

    def _keep_loaded(self, post: Post) -> None:
        known = self.posts.get(post.id)
        if known is None or post.update_at > known.update_at:  # events overtook the list while it was loaded
            self.posts[post.id] = post

    # -- synchronising ---------------------------------------------------------------------------------------

    def _start_sync(self) -> None:
        self.synced.clear()
        if self._sync is not None:
            self._sync.cancel()
        self._sync = asyncio.get_running_loop().create_task(self._synchronise())

    async def _synchronise(self) -> None:
        """Load what changed since the newest known post; retried until the server answers."""
        newest = max((post.update_at for post in self.posts.values()), default=0)
        while True:
            try:
                posts = await self._changes(newest - SINCE_MARGIN_MS) if newest else await self._pages()
            except (aiohttp.ClientError, TimeoutError):
                self.site.counts["failed syncs"] += 1
                await asyncio.sleep(random.uniform(0.1, 0.4))
                continue
            for post in posts:
                self._keep_loaded(post)
            self.synced.set()
            self.heard.set()
            return

    async def _changes(self, since: int) -> list[Post]:
        found = await self._get(f"since={since}")
        return list(found.posts.values()) if len(found.posts) < SINCE_LIMIT else await self._pages()

    async def _pages(self) -> list[Post]:
        posts: list[Post] = []
        page = 0
        while True:
            found = await self._get(f"page={page}&per_page={PAGE}")
            posts += found.posts.values()
            if len(found.order) < PAGE:
                return posts
            page += 1

    async def _get(self, query: str) -> PostList:
        url = f"{self.site.url}/api/v4/channels/{self.channel_id}/posts?{query}"
        async with self.site.http.get(url, headers=self._headers) as answer:
            answer.raise_for_status()
            return _list(await answer.read())

    # -- posting ---------------------------------------------------------------------------------------------

    async def post(self, message: str) -> None:
        """Post until it is acknowledged, each time with the same pending_post_id."""
        body = {"channel_id": self.channel_id, "message": message}
        body["pending_post_id"] = f"{self.user_id}:{int(time() * 1000)}"
        while True:
            try:
                url = f"{self.site.url}/api/v4/posts"
                async with self.site.http.post(url, json=body, headers=self._headers) as answer:
                    text = await answer.read()
                    if answer.status == 201:
                        post = _post(text)
                        self.acknowledged[message] = post.id
                        self.site.counts["posts acknowledged"] += 1
                        return
                    self.site.counts[f"posts answered {answer.status}"] += 1
                    if answer.status < 500:
                        self.faults.append(f"POST /posts: {answer.status} {text[:200]!r}")
                        return
                    if answer.status == 503 and "Retry-After" not in answer.headers:
                        # The balancer's own 502 and 503 carry none; ours must.
                        self.site.counts["503 without Retry-After"] += "id" in text.decode()
            except (aiohttp.ClientError, TimeoutError):
                self.site.counts["posts without answer"] += 1
            await asyncio.sleep(random.uniform(0.1, 0.3))

    async def chatter(self, interval_s: float, stop: asyncio.Event) -> None:
        """Post a numbered message every interval_s, late ones at once, until `stop`; all are acknowledged."""
        loop = asyncio.get_running_loop()
        next_at, number = loop.time() + random.uniform(0, interval_s), 0
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), max(0, next_at - loop.time()))
            except TimeoutError:
                number += 1
                next_at += interval_s
                await self.post(f"{self.user_id} says {number}")


class Crowd:
    """All members and their tasks."""

    def __init__(self, site: Site, members: list[Member]) -> None:
        self.site, self.members = site, members
        self.stop = asyncio.Event()
        self.dismissed: list[Member] = []
        self._listening: dict[Member, asyncio.Task[None]] = {}
        self._posting: dict[Member, asyncio.Task[None]] = {}

    @classmethod
    def of_tokens(cls, site: Site, lines: list[str]) -> "Crowd":
        """Return a crowd of the lines that `tidewire loadtest seed` writes."""
        fields = [line.split() for line in lines]
        return cls(site, [Member(site, token, user, channel) for token, user, _, channel, _ in fields])

    async def arrive(self, timeout_s: float = 60) -> None:
        """Connect everybody and wait until each has a snapshot."""
        for member in self.members:
            self._listening[member] = asyncio.create_task(member.listen())
        async with asyncio.timeout(timeout_s):
            for member in self.members:
                await member.synced.wait()

    def start_posting(self, posts_per_s: float) -> None:
        """Everybody posts; all together so many per second."""
        interval_s = len(self.members) / posts_per_s
        self._posting = {m: asyncio.create_task(m.chatter(interval_s, self.stop)) for m in self.members}

    async def stop_posting(self, timeout_s: float = 60) -> None:
        """Wait until everybody's last post is acknowledged."""
        self.stop.set()
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*self._posting.values())

    async def __aenter__(self) -> "Crowd":
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all tasks; raise what ended one of them before."""
        tasks = [*self._posting.values(), *self._listening.values()]
        broken = [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in broken:
            task.result()

    async def dismiss(self, member: Member) -> None:
        """Let somebody go, before he is logged out; nobody asks what he knows any more, only what he was answered."""
        self.members.remove(member)
        self.dismissed.append(member)
        self._listening.pop(member).cancel()
        posting = self._posting.pop(member)
        posting.cancel()
        await asyncio.wait({posting})

    async def wait_for_news(self, since_ms: int, timeout_s: float) -> None:
        """Return when every member knows a post that was created after since_ms and all are in sync."""
        async with asyncio.timeout(timeout_s):
            for member in self.members:
                while not (member.synced.is_set() and _knows(member, since_ms)):
                    member.heard.clear()
                    await member.heard.wait()


def _knows(member: Member, since_ms: int) -> bool:
    return any(post.create_at > since_ms for post in reversed(member.posts.values()))
