"""Hot rows of one API worker: sessions, users, channels, members. Valid only while somebody vouches for it.

What changes a row names its key in the announcement; `invalidation.py` reads that and vouches. When it cannot, every
get() goes to the database and nothing is kept. Knows no rows and no bus. Called only from the event loop: no locks.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeVar, cast

from prometheus_client import Counter

T = TypeVar("T")
EVERYTHING = "*"  # as a key to drop: all of them
ADDED = "+"  # in a key to drop, before entries that came to its dict: `name+entry=number,…`
ADDED_MAX = 20  # entries that a dict may grow to without being weighed anew
HITS = Counter("mattermost_cache_mem_hit", "Rows found in memory.")
MISSES = Counter("mattermost_cache_mem_miss", "Rows loaded.")


def added(name: str, entries: Mapping[str, int]) -> str:
    """Return the key that tells of entries which came to the dict kept under a name; those that it has stay."""
    return name + ADDED + ",".join([f"{key}={value}" for key, value in entries.items()])


class _Load:
    """A load that runs; stale once its key was dropped meanwhile."""

    __slots__ = ("stale", "task")

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self.task = task
        self.stale = False


class Cache:
    """Values of the weight `size` together, least recently used first out, each for at most `ttl_s`.

    A row weighs 1, some KB; what is larger says so. The time limit is for writes nobody announced.
    """

    def __init__(self, *, size: int = 50_000, ttl_s: float = 30.0) -> None:
        self._size = size
        self._ttl_s = ttl_s
        self._rows: OrderedDict[str, tuple[float, Any, int]] = OrderedDict()
        self._weight = 0
        self._loads: dict[str, _Load] = {}
        self._valid_until = float("-inf")
        self.on_drop: Callable[[Sequence[str]], None] = lambda keys: None  # for what is kept elsewhere
        self._hits = 0  # not yet in HITS, whose lock costs more than the look-up

    @property
    def in_use(self) -> bool:
        """False while it is bypassed: every get() loads."""
        return monotonic() <= self._valid_until

    def peek(self, key: str) -> Any | None:
        """Return the value at once, or None if it has to be loaded."""
        row = self._rows.get(key)
        if row is None:
            return None
        now = monotonic()
        if now > self._valid_until or now > row[0]:
            return None
        self._rows.move_to_end(key)
        self._hits += 1
        return row[1]

    async def get(
        self, key: str, load: Callable[[], Awaitable[T | None]], weigh: Callable[[T], int] | None = None
    ) -> T | None:
        """Return the value, loaded at most once for all who ask meanwhile. None is passed on, not kept.

        weigh: its weight, without it 1. A value whose load began before its key was dropped is returned to those who
        asked before, and not kept.
        Raises: what load raises.
        """
        if (value := self.peek(key)) is not None:
            return cast(T, value)
        MISSES.inc()
        if monotonic() > self._valid_until:
            return await load()
        running = self._loads.get(key)
        if running is None:
            # A task, so that the first asker's cancellation does not take the others with it.
            running = _Load(asyncio.ensure_future(_call(load)))
            self._loads[key] = running
            running.task.add_done_callback(partial(self._loaded, key, running, weigh))
        return cast("T | None", await asyncio.shield(running.task))

    def put(self, key: str, value: Any) -> None:
        """Keep a value that nobody else can know or change yet, such as what belongs to a row before it is written."""
        if monotonic() <= self._valid_until:
            self._keep(key, value, 1)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget these rows, or add what came to them (`added`); loads that run now will not be kept."""
        keys = list(keys)
        if EVERYTHING in keys:
            self.clear()
        for key in keys:
            name, came, entries = key.partition(ADDED)
            if not (came and self._add(name, entries)) and (row := self._rows.pop(name, None)) is not None:
                self._weight -= row[2]
            if load := self._loads.pop(name, None):
                load.stale = True
        self.on_drop(keys)

    def _add(self, name: str, entries: str) -> bool:
        """Add entries that a dict has not; False if it is to be loaded anew."""
        row = self._rows.get(name)
        if row is None:
            return True
        pairs = (entry.partition("=") for entry in entries.split(","))
        grown = {key: int(value) for key, _, value in pairs} | row[1]
        if len(grown) > ADDED_MAX:
            return False
        self._rows[name] = row[0], grown, row[2]
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._weight = 0
        self.drop(list(self._loads))

    def vouch(self, seconds: float) -> None:
        """Changes up to now have been dropped; for so long the rows may be used. After a lapse it starts empty."""
        now = monotonic()
        if now > self._valid_until:
            self.clear()
        self._valid_until = now + seconds
        HITS.inc(self._hits)
        self._hits = 0

    def distrust(self) -> None:
        """Changes may be missed from now on."""
        self._valid_until = float("-inf")

    def _loaded(
        self, key: str, load: _Load, weigh: Callable[[Any], int] | None, _: "asyncio.Task[Any]"
    ) -> None:
        if self._loads.get(key) is load:
            del self._loads[key]
        if load.task.cancelled() or load.task.exception() is not None or load.stale:
            return
        value = load.task.result()
        if value is not None and monotonic() <= self._valid_until:
            self._keep(key, value, 1 if weigh is None else weigh(value))

    def _keep(self, key: str, value: Any, weight: int) -> None:
        old = self._rows.pop(key, None)
        self._weight += weight - (old[2] if old is not None else 0)
        self._rows[key] = monotonic() + self._ttl_s, value, weight
        while self._weight > self._size:
            self._weight -= self._rows.popitem(last=False)[1][2]


async def _call(load: Callable[[], Awaitable[T | None]]) -> T | None:
    return await load()
