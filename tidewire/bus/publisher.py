"""From a commit to the bus: what one API worker does with the announcements of its transactions.

While *live*, it publishes right after each commit. Everything else is repair, and one worker of all, the leader,
repairs for those that are not live: rows of workers that died, and after an epoch of the bus began, every row that
the outbox still has. So all republication is in the order of the outbox, which is that of the numbers of each key.

Knows the outbox by its functions and the bus by its contract; knows no SQL, no Redis, no events.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from time import monotonic
from typing import Protocol

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from tidewire.bus import envelope
from tidewire.bus.contract import Entry, Producer
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

Row = tuple[int, list[Entry]]

# Memory for announcements that wait for a slow bus; beyond, they wait in the outbox alone.
QUEUE_BYTES = 32 << 20
# One pipeline: well below what Redis takes in the producer's 2 s, and the loop gets its turn in between.
CHUNK_ENTRIES = 256
TICK_S = 0.25  # below bus.hold_ms: what a dead worker left is there before gateways stop waiting for it
REPAIR_TICK_S = 0.05
REPAIR_PAGES = 20  # in one go; then the leader's other duties get their turn
STRAY_MS = 500  # a commit whose answer is that late is not coming; below bus.hold_ms, above a slow commit
SLOW_MS = 3_000  # a live worker that has not published for so long is stuck; others do it
KNOWN_S = 3.0  # a flush that marks rows takes less
DELETE_EVERY_S = 1.0
FLUSH_S = 0.5  # a stop waits so long for what is being published; the rest is found in the outbox

log = structlog.get_logger(__name__)
PUBLISHED = Counter("tidewire_bus_published", "Announcements put on the bus.", ["how"])
WAITING = Gauge("tidewire_bus_waiting", "Announcements that wait in memory.", multiprocess_mode="livesum")
UNDECIDED = Gauge(
    "tidewire_push_undecided", "Announcements that wait for the push worker.", multiprocess_mode="livemax"
)


class Outbox(Protocol):
    """What the publisher needs of the store; see store/outbox.py. Everything may raise Unavailable."""

    async def set_live(self, live: bool) -> None:
        """Say whether this worker publishes its own rows."""

    async def lead(self) -> bool:
        """Tell whether this worker repairs for all; become it if nobody is."""

    async def stop_leading(self) -> None:
        """Let another worker repair."""

    async def orphans(self, before_ms: int) -> list[Row]:
        """Return a page of rows that nobody publishes, or that are older than this."""

    async def strays(self, before_ms: int, known: Collection[int]) -> list[Row]:
        """Return a page of own unpublished rows, older than this and not known."""

    async def retained(self, after_id: int) -> list[Row]:
        """Return the next page of all rows."""

    async def newest(self) -> list[Row]:
        """Return a page of the rows that were published last."""

    async def mark(self, ids: Iterable[int]) -> None:
        """Note that these rows are on the bus."""

    async def delete(self, before_ms: int) -> int:
        """Delete some published rows older than this; return how many."""

    async def close(self) -> None:
        """Let go of all claims."""


class Publisher:
    """One per worker. `committed` and `take_published` are for the store; they never block or raise."""

    def __init__(self, producer: Producer, outbox: Outbox, *, retention_ms: int = 60_000) -> None:
        self._producer = producer
        self._outbox = outbox
        self._retention_ms = retention_ms
        self._queue: deque[tuple[int, list[Entry]]] = deque()
        self._queue_bytes = 0
        self._work = asyncio.Event()
        self._live = False
        # Rows that need no repair: id → when it was published; infinite while it waits in the queue.
        self._known: dict[int, float] = {}
        self._published: list[int] = []
        self._aging: list[int] = []  # published a tick ago and still not marked by a flush
        self._deleted_at = 0.0
        self._overflows = False
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._may_pump = asyncio.Event()
        self._may_pump.set()

    def committed(self, outbox_id: int, entries: list[Entry]) -> None:
        """Publish a committed row soon. While not live, or when too much waits, it stays to the repair."""
        size = sum([len(entry[2]) for entry in entries])
        if not self._live or self._queue_bytes + size > QUEUE_BYTES:
            return
        self._known[outbox_id] = float("inf")
        self._queue.append((outbox_id, entries))
        self._queue_bytes += size
        self._work.set()

    def take_published(self) -> list[int]:
        """Return ids that the caller marks as published in its next statement; if that fails, repair will see them."""
        ids = self._aging + self._published
        self._aging, self._published = [], []
        return ids

    @property
    def live(self) -> bool:
        """True while commits are published at once."""
        return self._live

    def start(self) -> None:
        """Start the worker's two tasks on the running loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._pump()), loop.create_task(self._keep())]

    async def close(self) -> None:
        """Publish and mark what waits, as far as the bus and the database answer, and stop."""
        self._closing = True
        self._work.set()
        if self._tasks:
            await asyncio.wait(self._tasks[:1], timeout=FLUSH_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._outbox.mark(self.take_published())
        except Unavailable:
            log.info("outbox rows stay unmarked; another worker publishes them again")
        await self._outbox.close()

    # -- the live path ---------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        while not self._closing or self._queue:
            if not self._queue:
                self._work.clear()
                await self._work.wait()
            await self._may_pump.wait()
            try:
                await self._publish_chunk()
            except Unavailable as error:
                self._fall_back(error)
            except Exception:  # a bug of ours must not end publication; repair tries these rows again
                log.exception("publishing failed")
                self._known.clear()

    async def _publish_chunk(self) -> None:
        ids: list[int] = []
        entries: list[Entry] = []
        while self._queue and len(entries) < CHUNK_ENTRIES:
            outbox_id, more = self._queue.popleft()
            ids.append(outbox_id)
            entries += more
        self._queue_bytes -= sum([len(entry[2]) for entry in entries])
        if not entries:
            return
        await self._publish(entries, "live")
        now = monotonic()
        for outbox_id in ids:
            self._known[outbox_id] = now
        self._published += ids

    async def _publish(self, entries: list[Entry], how: str) -> None:
        invalidates: list[str] = []
        decisions: list[bytes] = []
        for key, n, data in entries:
            if envelope.is_for_gateways_only(data):
                continue
            try:
                announced = envelope.decode(data)
                invalidates += announced.invalidates
                if (decision := envelope.encode_decision(announced)) is not None:
                    decisions.append(decision)
            except (
                msgspec.DecodeError
            ):  # a bug of ours; gateways count it and go on, and so must the rows behind it
                log.exception("envelope cannot be read", key=key, n=n)
        await self._producer.publish(entries, invalidates, decisions)
        PUBLISHED.labels(how).inc(len(entries))

    def _fall_back(self, error: Unavailable) -> None:
        """Leave everything to the outbox until the bus is back."""
        if self._live:
            log.warning("publishing stopped; events wait in the outbox", error=repr(error.__cause__ or error))
        self._live = False
        self._queue.clear()
        self._queue_bytes = 0
        self._known.clear()

    # -- repair ----------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            try:
                busy = await self._tick()
            except Unavailable as error:
                if error.service == "redis":
                    self._fall_back(error)
                    await self._resign()
                busy = False
            except Exception:  # a bug of ours must not end the repair of everything else
                log.exception("outbox repair failed")
                busy = False
            await asyncio.sleep(REPAIR_TICK_S if busy else TICK_S)

    async def _resign(self) -> None:
        """Without the bus: whoever reaches it shall repair, our rows included."""
        try:
            await self._outbox.set_live(False)
            await self._outbox.stop_leading()
        except Unavailable:
            return  # without the database there are no claims either

    async def _tick(self) -> bool:
        """Do what is due; return True if there is more to do at once."""
        if await self._producer.connect():
            if self._live:
                self._fall_back(Unavailable("redis"))
            await self._outbox.set_live(False)
        WAITING.set(len(self._queue))
        await self._mark()
        busy = await self._lead() if await self._outbox.lead() else False
        if self._live:
            await self._outbox.set_live(True)  # the claim ended if the connection did
            return await self._publish_strays(STRAY_MS) or busy
        return not await self._go_live() or busy

    async def _mark(self) -> None:
        self._aging, due = self._published, self._aging
        self._published = []
        try:
            await self._outbox.mark(due)
        except Unavailable:
            self._aging += due
            raise
        horizon = monotonic() - KNOWN_S
        for outbox_id in [key for key, at in self._known.items() if at < horizon]:
            del self._known[outbox_id]

    async def _lead(self) -> bool:
        """Repair for all workers. Return True if there may be more."""
        if not await self._producer.repaired():
            await self._publish_all()
        for _ in range(REPAIR_PAGES):
            rows = await self._outbox.orphans(now_ms() - SLOW_MS)
            await self._publish_rows(rows, "orphan")
            if not rows:
                break
        # Rows are only deleted while the bus is whole: what it may still lose must be here.
        if monotonic() - self._deleted_at > DELETE_EVERY_S:
            await self._outbox.delete(now_ms() - self._retention_ms)
            self._deleted_at = monotonic()
            await self._watch_undecided()
        return bool(rows)

    async def _watch_undecided(self) -> None:
        """Count what waits for the push worker; say once when it is so much that the oldest is dropped."""
        waiting, limit = await self._producer.undecided()
        UNDECIDED.set(waiting)
        overflows = waiting >= limit
        if overflows and not self._overflows:
            log.error("no push worker keeps up: of what it has to decide on the oldest is dropped", waiting=waiting)
        self._overflows = overflows

    async def _publish_all(self) -> None:
        """The bus began a new epoch: unless it kept everything, give it every row again, in order."""
        last, count = 0, 0
        whole = await self._producer.holds(
            [entry for _, entries in await self._outbox.newest() for entry in entries]
        )
        while not whole and (rows := await self._outbox.retained(last)):
            await self._publish_rows(rows, "epoch")
            last, count = rows[-1][0], count + len(rows)
        await self._producer.set_repaired()
        log.info("bus is whole", rows_published_again=count)

    async def _go_live(self) -> bool:
        """Publish commits at once from now on, if all that is older is on the bus."""
        if not await self._producer.repaired() or await self._outbox.strays(now_ms() - STRAY_MS, ()):
            return False  # the leader is still at it
        self._live = True  # from here on commits wait in the queue …
        self._may_pump.clear()
        try:
            await self._outbox.set_live(True)
            while await self._publish_strays(-STRAY_MS):  # … while what the leader did not take goes first
                pass
        finally:
            self._may_pump.set()
        return True

    async def _publish_strays(self, age_ms: int) -> bool:
        rows = await self._outbox.strays(now_ms() - age_ms, self._known)
        await self._publish_rows(rows, "stray")
        return bool(rows)

    async def _publish_rows(self, rows: list[Row], how: str) -> None:
        entries = [entry for _, row in rows for entry in row]
        for start in range(0, len(entries), CHUNK_ENTRIES):
            await self._publish(entries[start : start + CHUNK_ENTRIES], how)
        await self._outbox.mark([row_id for row_id, _ in rows])
