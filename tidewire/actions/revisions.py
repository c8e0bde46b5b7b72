"""Keeps what every process holds whole (configuration, roles) at its newest revision.

Whoever writes bumps the revision's number in the same transaction and names it in `invalidates`: processes that hear of
it reload at once. A process that hears nothing, Redis being away, looks at the numbers every few seconds.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import structlog

from tidewire.store import config as store
from tidewire.store.db import Database
from tidewire.wire.errors import Unavailable

RECHECK_S = (
    3.0  # how long a process may be out of date while the bus is away; one tiny query for each process
)

log = structlog.get_logger(__name__)


def revision_key(name: str) -> str:
    """Return the cache key that a writer names in `invalidates`."""
    return "revision:" + name


class Revised(Protocol):
    """Something that is held whole. n: the revision it has."""

    name: str
    n: int

    async def reload(self) -> None:
        """Load the newest revision. Raises: Unavailable."""


class Revisions:
    """Watches some `Revised` things. Call `poke` with cache keys that went out of date."""

    def __init__(self, db: Database, *watched: Revised) -> None:
        self._db = db
        self._watched = watched
        self._keys = {revision_key(one.name) for one in watched}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def poke(self, keys: Iterable[str]) -> None:
        """Reload soon if one of the keys is a revision's."""
        if not self._keys.isdisjoint(keys):
            self._wake.set()

    async def check(self) -> None:
        """Reload what has a newer revision. Raises: Unavailable."""
        newest = await store.revisions(self._db)
        for one in self._watched:
            if newest.get(one.name, 0) != one.n:
                await one.reload()

    async def _run(self) -> None:
        failing = False
        while True:
            try:
                async with asyncio.timeout(RECHECK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass  # time to look, as without a word from the bus
            self._wake.clear()
            try:
                await self.check()
                failing = False
            except Unavailable:
                # The database's absence is reported by every request; the next round asks again.
                if not failing:
                    log.warning("revisions unchecked")
                failing = True
            except Exception:  # a bug of ours must not freeze the configuration for ever
                log.exception("revisions unchecked")
