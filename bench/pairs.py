"""Turns: which of them count, how many are enough, and how figures are printed beside their targets.

What is compared takes turns in pairs in the same run. Knows nothing of servers; a turn is anything with a `window`.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Generic, Protocol, TypeVar

from bench.machine import QUIET_BELOW, Window

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[:1], _CORES[-1:]
LEAST_PAIRS = 7
PATIENCE = 4  # turns or pairs measured at most for each quiet one wanted
INVALID = 3  # exit status where a figure may not be quoted


class Timed(Protocol):
    """What was measured in one turn."""

    @property
    def window(self) -> Window:
        """The stretch of time."""


T = TypeVar("T", bound=Timed)


class Pairs(Generic[T]):
    """Turns of one thing, or of two in pairs; those in which other processes were busy do not count."""

    def __init__(self, wanted: int, *, least: int = LEAST_PAIRS) -> None:
        """wanted: quiet pairs to wait for. least: how few make a valid figure."""
        self.wanted, self.least = wanted, least
        self.all: list[tuple[T, ...]] = []
        self.gaps = 0

    async def take(self, *turns: Callable[[], Awaitable[T]]) -> None:
        """Let the things take turns, in alternating order, until enough quiet pairs are there."""
        for number in range(self.wanted * PATIENCE):
            done: dict[int, T] = {}
            order = range(len(turns))
            for which in order if number % 2 else reversed(order):
                done[which] = await turns[which]()
            self.all.append(tuple(done[which] for which in order))
            if len(self.quiet) == self.wanted:
                break

    @property
    def quiet(self) -> list[tuple[T, ...]]:
        """The pairs that count."""
        return [pair for pair in self.all if all(turn.window.quiet for turn in pair)]

    @property
    def valid(self) -> bool:
        """Tell whether the figures may be quoted."""
        return len(self.quiet) >= self.least and not self.gaps and SERVER_CORE != LOAD_CORE

    @property
    def chosen(self) -> list[tuple[T, ...]]:
        """The pairs to print: those that count if that is enough, else all."""
        return self.quiet if self.valid else self.all

    def values(self, which: int, value: Callable[[T], float]) -> list[float]:
        """Return a figure of one of the things, for each pair to print."""
        return [value(pair[which]) for pair in self.chosen]

    def ratios(self, value: Callable[[T], float]) -> list[float]:
        """Return a figure of the first thing as a multiple of the second's, for each pair to print."""
        return [value(pair[0]) / value(pair[1]) for pair in self.chosen]

    def verdict(self) -> str:
        """Return the line that says whether the figures may be quoted, and why."""
        noise = max(turn.window.others for pair in self.all for turn in pair)
        word = (
            "valid"
            if self.valid
            else f"NOT VALID: needs two cores, {self.least} quiet turns and no gap in seq"
        )
        name = "turns" if len(self.all[0]) == 1 else "pairs"
        return (
            f"{word}; {len(self.quiet)} of {len(self.all)} {name} quiet (others' CPU at most {noise:.0%},"
            f" limit {QUIET_BELOW:.0%} of a core); gaps in seq: {self.gaps}"
        )


@dataclass(frozen=True)
class Target:
    """What a figure's median should be: at most the limit, or at least."""

    limit: float
    at_least: bool = False
    unit: str = ""

    def met(self, values: Sequence[float]) -> bool:
        """Tell whether the median keeps the limit."""
        middle = median(values)
        return middle >= self.limit if self.at_least else middle <= self.limit

    def line(self, values: Sequence[float]) -> str:
        """Return "target ≤ 1.3: met"."""
        sign = "≥" if self.at_least else "≤"
        return f"target {sign} {self.limit:g}{self.unit}: {'met' if self.met(values) else 'MISSED'}"


def spread(values: Sequence[float], digits: int) -> str:
    """Return "median (least–most)"."""
    low, mid, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
    return f"{mid} ({low}–{high})"


def cores(servers: str = "servers") -> str:
    """Return the line of conditions that says who runs where."""
    return f"cores     {servers} on {SERVER_CORE}, load on {LOAD_CORE}; Redis and PostgreSQL do not wait for a disk"
