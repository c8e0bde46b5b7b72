"""Fan-out, the whole path: from XADD through relay, hub and gate to every socket, beside a plain C send() loop.

    python -m bench.fanout [--connections 1000 10000] [--burst 1] [--pairs 9] [--seconds 2] [--bytes 690]

Server and C loop hold the same number of connections at the same time and take turns; the order within a pair
alternates, and pairs in which other processes were busy do not count. One event (or burst) at a time: the next is
published when the last has arrived at every client. The cost is the CPU time of the whole server process; the ratio is
taken within each pair. Servers run on one core; clients, Redis, PostgreSQL and this driver on another.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.events import posted_prefix
from bench.machine import QUIET_BELOW, Watch, Window, conditions, pin, rss_kib
from bench.programs import Program, build
from bench.servers import Gateway, Services, Yardstick, services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[:1], _CORES[-1:]
LEAST_PAIRS = 7
PATIENCE = 4  # pairs measured at most for each quiet pair wanted
_SETTLE_S = 3.0  # after the last log-in: presence, statistics of PostgreSQL, freed memory


@dataclass
class Turn:
    """One stretch of one server."""

    window: Window
    deliveries: int

    @property
    def cost_us(self) -> float:
        """CPU µs per delivery."""
        return self.window.cpu_s * 1e6 / self.deliveries

    @property
    def rate(self) -> float:
        """Deliveries per second."""
        return self.deliveries / self.window.wall_s


class Side:
    """A server with its own crowd of clients."""

    def __init__(self, server: Gateway | Yardstick, tokens: Path, connections: int, burst: int) -> None:
        self.server = server
        self.connections, self.burst = connections, burst
        self.gaps = 0
        self.log_in: Window | None = None
        self._rss_kib = rss_kib([server.pid])
        self.memory_kib = 0.0
        pin(server.pid, SERVER_CORE)
        self._watch = Watch(server.pid, [])
        self.swarm = Program([build("swarm"), server.port, tokens, connections])

    def ready(self) -> None:
        """Return when every client has logged in. Raises: RuntimeError."""
        self.swarm.hear("ready")
        self.log_in = self._watch.stop()
        self.memory_kib = (rss_kib([self.server.pid]) - self._rss_kib) / self.connections

    def describe_log_in(self) -> str:
        """Return a line on what it took to get all clients in. One sample, so no figure to be compared."""
        assert self.log_in is not None
        cpu_us = self.log_in.cpu_s * 1e6 / self.connections
        return (
            f"log-in: {self.connections / self.log_in.wall_s:,.0f}/s, {cpu_us:.0f} CPU µs and {self.memory_kib:.1f} KiB"
            " of the server's memory each"
        )

    async def round(self) -> None:
        """Publish one burst and wait until every client has it."""
        self.swarm.say(f"expect {self.burst}")
        await self.server.publish(self.burst)
        self.gaps = int(self.swarm.hear("done")[1])

    async def turn(self, rounds: int, ours: list[int]) -> Turn:
        """Measure some rounds."""
        watch = Watch(self.server.pid, ours)
        for _ in range(rounds):
            await self.round()
        return Turn(watch.stop(), rounds * self.burst * self.connections)

    async def rounds_in(self, seconds: float) -> int:
        """Warm up; return how many rounds take about that long."""
        start, rounds = time.monotonic(), 0
        while time.monotonic() - start < seconds / 2 or rounds < 5:
            await self.round()
            rounds += 1
        return max(3, round(seconds * rounds / (time.monotonic() - start)))

    def end(self) -> None:
        """End the clients, then the server."""
        self.swarm.end()
        self.server.end()


@dataclass
class Result:
    """The pairs at one number of connections."""

    connections: int
    burst: int
    frame_bytes: int
    pairs: list[tuple[Turn, Turn]] = field(default_factory=list)
    gaps: int = 0
    log_in: str = ""

    @property
    def quiet(self) -> list[tuple[Turn, Turn]]:
        """The pairs that count."""
        return [pair for pair in self.pairs if all(turn.window.quiet for turn in pair)]

    @property
    def valid(self) -> bool:
        """Tell whether the figures may be quoted."""
        return len(self.quiet) >= LEAST_PAIRS and not self.gaps and SERVER_CORE != LOAD_CORE

    def report(self) -> str:
        """Return the block that is printed."""
        pairs = self.quiet if self.valid else self.pairs
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        noise = max(turn.window.others for pair in self.pairs for turn in pair)
        verdict = (
            "valid"
            if self.valid
            else f"NOT VALID: needs two cores, {LEAST_PAIRS} quiet pairs and no gap in seq"
        )
        return "\n".join(
            [
                f"{self.connections} connections, events of {self.frame_bytes} bytes, {self.burst} at a time",
                f"  {'':18}{'CPU µs per delivery':>28}{'deliveries/s':>28}",
                _row(Gateway.name, [turn.cost_us for turn in ours], [turn.rate for turn in ours]),
                _row(Yardstick.name, [turn.cost_us for turn in theirs], [turn.rate for turn in theirs]),
                _row(
                    "ratio",
                    [a.cost_us / b.cost_us for a, b in pairs],
                    [a.rate / b.rate for a, b in pairs],
                ),
                f"  {self.log_in}",
                f"  {verdict}; {len(self.quiet)} of {len(self.pairs)} pairs quiet (others' CPU at most {noise:.0%},"
                f" limit {QUIET_BELOW:.0%} of a core); gaps in seq: {self.gaps}",
            ]
        )


def _row(name: str, costs: list[float], rates: list[float]) -> str:
    return f"  {name:18}{_spread(costs, 2):>28}{_spread(rates, 2 if max(rates) < 100 else 0):>28}"


def _spread(values: list[float], digits: int) -> str:
    """Return "median (least–most)"."""
    low, mid, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
    return f"{mid} ({low}–{high})"


async def measure(
    running: Services, users: list[SeededUser], channel_id: str, connections: int, options: argparse.Namespace
) -> Result:
    """Return the pairs at one number of connections, in the channel given, which no event was sent to yet."""
    result = Result(connections, options.burst, options.bytes)
    prefix = posted_prefix(channel_id, users[0].team_id, users[0].user_id, options.bytes)
    sides: list[Side] = []
    with tempfile.TemporaryDirectory() as scratch:
        tokens = Path(scratch, "tokens")
        tokens.write_text("".join(user.line() for user in users))
        try:
            for kind in (Gateway, Yardstick):
                server = kind(running, prefix, channel_id, Path(scratch))
                sides.append(Side(server, tokens, connections, options.burst))
                sides[-1].ready()
            result.log_in = sides[0].describe_log_in()
            await asyncio.sleep(_SETTLE_S)
            ours = [*running.pids, *(pid for side in sides for pid in (side.server.pid, side.swarm.pid))]
            rounds = [await side.rounds_in(options.seconds) for side in sides]
            for number in range(options.pairs * PATIENCE):
                turns: dict[int, Turn] = {}
                for which in (0, 1) if number % 2 else (1, 0):
                    turns[which] = await sides[which].turn(rounds[which], ours)
                result.pairs.append((turns[0], turns[1]))
                if len(result.quiet) == options.pairs:
                    break
            result.gaps = sum(side.gaps for side in sides)
        finally:
            for side in sides:
                side.end()
    return result


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--burst", type=int, default=1, help="events published together")
    parser.add_argument("--pairs", type=int, default=9, help="quiet pairs to wait for")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn")
    parser.add_argument("--bytes", type=int, default=690, help="size of an event's text")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    print(
        f"cores     servers on {SERVER_CORE}, load on {LOAD_CORE}; Redis and PostgreSQL do not wait for a disk\n"
    )
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    valid = True
    with services() as running:
        for connections in options.connections:
            users = asyncio.run(seed(Database(running.postgres.url()), Plan(connections)))
            result = asyncio.run(measure(running, users, users[0].channel_id, connections, options))
            print(result.report() + "\n", flush=True)
            valid = valid and result.valid
    return 0 if valid else 3


if __name__ == "__main__":
    sys.exit(main())
