"""Work that a process does again and again as long as it lives, in one task that nothing ends but its cancellation.
And a start that can be broken off.

Knows nothing of what is done. One item that cannot be dealt with is the work's own affair: it sets it aside, so that
the next round does not begin with it again.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic

import structlog

from tidewire.wire.errors import Unavailable

FAILED_S = 1.0  # who fails is not woken sooner, however often others call
TELL_S = 60.0  # how often it is told that something is still away
_log = structlog.get_logger("loops")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT cancel what this task does, and swallow that: for a start, which may wait for a database.

    Whoever is ready handles the signals himself.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    asked: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        asked.append(number)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if not asked:
            raise
        _log.info("stopped before it was ready", signal=asked[0].name)


async def again(
    work: str,
    step: Callable[[], Awaitable[object]],
    pause_s: float,
    *,
    wake: asyncio.Event | None = None,
    rest_first: bool = False,
    waits: tuple[type[Exception], ...] = (Unavailable,),
) -> None:
    """Take a step, rest, and so on until cancelled. What a step raises is logged, with its traceback unless it waits.

    work: what the log calls it. pause_s: the rest between two steps. wake: ends a rest; it is cleared before
    the step, which so sees all that it was woken for. waits: what says that something is away; told at once and
    then every TELL_S, until a step succeeds.
    """
    told_at, begun = -inf, not rest_first
    while True:
        if begun:
            if wake is not None:
                wake.clear()
            try:
                await step()
                told_at = -inf
            except waits as error:
                if monotonic() - told_at >= TELL_S:
                    _log.warning("work waits", work=work, error=repr(error.__cause__ or error))
                    told_at = monotonic()
            except (Exception, asyncio.CancelledError):  # the task's boundary: no bug of ours may end what comes later
                if _is_cancelled():
                    raise
                _log.exception("work failed", work=work)
                await asyncio.sleep(min(FAILED_S, pause_s))
        begun = True
        await _rest(pause_s, wake)


def _is_cancelled() -> bool:
    """Tell whether this task is to end; else what was cancelled is something that the step waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _rest(seconds: float, wake: asyncio.Event | None) -> None:
    if wake is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass  # nobody called: time to look all the same
