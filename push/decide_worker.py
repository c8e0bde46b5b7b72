"""Takes what may lead to a push from the bus, decides, and gives the jobs to the send queue. One task per process.

An entry is finished only when its jobs are in the send queue, so a worker that is killed loses nothing: another one
decides again, and the jobs have the same ids.
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from prometheus_client import Counter, Histogram

from push.decide import Decider, weight
from tidewire.bus.envelope import PostPush
from tidewire.bus.push_decide import DecisionReader, Waiting
from tidewire.bus.push_queue import PushQueue, QueueFull
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.push import Job

AT_ONCE = 200  # entries read; a statement about so many posts takes some ms
# Users whom one round of statements is about: a post to a channel of a thousand phones is nearly a round of its own.
USERS_AT_ONCE = 2_000
JOBS_AT_ONCE = 500  # in one write: some 500 KB
RETRY_S = 0.5

DECIDED = Counter("tidewire_push_decided", "Posts, reads and badges decided on.", ["kind"])
REPEATED = Counter("tidewire_push_repeated", "Posts that were on the queue again, decided on before.")
JOBS = Counter("tidewire_push_jobs", "Pushes that were decided, one per device.", ["type", "provider"])
TOOK = Histogram(
    "tidewire_push_decide_seconds",
    "From the commit to the send queue.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60),
)
log = structlog.get_logger(__name__)


def portions(entries: Sequence[Waiting]) -> Iterable[list[Waiting]]:
    """Yield entries in order, in portions that are about some USERS_AT_ONCE users each."""
    portion: list[Waiting] = []
    users = 0
    for entry in entries:
        more = weight(entry.decision)
        if portion and users + more > USERS_AT_ONCE:
            yield portion
            portion, users = [], 0
        portion.append(entry)
        users += more
    if portion:
        yield portion


class DecideWorker:
    """Runs until it is cancelled; whatever is away, it waits for it."""

    def __init__(self, reader: DecisionReader, decider: Decider, queue: PushQueue) -> None:
        self._reader = reader
        self._decider = decider
        self._queue = queue
        self._failing = False

    async def run(self) -> None:
        """Decide for ever."""
        while True:
            try:
                entries = await self._reader.read(AT_ONCE)
                if entries:
                    await self._work(entries)
                if self._failing:
                    self._failing = False
                    log.info("pushes are decided again")
            except (Unavailable, QueueFull) as error:
                await self._wait(error)
            except Exception:  # a bug of ours must not end all pushes
                log.exception("deciding failed")
                await asyncio.sleep(RETRY_S)

    async def _work(self, entries: list[Waiting]) -> None:
        posts = [one.decision.push.post_id for one in entries if isinstance(one.decision.push, PostPush)]
        known = {
            post for post, is_known in zip(posts, await self._reader.known(posts), strict=True) if is_known
        }
        if known:
            repeated = [
                one
                for one in entries
                if isinstance(one.decision.push, PostPush) and one.decision.push.post_id in known
            ]
            await self._reader.done(repeated)
            REPEATED.inc(len(repeated))
            entries = [one for one in entries if one not in repeated]
        for portion in portions(entries):
            await self._finish(portion)

    async def _finish(self, portion: list[Waiting]) -> None:
        """Decide on some entries, however often what is needed is away; one that cannot be decided on is put aside."""
        while True:
            try:
                jobs = await self._decider.decide([one.decision for one in portion])
                await self._add(jobs)
                await self._reader.done(portion)
                break
            except (Unavailable, QueueFull) as error:
                await self._wait(error)
            except Exception as error:
                if len(portion) == 1:
                    log.exception("a decision fails and is put aside", entry=portion[0].number.decode())
                    await self._reader.set_aside([portion[0].number], repr(error)[:200])
                    return
                middle = len(portion) // 2
                await self._finish(portion[:middle])
                await self._finish(portion[middle:])
                return
        now = now_ms()
        for one in portion:
            DECIDED.labels(type(one.decision.push).__name__).inc()
            TOOK.observe((now - one.decision.at) / 1000)
        for job in jobs:
            JOBS.labels(job.notification.type, job.provider).inc()

    async def _add(self, jobs: Sequence[Job]) -> None:
        for start in range(0, len(jobs), JOBS_AT_ONCE):
            await self._queue.add(jobs[start : start + JOBS_AT_ONCE])

    async def _wait(self, error: Unavailable | QueueFull) -> None:
        if not self._failing:
            self._failing = True
            log.warning("deciding on pushes waits", error=repr(error.__cause__ or error))
        await asyncio.sleep(error.retry_after_s if isinstance(error, QueueFull) else RETRY_S)
