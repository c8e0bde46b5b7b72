"""The queue in front of the group commit: one per API worker.

Posts that arrive while a flush runs go into the next one; there is no timer, so an idle server answers at once
and a busy one grows its batches. One flush is in flight: two made more commits and a higher median. Knows what can
become of a batch; knows no chat rules.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import asyncpg
import structlog
from prometheus_client import Counter, Histogram

from tidewire.store import post_batch
from tidewire.store.db import GONE, Connection, Database
from tidewire.store.post_batch import PENDING_MS, Batch, Committed, NewPost
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Post

BATCH_POSTS = 128  # beyond, a post costs no less: 62-80 µs at 128, 70-85 at 32
BATCH_BYTES = 4 << 20  # some ten ms of one core; a post and its event take 600 KB at most
# What waits in memory: at 4,000 posts/s of 2 KB a second's worth. Beyond, authors hear 503.
QUEUE_POSTS, QUEUE_BYTES = 4096, 64 << 20
FLUSH_TIMEOUT_S = 5.0  # a database that needs longer for 128 posts is frozen
# How long a flush is tried again while the database is away; then the authors hear 503 and repeat themselves.
RETRY_FOR_S, RETRY_EVERY_S = 3.0, 0.1
DEADLOCKS = 3
RECENT = 20_000  # pending ids remembered here; the table knows all of them
PRUNE_EVERY_S = 10.0
# The plan follows the tables' sizes. One made while they were small walks through an index: after 18,000 posts more
# it cost PostgreSQL 1,355 µs a post, a fresh one 55.
PLAN_AGAIN_S = 1.0
POSTS = Counter("mattermost_post", "Posts written.")
BATCH = Histogram("tidewire_post_batch", "Posts of one commit.", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
FLUSH = Histogram("tidewire_post_flush_seconds", "Time of one commit, retries included.")
_log = structlog.get_logger("posts")


class Refused(Exception):
    """A post that could not be written as it is: a repeated pending id, a root or a channel that is gone."""


class Repeated(Exception):
    """The author has sent this pending_post_id before: it became `post_id`."""

    def __init__(self, post_id: str) -> None:
        super().__init__(post_id)
        self.post_id = post_id


@dataclass(slots=True)
class _Recent:
    """A pending id of the last 30 s and its post. followers: who repeats it while it is being written; then None."""

    ends_at: float
    post_id: str
    followers: "list[asyncio.Future[None]] | None"


_Waiting = tuple[NewPost, "asyncio.Future[None]", _Recent | None]


class PostWriter:
    """Writes posts and hands their announcements to the publisher of `db`."""

    def __init__(self, db: Database, take_published: Callable[[], list[int]] = list) -> None:
        self._db = db
        self._take_published = take_published
        self._queue: deque[_Waiting] = deque()
        self._queue_bytes = 0
        self._connection: Connection | None = None
        self._plan_at = 0.0
        self._drain_task: asyncio.Task[None] | None = None
        self._prune_task: asyncio.Task[None] | None = None
        self._pruned_at = monotonic()
        self._marks: list[int] = []
        self._down = False  # the last flush gave up: the next ones try once only
        self._recent: OrderedDict[tuple[str, str], _Recent] = OrderedDict()

    async def write(self, new: NewPost) -> None:
        """Return when the post is committed. A caller that is cancelled does not take the post back.

        Raises: Repeated; Refused; Unavailable when the queue is full or the database does not answer.
        """
        if len(self._queue) >= QUEUE_POSTS or self._queue_bytes >= QUEUE_BYTES:
            raise Unavailable("database")
        post = new.post
        recent = None
        if post.pending_post_id:
            await self._check_recent(post.user_id, post.pending_post_id)
            recent = self._remember(post)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((new, future, recent))
        self._queue_bytes += len(new.envelope)
        if self._drain_task is None:
            self._drain_task = asyncio.get_running_loop().create_task(self._drain())
        await future

    async def _check_recent(self, user_id: str, pending_id: str) -> None:
        known = self._recent.get((user_id, pending_id))
        if known is None or known.ends_at < monotonic():
            return
        if known.followers is not None:
            follower: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            known.followers.append(follower)
            await follower
        raise Repeated(known.post_id)

    def _remember(self, post: Post) -> _Recent:
        now = monotonic()
        key = post.user_id, post.pending_post_id
        recent = self._recent[key] = _Recent(now + PENDING_MS / 1000, post.id, [])
        self._recent.move_to_end(key)
        while len(self._recent) > RECENT or next(iter(self._recent.values())).ends_at < now:
            self._recent.popitem(last=False)
        return recent

    async def close(self) -> None:
        """Write what waits, then let go of the connection."""
        if self._drain_task is not None:
            await self._drain_task
        if self._prune_task is not None:
            await self._prune_task
        if self._connection is not None:
            self._connection.terminate()

    # -- flushing ----------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        try:
            while self._queue:
                await asyncio.sleep(0)  # the other requests of this turn of the loop join
                await self._write(self._take())
                self._prune()
        finally:
            self._drain_task = None

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        size = 0
        while self._queue and len(taken) < BATCH_POSTS and size < BATCH_BYTES:
            taken.append(self._queue.popleft())
            size += len(taken[-1][0].envelope)
        self._queue_bytes -= size
        return taken

    async def _write(self, waiting: Sequence[_Waiting]) -> None:
        started = monotonic()
        try:
            committed = await self._commit(Batch([new for new, _, _ in waiting], self._db.worker, now_ms()))
        except Unavailable as error:
            self._finish(waiting, error)
            while self._queue:  # they have waited as long
                self._finish(self._take(), error)
        except asyncpg.PostgresError as error:
            if len(waiting) > 1:  # one bad post must not fail the others: halve until it stands alone
                middle = len(waiting) // 2
                await self._write(waiting[:middle])
                await self._write(waiting[middle:])
            else:
                refused = isinstance(error, asyncpg.DivisionByZeroError)
                self._finish(waiting, Refused() if refused else error)
        except Exception as error:  # this task's boundary: every author hears of a bug of ours
            self._finish(waiting, error)
        else:
            POSTS.inc(len(waiting))
            BATCH.observe(len(waiting))
            FLUSH.observe(monotonic() - started)
            if committed is not None and self._db.publisher is not None:
                self._db.publisher.committed(*committed)
            self._finish(waiting, None, committed[0] if committed is not None else 0)

    def _finish(self, waiting: Sequence[_Waiting], error: Exception | None, outbox_id: int = 0) -> None:
        for new, future, recent in waiting:
            if error is None and new.committed is not None:
                new.committed(outbox_id)
            waiters = [future]
            if recent is not None:
                waiters += recent.followers or ()
                recent.followers = None
                key = new.post.user_id, new.post.pending_post_id
                if error is not None and self._recent.get(key) is recent:
                    del self._recent[key]
            for waiter in waiters:
                if waiter.cancelled():  # its author has gone
                    continue
                if error is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(error)

    async def _commit(self, batch: Batch) -> Committed | None:
        """Write a batch, however often the connection is lost on the way. None: it was, and is published already."""
        deadline = monotonic() + (0 if self._down else RETRY_FOR_S)
        deadlocks = 0
        maybe_written = False
        marks = self._marks + self._take_published()
        self._marks = marks
        while True:
            try:
                connection = await self._connect()
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    if monotonic() >= self._plan_at:
                        await post_batch.plan_again(connection)
                        self._plan_at = monotonic() + PLAN_AGAIN_S
                    committed = await batch.write(connection, marks)
                self._marks, self._down = [], False
                return committed
            except asyncpg.UniqueViolationError as error:
                # The unique check waits for a backend that is still at the first attempt, so this is its commit.
                if not (maybe_written and error.constraint_name == "posts_pkey"):
                    raise
                return await self._find(batch)
            except asyncpg.DeadlockDetectedError:
                deadlocks += 1
                if deadlocks == DEADLOCKS:
                    raise
            except (*GONE, Unavailable) as error:
                maybe_written |= not isinstance(error, Unavailable)
                self._disconnect()
                if monotonic() >= deadline:
                    self._down = True
                    raise Unavailable("database") from error
                await asyncio.sleep(RETRY_EVERY_S)

    async def _find(self, batch: Batch) -> Committed | None:
        try:
            return await batch.find(await self._connect())
        except (*GONE, Unavailable):  # its outbox row is then a stray, which the publisher finds
            self._disconnect()
            return None

    async def _connect(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._db.connect(**post_batch.PLANNING)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

    # -- pending ids -------------------------------------------------------------------------------------------

    async def first_post_id(self, user_id: str, pending_id: str) -> str | None:
        """Return the id of the post that an author's pending id became within the last 30 s, at any worker."""
        return await post_batch.first_post_id(self._db, user_id, pending_id, now_ms())

    def _prune(self) -> None:
        if monotonic() - self._pruned_at > PRUNE_EVERY_S and (
            self._prune_task is None or self._prune_task.done()
        ):
            self._pruned_at = monotonic()
            self._prune_task = asyncio.get_running_loop().create_task(self._delete_old())

    async def _delete_old(self) -> None:
        try:
            await post_batch.prune_pending(self._db, now_ms())
        except Unavailable:
            _log.info("pending ids stay for the next pruning")
