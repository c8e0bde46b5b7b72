"""From the bus reader into the relay: batches in slices, and what to do when a stretch of events is gone.

Knows the reader's items; order and audiences are the relay's and the hub's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog

from gateway.history import History
from gateway.relay import Relay
from tidewire.bus.contract import Ephemeral, Epoch, Events, Lost, Reader
from tidewire.bus.envelope import shard_of
from tidewire.wire.errors import Unavailable

log = structlog.get_logger()

# The loop gets its turn after this long; a delivery to 1,000 sockets takes about 0.1 ms before the flush. With a slice
# of the room's flush behind it, a turn stays below 5 ms.
SLICE_S = 0.002
KEYS_AT_ONCE = 5000


class Feed:
    """Runs until cancelled. resync(key or ""): the audience of a key, or everybody, loads everything anew."""

    def __init__(
        self,
        reader: Reader,
        relay: Relay,
        load_numbers: Callable[[Sequence[str]], Awaitable[dict[str, int]]],
        resync: Callable[[str], None],
        *,
        shards: int,
        hold_ms: int,
        retention_s: float,
        history: History,
        applied: Callable[[Events], None] = lambda events: None,
    ) -> None:
        """applied(events): they are queued."""
        self._reader = reader
        self._relay = relay
        self._load_numbers = load_numbers
        self._resync = resync
        self._shards = shards
        self._hold_s = hold_ms / 1000
        self._retention_s = retention_s
        self._history = history
        self._applied = applied
        self._heard_at = asyncio.get_running_loop().time()
        self._outage_s = 0.0
        self._checks: set[asyncio.Task[None]] = set()
        self.epochs = self.lost = self.read = 0

    async def run(self) -> None:
        """Apply what the reader brings."""
        clock, history, begun = asyncio.get_running_loop().time, self._history, False
        items: AsyncIterator[object] = self._reader.batches()
        async for item in items:
            if not begun:
                history.begin(self._reader.starts)
                begun = True
            if isinstance(item, Events):
                stretch, count = history.add(item, clock()), len(item.entries)
                while stretch.done < count:
                    if stretch.done:
                        await asyncio.sleep(0)
                    stretch.done = self._relay.offer_from(item.entries, stretch.done, clock, SLICE_S)
                self.read += count
                self._applied(item)
            elif isinstance(item, Ephemeral):
                for data in item.copies:
                    self._relay.offer_ephemeral(data)
                await asyncio.sleep(0)
            elif isinstance(item, Epoch):
                self.epochs += 1
                history.restart(item.shard)
                log.warning("events are read again", shard=item.shard)
            elif isinstance(item, Lost):
                self.lost += 1
                task = asyncio.create_task(self._repair(item.shard, self._outage_s))
                self._checks.add(task)
                task.add_done_callback(self._checks.discard)

    def watch(self) -> None:
        """Measure how long the bus was away. Call it about every 100 ms."""
        now = asyncio.get_running_loop().time()
        if self._reader.healthy:
            if now - self._heard_at > 1:
                self._outage_s = now - self._heard_at
            self._heard_at = now

    async def _repair(self, shard: int, outage_s: float) -> None:
        """Find out what is missing, and make those load it."""
        log.warning("events may be lost", shard=shard, outage_s=round(outage_s, 1))
        if outage_s > self._retention_s:
            # Longer than the outbox keeps what was published: also keys that nobody here hears may have been for all.
            self._resync("")
            return
        behind: dict[str, int] = {}
        heard = [(key, n) for key, n in self._relay.heard_keys() if shard_of(key, self._shards) == shard]
        for start in range(0, len(heard), KEYS_AT_ONCE):
            keys = dict(heard[start : start + KEYS_AT_ONCE])
            rows = await self._load(list(keys))
            behind.update((key, rows[key]) for key, n in keys.items() if rows.get(key, 0) > n)
        await asyncio.sleep(self._hold_s)  # what is on its way arrives
        now_heard = dict(self._relay.heard_keys())
        for key, n in behind.items():
            if now_heard.get(key, n) < n:
                log.warning("events are lost", key=key, through=n)
                self._resync(key)

    async def _load(self, keys: list[str]) -> dict[str, int]:
        while True:
            try:
                return await self._load_numbers(keys)
            except Unavailable:
                await asyncio.sleep(1)
