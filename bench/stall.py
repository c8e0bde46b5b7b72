"""How long one turn of the gateway's event loop lasts while an event goes out to many sockets.

    python -m bench stall [--connections 15000] [--burst 1 8] [--turns 9] [--rounds 10]

The gateway runs with a probe in its own loop (bench/probed.py), which sees every turn. Printed is the longest one of
each stretch of `rounds` events or bursts, each published when the last has arrived everywhere. Whatever else the loop
has to do (another event, a log-in, a ping) waits at most that long before it begins. By the clock a turn is also as
long as others had the core meanwhile, so the loop's own CPU time is shown as well. The gateway has a core of its own,
and the highest priority on it where that is allowed; clients, Redis, PostgreSQL and this driver are on the other.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.events import posted_prefix
from bench.machine import Watch, Window, conditions
from bench.pairs import INVALID, LOAD_CORE, Pairs, Target, cores, spread
from bench.servers import Gateway, Services, services
from bench.sides import SETTLE_S, Side
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

FRAME_BYTES = 690
TARGET = Target(5, unit=" ms")
HIGHEST = -20  # priority


@dataclass
class Turn:
    """A stretch of the fan-out. The longest turn of the loop in ms: by the clock, by CPU time; of a collection, CPU."""

    window: Window
    held_ms: float
    cpu_ms: float
    collection_ms: float
    turns: int


class Probed(Gateway):
    """A gateway that tells its longest turn."""

    def longest(self) -> tuple[float, float, float, int]:
        """Return what Turn holds, since the last call. Raises: RuntimeError if it has ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("longest\n")
        words = self.process.stdout.readline().split()
        while words and words[0] != "held":  # its log
            words = self.process.stdout.readline().split()
        if not words:
            raise RuntimeError("the gateway has ended")
        return float(words[1]), float(words[2]), float(words[3]), int(words[4])


async def turn(side: Side, server: Probed, burst: int, rounds: int, ours: Sequence[int]) -> Turn:
    """Measure some rounds."""
    server.longest()
    watch = Watch(server.pid, ours)
    for _ in range(rounds):
        await side.round(burst)
    window = watch.stop()
    return Turn(window, *server.longest())


async def measure(
    running: Services, users: list[SeededUser], options: argparse.Namespace
) -> dict[int, Pairs[Turn]]:
    """Return the turns for each size of burst."""
    results: dict[int, Pairs[Turn]] = {}
    prefix = posted_prefix(users[0].channel_id, users[0].team_id, users[0].user_id, FRAME_BYTES)
    with tempfile.TemporaryDirectory() as scratch:
        tokens = Path(scratch, "tokens")
        tokens.write_text("".join(user.line() for user in users))
        server = Probed(running, prefix, users[0].channel_id, Path(scratch), module="bench.probed", words=())
        if os.getuid() == 0:
            os.setpriority(os.PRIO_PROCESS, server.pid, HIGHEST)
        side = Side(server, tokens, options.connections)
        try:
            side.ready()
            await asyncio.sleep(SETTLE_S)
            ours = [*running.pids, *side.pids]
            for burst in options.burst:
                pairs = results[burst] = Pairs[Turn](options.turns)
                await turn(side, server, burst, options.rounds, ours)  # warm
                await pairs.take(partial(turn, side, server, burst, options.rounds, ours))
                pairs.gaps = side.gaps
        finally:
            side.end()
    return results


def report(connections: int, burst: int, rounds: int, pairs: Pairs[Turn]) -> str:
    """Return the block that is printed."""
    held = pairs.values(0, lambda turn: turn.held_ms)
    cpu = pairs.values(0, lambda turn: turn.cpu_ms)
    collection = pairs.values(0, lambda turn: turn.collection_ms)
    lines = [
        f"{connections} connections, events of {FRAME_BYTES} bytes, {burst} at a time, {rounds} times a stretch",
        f"{'longest turn of the loop, ms':40}{spread(held, 2):>22}   {TARGET.line(held)}",
        f"{'  by the CPU time of the loop':40}{spread(cpu, 2):>22}   {TARGET.line(cpu)}",
        f"{'longest collection of garbage, CPU ms':40}{spread(collection, 2):>22}",
        f"{'turns of the loop':40}{spread(pairs.values(0, lambda turn: turn.turns), 0):>22}",
        pairs.verdict(),
    ]
    return "\n  ".join(lines)


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench stall", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=15_000, help="below the limit of descriptors")
    parser.add_argument("--burst", type=int, nargs="+", default=[1, 8], help="events published together")
    parser.add_argument("--turns", type=int, default=9, help="quiet stretches to wait for")
    parser.add_argument("--rounds", type=int, default=10, help="events or bursts of one stretch")
    options = parser.parse_args(words)
    print("\n".join([*conditions(), cores("gateway")]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    with services() as running:
        users = asyncio.run(seed(Database(running.postgres.url()), Plan(options.connections)))
        results = asyncio.run(measure(running, users, options))
    for burst, pairs in results.items():
        print(report(options.connections, burst, options.rounds, pairs) + "\n", flush=True)
    return 0 if all(pairs.valid for pairs in results.values()) else INVALID


if __name__ == "__main__":
    sys.exit(main())
