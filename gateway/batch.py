"""Many single look-ups become one: what is asked while a query runs goes into the next. No timer, no overlap."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Batch(Generic[K, V]):
    """load(keys) returns what exists of at most `limit` different keys; its exception goes to all who asked."""

    def __init__(self, load: Callable[[Sequence[K]], Awaitable[dict[K, V]]], *, limit: int = 200) -> None:
        self._load = load
        self._limit = limit
        self._asked: dict[K, list[asyncio.Future[V | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the key's value, or None if there is none."""
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let this turn's other callers join
        while self._asked:
            keys = list(self._asked)[: self._limit]
            asked = {key: self._asked.pop(key) for key in keys}
            try:
                found = await self._load(keys)
            except Exception as error:  # it belongs to those who asked; all of them get it
                for future in (future for futures in asked.values() for future in futures):
                    if not future.done():
                        future.set_exception(error)
                continue
            for key, futures in asked.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(key))
