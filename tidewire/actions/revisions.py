"""Keeps what every process holds whole (configuration, roles) at its newest revision.

Whoever writes bumps the revision's number in the same transaction and names it in `invalidates`: processes that hear of
it reload at once. A process that hears nothing, Redis being away, looks at the numbers every few seconds.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from tidewire.loops import again
from tidewire.store import config as store
from tidewire.store.db import Database

RECHECK_S = (
    3.0  # how long a process may be out of date while the bus is away; one tiny query for each process
)


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
        self._task = asyncio.get_running_loop().create_task(
            again("revisions", self.check, RECHECK_S, wake=self._wake, rest_first=True)
        )

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
