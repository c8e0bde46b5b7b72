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
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from bench.events import posted_prefix
from bench.fanout import LEAST_PAIRS, LOAD_CORE, PATIENCE, SERVER_CORE
from bench.machine import QUIET_BELOW, Watch, Window, conditions, pin
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


@dataclass
class Result:
    """Pairs of (alone, with the mob), and what the mob did in all."""

    pairs: list[tuple[Turn, Turn]] = field(default_factory=list)
    attacks: dict[str, int] = field(default_factory=dict)
    gaps: int = 0

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
        lines = [f"{'':12}{'p50 ms':>24}{'p99 ms':>24}{'server CPU, % of a core':>32}"]
        for name, turns in (("alone", [a for a, _ in pairs]), ("with mob", [b for _, b in pairs])):
            cpu = [100 * turn.window.cpu_s / turn.window.wall_s for turn in turns]
            lines.append(_row(name, [turn.p50 for turn in turns], [turn.p99 for turn in turns], cpu, 2, 1))
        ratios = [
            [b.p50 / a.p50 for a, b in pairs],
            [b.p99 / a.p99 for a, b in pairs],
            [b.window.cpu_s * a.window.wall_s / (a.window.cpu_s * b.window.wall_s) for a, b in pairs],
        ]
        lines.append(_row("ratio", ratios[0], ratios[1], ratios[2], 2, 2))
        noise = max(turn.window.others for pair in self.pairs for turn in pair)
        lines.append(
            "mob: " + ", ".join(f"{name} {count}" for name, count in self.attacks.items()) + " times"
        )
        verdict = (
            "valid"
            if self.valid
            else f"NOT VALID: needs two cores, {LEAST_PAIRS} quiet pairs and no gap in seq"
        )
        lines.append(
            f"{verdict}; {len(self.quiet)} of {len(self.pairs)} pairs quiet (others' CPU at most {noise:.0%},"
            f" limit {QUIET_BELOW:.0%} of a core); gaps in seq: {self.gaps}"
        )
        return "\n".join("  " + line for line in lines)


def _row(
    name: str, p50: list[float], p99: list[float], cpu: list[float], digits: int, cpu_digits: int
) -> str:
    def spread(values: list[float], digits: int) -> str:
        return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"

    return f"{name:12}{spread(p50, digits):>24}{spread(p99, digits):>24}{spread(cpu, cpu_digits):>32}"


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


async def measure(running: Services, options: argparse.Namespace) -> Result:
    """Return the pairs."""
    result = Result()
    users = await seed(Database(running.postgres.url()), Plan(options.connections + options.hostile))
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(running, users, options, Path(scratch))
        try:
            for _ in range(_WARM_UP_EVENTS):
                await bench.event()
            for number in range(options.pairs * PATIENCE):
                turns: dict[bool, Turn] = {}
                for mob in (False, True) if number % 2 else (True, False):
                    turns[mob], attacks = await bench.turn(mob=mob)
                    for name, count in attacks.items():
                        result.attacks[name] = result.attacks.get(name, 0) + count
                result.pairs.append((turns[False], turns[True]))
                if len(result.quiet) == options.pairs:
                    break
            result.gaps = bench.gaps
        finally:
            await bench.close()
    return result


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
        result = asyncio.run(measure(running, options))
    print(
        f"{options.connections} well-behaved sockets, {options.hostile} hostile ones in half of the turns,"
        f" {options.events} events of {FRAME_BYTES} bytes a turn, one every {options.every_ms:g} ms"
    )
    print(result.report(), flush=True)
    return 0 if result.valid else 3


if __name__ == "__main__":
    sys.exit(main())
