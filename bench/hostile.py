"""What hostile sockets cost the others: delivery latency of well-behaved sockets, with and without a mob beside them.

    python -m bench.hostile [--connections 200] [--hostile 200] [--events 400] [--pairs 9] [--every-ms 10]

One gateway, one channel. Turns with and without the mob (tests/soak/hostile.py: every kind equally often, all of it
members of the channel, so that those who never read fill their outboxes) take turns; the order within a pair
alternates, and pairs in which other processes were busy do not count. The latency of an event is the time from just
before XADD until the last of the well-behaved clients has it. The gateway runs on one core, all else on another, the
mob only when nothing else wants to.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from bench.events import posted_prefix
from bench.machine import Watch, Window, conditions, pin
from bench.pairs import INVALID, LOAD_CORE, SERVER_CORE, Pairs, spread
from bench.programs import Program, build
from bench.servers import Gateway, Services, services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

FRAME_BYTES = 690
_WARM_UP_EVENTS = 50
_SETTLE_S = 1.0  # after a mob came or went


@dataclass
class Turn:
    """One stretch: latencies in ms, one for each event."""

    window: Window
    latencies_ms: list[float]

    @property
    def p50(self) -> float:
        """The median."""
        return median(self.latencies_ms)

    @property
    def p99(self) -> float:
        """99 of 100 events were not later."""
        return quantiles(self.latencies_ms, n=100)[98]

    @property
    def cpu(self) -> float:
        """The server's CPU time, % of a core."""
        return 100 * self.window.cpu_s / self.window.wall_s


def report(pairs: Pairs[Turn], attacks: dict[str, int]) -> str:
    """Return the block that is printed."""
    lines = [f"{'':12}{'p50 ms':>24}{'p99 ms':>24}{'server CPU, % of a core':>32}"]
    figures = (lambda turn: turn.p50, lambda turn: turn.p99, lambda turn: turn.cpu)
    for which, name in enumerate(("alone", "with mob")):
        lines.append(_row(name, [pairs.values(which, figure) for figure in figures], 1))
    ratios = [[1 / value for value in pairs.ratios(figure)] for figure in figures]  # with the mob, alone
    lines.append(_row("ratio", ratios, 2))
    lines.append("mob: " + ", ".join(f"{name} {count}" for name, count in attacks.items()) + " times")
    return "\n".join("  " + line for line in [*lines, pairs.verdict()])


def _row(name: str, figures: list[list[float]], cpu_digits: int) -> str:
    p50, p99, cpu = figures
    return f"{name:12}{spread(p50, 2):>24}{spread(p99, 2):>24}{spread(cpu, cpu_digits):>32}"


class Bench:
    """The gateway, the well-behaved clients and the mob. Raises: RuntimeError if a well-behaved client is lost."""

    def __init__(
        self, running: Services, users: list[SeededUser], options: argparse.Namespace, scratch: Path
    ) -> None:
        self._options = options
        self._channel_id = users[0].channel_id
        prefix = posted_prefix(self._channel_id, users[0].team_id, users[0].user_id, FRAME_BYTES)
        self._db = Database(running.postgres.url())
        self._gateway = Gateway(running, prefix, self._channel_id, scratch)
        pin(self._gateway.pid, SERVER_CORE)
        good, bad = scratch / "good", scratch / "bad"
        good.write_text("".join(user.line() for user in users[: options.connections]))
        bad.write_text("".join(user.line() for user in users[options.connections :]))
        self._swarm = Program([build("swarm"), self._gateway.port, good, options.connections])
        self._swarm.hear("ready")
        program = [sys.executable, "-m", "tests.soak.hostile"]
        self._mob = Program([*program, self._gateway.port, bad, options.hostile])
        self._mob.hear("ready")
        self._ours = [*running.pids, self._swarm.pid, self._mob.pid]
        self.gaps = 0

    async def event(self) -> float:
        """Publish one event; return after how many ms the last client had it."""
        # The row's number goes along, as with a real post: members of the mob join all the time and compare.
        await self._db.execute("UPDATE channels SET event_n = event_n + 1 WHERE id = $1", self._channel_id)
        self._swarm.say("expect 1")
        start = time.monotonic_ns()
        await self._gateway.publish(1)
        end, gaps = self._swarm.hear("done")
        self.gaps = int(gaps)
        return (int(end) - start) / 1e6

    async def turn(self, *, mob: bool) -> tuple[Turn, dict[str, int]]:
        """Measure some events; return what the mob did meanwhile too."""
        if mob:
            self._mob.say("on")
            self._mob.hear("on")
        await asyncio.sleep(_SETTLE_S)
        watch = Watch(self._gateway.pid, self._ours)
        latencies, next_at = [], time.monotonic()
        for _ in range(self._options.events):
            latencies.append(await self.event())
            next_at += self._options.every_ms / 1000
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
        turn = Turn(watch.stop(), latencies)
        attacks: dict[str, int] = {}
        if mob:
            self._mob.say("off")
            attacks = {
                name: int(count) for name, count in (word.split("=") for word in self._mob.hear("off"))
            }
        return turn, attacks

    async def close(self) -> None:
        """End everything."""
        await self._db.close()
        self._mob.end()
        self._swarm.end()
        self._gateway.end()


async def measure(running: Services, options: argparse.Namespace) -> tuple[Pairs[Turn], dict[str, int]]:
    """Return pairs of (alone, with the mob), and what the mob did in all."""
    pairs, attacks = Pairs[Turn](options.pairs), Counter[str]()
    users = await seed(Database(running.postgres.url()), Plan(options.connections + options.hostile))
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(running, users, options, Path(scratch))
        try:
            for _ in range(_WARM_UP_EVENTS):
                await bench.event()

            async def turn(mob: bool) -> Turn:
                turn, done = await bench.turn(mob=mob)
                attacks.update(done)
                return turn

            await pairs.take(partial(turn, False), partial(turn, True))
            pairs.gaps = bench.gaps
        finally:
            await bench.close()
    return pairs, attacks


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=200, help="well-behaved ones")
    parser.add_argument("--hostile", type=int, default=200, help="the others")
    parser.add_argument("--events", type=int, default=400, help="of one turn")
    parser.add_argument("--every-ms", type=float, default=10.0, help="time between events")
    parser.add_argument("--pairs", type=int, default=9, help="quiet pairs to wait for")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    print(f"cores     server on {SERVER_CORE}, all else on {LOAD_CORE}, the mob with idle priority\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    with services() as running:
        pairs, attacks = asyncio.run(measure(running, options))
    print(
        f"{options.connections} well-behaved sockets, {options.hostile} hostile ones in half of the turns,"
        f" {options.events} events of {FRAME_BYTES} bytes a turn, one every {options.every_ms:g} ms"
    )
    print(report(pairs, attacks), flush=True)
    return 0 if pairs.valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
