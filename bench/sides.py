"""A server with its own crowd of clients, that is fed one burst after another: the next when the last is everywhere."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from bench.machine import Watch, Window, pin, rss_kib, tree
from bench.pairs import SERVER_CORE, Pairs
from bench.programs import Program, build
from bench.servers import Services

SETTLE_S = 3.0  # after the last log-in: presence, statistics of PostgreSQL, freed memory


class Server(Protocol):
    """What a side needs of the server that it feeds."""

    name: str
    pid: int
    port: int

    async def publish(self, events: int) -> None:
        """Publish so many events together."""

    def end(self) -> None:
        """Stop it."""


@dataclass
class Turn:
    """One stretch of one server."""

    window: Window
    events: int
    deliveries: int

    @property
    def cost_us(self) -> float:
        """CPU µs per delivery."""
        return self.window.cpu_s * 1e6 / self.deliveries

    @property
    def rate(self) -> float:
        """Deliveries per second."""
        return self.deliveries / self.window.wall_s

    @property
    def event_us(self) -> float:
        """CPU µs per event."""
        return self.window.cpu_s * 1e6 / self.events


class Side:
    """A server with its own crowd of clients. Idle clients may be connected beside them; they hear nothing."""

    def __init__(
        self, server: Server, tokens: Path, connections: int, idle: tuple[Path, int] | None = None
    ) -> None:
        """tokens: file of those who hear the events. idle: file and number of the others."""
        self.server = server
        self.connections = connections
        self.gaps = 0
        self.log_in: Window | None = None
        processes = tree([server.pid])
        self._rss_kib = rss_kib(processes)
        self.memory_kib = 0.0
        for pid in processes:
            pin(pid, SERVER_CORE)
        self._watch = Watch(server.pid, [])
        self._programs = []
        if idle is not None and idle[1]:
            self._programs.append(Program([build("swarm"), server.port, *idle]))
            self._programs[0].hear("ready")
        self.swarm = Program([build("swarm"), server.port, tokens, connections])
        self._programs.append(self.swarm)

    def ready(self) -> None:
        """Return when every client has logged in. Raises: RuntimeError."""
        self.swarm.hear("ready")
        self.log_in = self._watch.stop()
        self.memory_kib = (rss_kib(tree([self.server.pid])) - self._rss_kib) / self.connections

    @property
    def pids(self) -> list[int]:
        """The processes of the server and its clients."""
        return [self.server.pid, *(program.pid for program in self._programs)]

    def describe_log_in(self) -> str:
        """Return a line on what it took to get all clients in. One sample, so no figure to be compared."""
        assert self.log_in is not None
        cpu_us = self.log_in.cpu_s * 1e6 / self.connections
        return (
            f"log-in: {self.connections / self.log_in.wall_s:,.0f}/s, {cpu_us:.0f} CPU µs and {self.memory_kib:.1f} KiB"
            " of the server's memory each"
        )

    async def round(self, burst: int) -> None:
        """Publish one burst and wait until every client has it."""
        self.swarm.say(f"expect {burst}")
        await self.server.publish(burst)
        self.gaps = int(self.swarm.hear("done")[1])

    async def turn(self, rounds: int, burst: int, ours: Sequence[int]) -> Turn:
        """Measure some rounds. ours: processes that belong to the measurement."""
        watch = Watch(self.server.pid, ours)
        for _ in range(rounds):
            await self.round(burst)
        events = rounds * burst
        return Turn(watch.stop(), events, events * self.connections)

    async def turns(
        self, burst: int, seconds: float, running: Services, sides: Sequence["Side"]
    ) -> Callable[[], Awaitable[Turn]]:
        """Warm up; return what measures a turn of about that many seconds. sides: all that are up."""
        start, rounds = time.monotonic(), 0
        while time.monotonic() - start < seconds / 2 or rounds < 5:
            await self.round(burst)
            rounds += 1
        rounds = max(3, round(seconds * rounds / (time.monotonic() - start)))
        ours = [*running.pids, *(pid for side in sides for pid in side.pids)]
        return partial(self.turn, rounds, burst, ours)

    def end(self) -> None:
        """End the clients, then the server."""
        for program in self._programs:
            program.end()
        self.server.end()


async def taking_turns(
    pairs: Pairs[Turn], sides: Sequence[Side], burst: int, seconds: float, running: Services
) -> None:
    """Fill the pairs: the sides take turns of about that many seconds, with bursts of that size."""
    await pairs.take(*[await side.turns(burst, seconds, running, sides) for side in sides])
    pairs.gaps = sum(side.gaps for side in sides)
