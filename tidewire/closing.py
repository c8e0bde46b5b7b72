"""Closes a process's parts in the opposite order of their opening, each within its own time and all within one.

A part that waits for somebody who does not answer (a database, a mail server, a disk) is left behind: what it had to do
is done by another process or by the next start, as its module says. Knows no parts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from types import TracebackType
from typing import Self

import structlog

SLOW_S = 1.0  # above it a stop says which part took how long
LEAVE_S = 0.05  # for a part that is cancelled; one that does not hear of it is left alone

_log = structlog.get_logger("closing")
_Part = tuple[str, Callable[[], Awaitable[None] | None], float]


class Closing:
    """A context in which parts are opened; its end closes them. total_s: what they may take together."""

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._parts: list[_Part] = []

    def add(self, name: str, close: Callable[[], Awaitable[None] | None], within_s: float) -> None:
        """Close this part before those that were added earlier. within_s: its own bound."""
        self._parts.append((name, close, within_s))

    async def close(self) -> None:
        """Close all that was added; an exception of one is logged and hinders no other."""
        began = monotonic()
        took: dict[str, float] = {}
        late: list[str] = []
        while self._parts:
            name, close, within_s = self._parts.pop()
            started = monotonic()
            left_s = began + self._total_s - started
            if not await _close(name, close, max(LEAVE_S, min(within_s, left_s))):
                late.append(name)
            took[name] = round(monotonic() - started, 3)
        total_s = monotonic() - began
        if late or total_s > SLOW_S:
            _log.warning("slow to close", total_s=round(total_s, 3), parts=took, left_behind=late)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


async def _close(name: str, close: Callable[[], Awaitable[None] | None], within_s: float) -> bool:
    """Close a part; False if it did not end in time."""

    async def run() -> None:
        if (waiting := close()) is not None:
            await waiting

    # A task that is waited for, not asyncio.timeout(): a cancellation that a library swallows must not hold us.
    task = asyncio.ensure_future(run())
    done, _ = await asyncio.wait({task}, timeout=within_s)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=LEAVE_S)
    if task.done() and not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a part failed to close", part=name, exc_info=error)
    return bool(done)
