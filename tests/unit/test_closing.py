"""A process ends in time whatever its parts do, and says which of them took long."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import pytest
from structlog.testing import capture_logs

from tidewire import closing
from tidewire.closing import Closing

Close = Callable[[], Awaitable[None]]


def part(name: str, closed: list[str], work_s: float = 0) -> Close:
    async def close() -> None:
        await asyncio.sleep(work_s)
        closed.append(name)

    return close


async def deaf() -> None:
    """Swallow a cancellation, as some libraries do; the next one, of the loop's end, is heard."""
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        await asyncio.sleep(1000)


async def broken() -> None:
    raise OSError("gone")


async def test_parts_close_in_the_opposite_order_and_silently() -> None:
    closed: list[str] = []
    with capture_logs() as lines:
        async with Closing(5) as parts:
            for name in ("first", "second"):
                parts.add(name, part(name, closed), 1)
            parts.add("at once", lambda: closed.append("at once"), 1)
    assert closed == ["at once", "second", "first"]
    assert lines == []


async def test_each_has_its_own_bound() -> None:
    closed: list[str] = []
    began = monotonic()
    with capture_logs() as lines:
        async with Closing(100) as parts:
            parts.add("quick", part("quick", closed), 50)
            parts.add("deaf", deaf, 0.1)
            parts.add("broken", broken, 50)
            parts.add("slow", part("slow", closed, 1000), 0.1)
    assert closed == ["quick"]
    assert monotonic() - began < 100  # of 1000
    failed, slow = lines
    assert failed["part"] == "broken"
    assert slow["left_behind"] == ["slow", "deaf"]
    assert slow["parts"]["slow"] >= 0.09  # the loop's clock counts milliseconds
    assert slow["parts"]["quick"] < 50


async def test_all_together_have_one() -> None:
    with capture_logs() as lines:
        async with Closing(0.2) as parts:
            for number in range(5):
                parts.add(f"slow {number}", part("", [], 1000), 500)
    assert lines[0]["left_behind"] == [f"slow {number}" for number in (4, 3, 2, 1, 0)]
    assert lines[0]["total_s"] < 100  # of 2500


async def test_it_says_who_took_long_although_all_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "SLOW_S", 0.05)
    with capture_logs() as lines:
        async with Closing(500) as parts:
            parts.add("slow", part("slow", [], 0.1), 100)
    assert (lines[0]["left_behind"], list(lines[0]["parts"])) == ([], ["slow"])


async def test_what_failed_to_open_closes_what_was_open() -> None:
    closed: list[str] = []
    with pytest.raises(OSError, match="gone"):
        async with Closing(5) as parts:
            parts.add("open", part("open", closed), 1)
            await broken()
    assert closed == ["open"]
