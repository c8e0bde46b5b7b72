"""Work is done again and again whatever a step runs into; only the cancellation of its own task ends it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from tidewire import loops
from tidewire.loops import again
from tidewire.wire.errors import Unavailable


class Steps:
    """Takes one step after the other: raises what it finds, and tells when all are taken."""

    def __init__(self, *raised: BaseException | None) -> None:
        self.left = list(raised)
        self.taken = 0
        self.over = asyncio.Event()

    async def step(self) -> None:
        self.taken += 1
        if not self.left:
            self.over.set()
        elif (error := self.left.pop(0)) is not None:
            raise error


@asynccontextmanager
async def going(
    step: Callable[[], Awaitable[object]], pause_s: float, **options: Any
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(again("digging", step, pause_s, **options))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()


async def test_what_a_step_raises_is_told_and_ends_nothing() -> None:
    steps = Steps(ValueError("a bug"), None, KeyError("another"))
    with capture_logs() as lines:
        async with going(steps.step, 0.001), asyncio.timeout(30):
            await steps.over.wait()
    assert [(line["event"], line["work"], line["log_level"]) for line in lines] == [
        ("work failed", "digging", "error")
    ] * 2
    assert all(line["exc_info"] for line in lines)


async def test_what_is_away_is_told_once_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Unavailable("database")
    steps = Steps(away, away, None, away)
    with capture_logs() as lines:
        async with going(steps.step, 0.001), asyncio.timeout(30):
            await steps.over.wait()
    assert [line["event"] for line in lines] == ["work waits"] * 2
    assert not any("exc_info" in line for line in lines)
    monkeypatch.setattr(loops, "TELL_S", 0.0)
    steps = Steps(away, OSError("gone"))
    with capture_logs() as lines:
        async with going(steps.step, 0.001, waits=(Unavailable, OSError)), asyncio.timeout(30):
            await steps.over.wait()
    assert len(lines) == 2


async def test_a_step_that_something_else_cancelled_is_one_that_failed() -> None:
    steps = Steps(asyncio.CancelledError())
    with capture_logs() as lines:
        async with going(steps.step, 0.001), asyncio.timeout(30):
            await steps.over.wait()
    assert [line["event"] for line in lines] == ["work failed"]


@pytest.mark.parametrize("where", ["in a step", "in a rest", "waiting to be woken", "after a failure"])
async def test_its_own_cancellation_ends_it_anywhere(where: str) -> None:
    begun = asyncio.Event()

    async def step() -> None:
        begun.set()
        if where == "in a step":
            await asyncio.Event().wait()
        if where == "after a failure":
            raise ValueError("a bug")

    wake = asyncio.Event() if where == "waiting to be woken" else None
    with capture_logs() as lines:
        async with going(step, 1000, wake=wake), asyncio.timeout(30):
            await begun.wait()
            await asyncio.sleep(0)
    assert len(lines) == (where == "after a failure")


async def test_it_rests_between_steps_unless_woken() -> None:
    steps, wake = Steps(None), asyncio.Event()
    async with going(steps.step, 1000, wake=wake), asyncio.timeout(30):
        await asyncio.sleep(0.01)
        assert steps.taken == 1
        wake.set()
        await steps.over.wait()
        assert steps.taken == 2 and not wake.is_set()
    first = Steps()
    async with going(first.step, 1000, rest_first=True):
        await asyncio.sleep(0.01)
        assert first.taken == 0


async def test_one_that_fails_is_not_woken_at_once() -> None:
    """Whoever wakes it, users perhaps, must not make it fail as often as he likes."""
    steps, wake = Steps(*[ValueError("a bug")] * 100), asyncio.Event()
    async with going(steps.step, 1000, wake=wake):
        for _ in range(20):
            wake.set()
            await asyncio.sleep(0.001)
    assert steps.taken == 1
