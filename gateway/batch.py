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
        self._asked: dict[K, list[Callable[[V | None, Exception | None], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    def ask(self, key: K, then: Callable[[V | None, Exception | None], None]) -> None:
        """Have `then` called with the key's value (None if there is none), or with what kept it from being read.

        No task and no future for each: at thousands of log-ins a second these cost as much as the query.
        """
        self._asked.setdefault(key, []).append(then)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let this turn's other callers join
        while self._asked:
            keys = list(self._asked)[: self._limit]
            asked = {key: self._asked.pop(key) for key in keys}
            try:
                found = await self._load(keys)
            except Exception as error:  # it belongs to those who asked; all of them get it
                for then in [then for all_ in asked.values() for then in all_]:
                    _tell(then, None, error)
                continue
            for key, all_ in asked.items():
                value = found.get(key)
                for then in all_:
                    _tell(then, value, None)


def _tell(
    then: Callable[[V | None, Exception | None], None], value: V | None, error: Exception | None
) -> None:
    """Call one of those who asked; if he fails, the others get their answers all the same."""
    try:
        then(value, error)
    except Exception as failure:
        context = {"message": "an answer was not taken", "exception": failure}
        asyncio.get_running_loop().call_exception_handler(context)
