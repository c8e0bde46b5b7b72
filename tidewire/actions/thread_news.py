"""Tells followers that their threads changed: `thread_updated`, after the posts it is about. One per API worker.

Not in the request and not per reply: what a follower has not read is counted when the news is made, so one event stands
for all replies since the last, and a busy thread costs its followers a bounded number of them. Each transaction holds
the followers' read state while it counts, so a follower's events come in the order of what they say.

That a thread has news is committed with its reply, beside the announcement in the outbox, and stays there until it is
told. What a worker that died has left there, another one takes over.
"""

import asyncio
from collections.abc import Iterable
from time import monotonic

import structlog
from msgspec import Struct, field

from tidewire.actions import collapsed_threads, thread_events
from tidewire.actions.copies import announce
from tidewire.actions.services import Services
from tidewire.bus.envelope import Copy, user_key
from tidewire.loops import again
from tidewire.store import outbox, threads
from tidewire.store.threads import Follower, ThreadState
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Post

FOLLOWERS = 200  # of one transaction: 0.3 MB of events with ordinary roots
THREADS = 50  # of one transaction: what it costs besides is shared by all of them
ROOTS = 10_000  # threads that may wait; beyond, the oldest news is dropped and counts on the next
# Rest after each event: 5,000 events/s and worker. Meanwhile the replies of a thread become one.
REST_PER_EVENT_S = 0.0002
# And rest as a multiple of the time that the news took: new posts go first, news gets an eighth of the turns.
REST_FACTOR = 7
RETRY_S = 0.5
# How often what was told is noted, and looked for what others left: with the rest above, told within 5 s of a death.
KEEP_S = 1.0
CLAIM_ROWS = 200
# A row so old has reached this worker's memory, if its commit was answered at all.
UNSEEN_MS = 1000
log = structlog.get_logger("threads")


class News(Struct):
    """What happened in a thread since the last news.

    added, removed: create_at of replies that came and went. mentions: user id → how many of them mention him.
    row: the first outbox row that says so. whole: False if more may have happened than is known here.
    """

    added: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    mentions: dict[str, int] = field(default_factory=dict)
    row: int = 0
    whole: bool = True

    def previous(self, user_id: str, state: ThreadState) -> tuple[int, int] | None:
        """Return (unread replies, unread mentions) before the news; 0 for one who follows since then; None: unknown."""
        if not self.whole:
            return None
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
        self._telling: dict[str, News] = {}
        self._last_row = 0  # the newest outbox row that this worker's news has come from
        self._services: Services | None = None
        self._task: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False

    def start(self, services: Services) -> None:
        """Tell from now on, and take over from workers that are gone."""
        self._services = services
        self._keeper = asyncio.get_running_loop().create_task(
            again("news that others left", lambda: self._keep(services), KEEP_S, rest_first=True)
        )

    def replied(self, post: Post, mentions: Iterable[str], row: int) -> None:
        """Note a reply that is committed. row: the id of its outbox row, 0 if it is not known."""
        news = self._news(post.root_id, row)
        news.added.append(post.create_at)
        for user_id in mentions:
            news.mentions[user_id] = news.mentions.get(user_id, 0) + 1

    def removed(self, post: Post, row: int) -> None:
        """Note a reply that is deleted."""
        self._news(post.root_id, row).removed.append(post.create_at)

    def _news(self, root_id: str, row: int) -> News:
        # A row that is not known is newer than the newest one that is: what is older may be noted as told.
        row = row or self._last_row
        self._last_row = max(self._last_row, row)
        news = self._waiting.get(root_id)
        if news is None:
            news = self._waiting[root_id] = News(row=row)
            if len(self._waiting) > ROOTS:
                del self._waiting[next(iter(self._waiting))]
        if self._task is None and self._services is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._services))
        return news

    async def close(self) -> None:
        """Tell what waits, and note it, unless the database is away."""
        self._closing = True
        if self._task is not None:
            await self._task
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._services is not None:
            try:
                await self._note_told(self._services, now_ms() + UNSEEN_MS)
            except Unavailable:
                return  # another worker tells it once more

    # -- telling -------------------------------------------------------------------------------------------------

    async def _run(self, services: Services) -> None:
        try:
            while self._waiting:
                roots = list(self._waiting)[:THREADS]
                self._telling = {root_id: self._waiting.pop(root_id) for root_id in roots}
                started = monotonic()
                try:
                    told = await _tell_apart(services, self._telling)
                except Unavailable:
                    if self._closing:
                        return
                    log.info("news of threads wait for the database")
                    await asyncio.sleep(RETRY_S)
                    self._merge(self._telling)
                else:
                    self._telling = {}
                    rest_s = max(told * REST_PER_EVENT_S, (monotonic() - started) * REST_FACTOR)
                    await asyncio.sleep(0 if self._closing else rest_s)
        finally:
            self._task = None

    def _merge(self, earlier: dict[str, News]) -> None:
        for root_id, news in earlier.items():
            later = self._waiting.get(root_id)
            if later is not None:
                news.added += later.added
                news.removed += later.removed
                for user_id, count in later.mentions.items():
                    news.mentions[user_id] = news.mentions.get(user_id, 0) + count
                news.whole &= later.whole
            self._waiting[root_id] = news

    # -- across workers ------------------------------------------------------------------------------------------

    async def _keep(self, services: Services) -> None:
        await self._note_told(services, now_ms() - UNSEEN_MS)
        while self._take_over(await outbox.claim_news(services.db, services.db.worker, CLAIM_ROWS)):
            pass

    async def _note_told(self, services: Services, before_ms: int) -> None:
        if self._last_row:
            open_rows = [news.row for kept in (self._waiting, self._telling) for news in kept.values()]
            first_open = min(open_rows, default=self._last_row + 1)
            await outbox.note_news_told(services.db, services.db.worker, first_open, before_ms)

    def _take_over(self, rows: list[tuple[int, list[str]]]) -> bool:
        """Add what another worker left; return whether there may be more."""
        for row, roots in rows:
            for root_id in roots:
                news = self._news(root_id, row)
                news.row, news.whole = min(news.row, row), False
        if rows:
            log.info("took over news of threads", rows=len(rows))
        return len(rows) == CLAIM_ROWS


async def _tell_apart(services: Services, news: dict[str, News]) -> int:
    """As `tell`; if that fails, each thread by itself: one that cannot be told is given up. Raises: Unavailable."""
    try:
        return await tell(services, news)
    except Unavailable:
        raise
    except Exception:  # a bug of ours, which must not keep the news of other threads from being told
        log.exception("news of threads cannot be told", threads=list(news) if len(news) == 1 else len(news))
    if len(news) == 1:
        return 0
    return sum([await _tell_apart(services, {root_id: one}) for root_id, one in news.items()])


async def tell(services: Services, news: dict[str, News]) -> int:
    """Announce threads to each of their followers; return how many events that made. Nobody is told of deleted ones.

    Cost: nine statements per FOLLOWERS followers, of however many threads.
    """
    told = 0
    roots = list(news)
    after: Follower = "", ""
    while roots:
        async with services.db.transaction() as tx:
            page = await threads.hold_followers(tx, roots, after, FOLLOWERS)
            concerned = await collapsed_threads.of_followers(services, tx, page)
            views = await thread_events.load_views(services, tx, list({root_id for root_id, _ in concerned}))
            states = await threads.states(tx, [one for one in concerned if one[0] in views])
            copies: dict[str, list[Copy]] = {}
            for (root_id, user_id), state in states.items():
                previous = news[root_id].previous(user_id, state)
                copy = thread_events.updated(views[root_id], user_id, state, previous)
                copies.setdefault(user_id, []).append(copy)
            for user_id, of_user in copies.items():
                announce(tx, user_key(user_id), of_user)
        told += len(states)
        if len(page) < FOLLOWERS:
            break
        after = page[-1]
        roots = [root_id for root_id in roots if root_id >= after[0]]
    return told
