"""Tells followers that their threads changed: `thread_updated`, after the posts it is about. One per API worker.

Not in the request and not per reply: what a follower has not read is counted when the news is made, so one event stands
for all replies since the last, and a busy thread costs its followers a bounded number of them. Each transaction holds
the followers' read state while it counts, so a follower's events come in the order of what they say. A worker that dies
between a reply and its news leaves the next reply, or the next load, to tell; the counts themselves are in the commit.
"""

import asyncio
from collections.abc import Iterable
from time import monotonic

import structlog
from msgspec import Struct, field

from tidewire.actions import thread_events
from tidewire.actions.copies import announce
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.store import threads
from tidewire.store.threads import ThreadState
from tidewire.wire.errors import Unavailable
from tidewire.wire.models import Post

FOLLOWERS = 200  # of one transaction: 0.3 MB of events with an ordinary root
ROOTS = 10_000  # threads that may wait; beyond, the oldest news is dropped and counts on the next
# Rest after each event: 5,000 events/s and worker. Meanwhile the replies of a thread become one.
REST_PER_EVENT_S = 0.0002
# And rest as a multiple of the time that a thread's news took: new posts go first, news gets an eighth of the turns.
REST_FACTOR = 7
RETRY_S = 0.5
log = structlog.get_logger("threads")


class News(Struct):
    """What happened in a thread since the last news.

    added, removed: create_at of replies that came and went. mentions: user id → how many of them mention him.
    """

    added: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    mentions: dict[str, int] = field(default_factory=dict)

    def previous(self, user_id: str, state: ThreadState) -> tuple[int, int]:
        """Return (unread replies, unread mentions) before the news; 0 for one who follows since then."""
        if self.added and state.followed_at >= min(self.added):
            return 0, 0
        seen = state.last_viewed_at
        replies = (
            state.unread_replies - sum(at > seen for at in self.added) + sum(at > seen for at in self.removed)
        )
        mentions = state.unread_mentions - self.mentions.get(user_id, 0)
        return max(0, replies), max(0, mentions)


class ThreadNews:
    """Collects news and tells it. `close` tells what waits."""

    def __init__(self) -> None:
        self._waiting: dict[str, News] = {}
        self._services: Services | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self, services: Services) -> None:
        """Tell from now on."""
        self._services = services

    def replied(self, post: Post, mentions: Iterable[str]) -> None:
        """Note a reply that is committed."""
        news = self._news(post.root_id)
        news.added.append(post.create_at)
        for user_id in mentions:
            news.mentions[user_id] = news.mentions.get(user_id, 0) + 1

    def removed(self, post: Post) -> None:
        """Note a reply that is deleted."""
        self._news(post.root_id).removed.append(post.create_at)

    def _news(self, root_id: str) -> News:
        news = self._waiting.get(root_id)
        if news is None:
            news = self._waiting[root_id] = News()
            if len(self._waiting) > ROOTS:
                del self._waiting[next(iter(self._waiting))]
        if self._task is None and self._services is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._services))
        return news

    async def close(self) -> None:
        """Tell what waits, unless the database is away."""
        self._closing = True
        if self._task is not None:
            await self._task

    async def _run(self, services: Services) -> None:
        try:
            while self._waiting:
                root_id = next(iter(self._waiting))
                news = self._waiting.pop(root_id)
                started = monotonic()
                try:
                    told = await tell(services, root_id, news)
                except Unavailable:
                    if self._closing:
                        return
                    log.info("news of threads wait for the database")
                    await asyncio.sleep(RETRY_S)
                    self._merge(root_id, news)
                except Exception:  # this task's boundary: a bug of ours must not keep later news from being told
                    log.exception("news of a thread is lost", root_id=root_id)
                else:
                    rest_s = max(told * REST_PER_EVENT_S, (monotonic() - started) * REST_FACTOR)
                    await asyncio.sleep(0 if self._closing else rest_s)
        finally:
            self._task = None

    def _merge(self, root_id: str, news: News) -> None:
        later = self._waiting.setdefault(root_id, News())
        later.added += news.added
        later.removed += news.removed
        for user_id, count in news.mentions.items():
            later.mentions[user_id] = later.mentions.get(user_id, 0) + count


async def tell(services: Services, root_id: str, news: News) -> int:
    """Announce a thread to each of its followers; return to how many. Nobody is told of a deleted one."""
    told, after = 0, ""
    while True:
        async with services.db.transaction() as tx:
            page = await threads.hold_followers(tx, root_id, after, FOLLOWERS)
            view = await thread_events.load_view(services, tx, root_id) if page else None
            if view is None:
                return told
            states = await threads.states(tx, root_id, page)
            for user_id, state in states.items():
                copy = thread_events.updated(view, user_id, state, news.previous(user_id, state))
                announce(tx, user_key(user_id), [copy])
            told += len(states)
        if len(page) < FOLLOWERS:
            return told
        after = page[-1]
