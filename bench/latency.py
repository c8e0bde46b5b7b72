"""Delivery latency at half of the C loop's highest rate, beside the C loop at the same rate.

    python -m bench latency [--connections 1000] [--pairs 9] [--seconds 4]

First the C send() loop (bench/c/send_loop.c) shows its highest rate: the next event is published when the last has
arrived everywhere. Then events come at half of that rate, at fixed times, whether the last one has arrived or not, to
the gateway and to the C loop in turns. The latency of a delivery is the time from just before its XADD until its
client has read it; clients (bench/c/swarm.c) take a stamp for each. They poll on one core with Redis and this driver,
for both alike: to read 1,000 sockets takes them some ms, which is most of a figure. Servers are on the other core.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench.events import posted_prefix
from bench.machine import Watch, Window, conditions
from bench.pairs import INVALID, LOAD_CORE, Pairs, Target, cores, spread
from bench.servers import Gateway, Services, Yardstick, services
from bench.sides import SETTLE_S, Side
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

FRAME_BYTES = 690
TARGET = Target(1.5, unit=" ×")
_TRIALS = 5  # of the C loop's highest rate


@dataclass
class Turn:
    """A stretch at a fixed rate. late_ms: by how much the driver was behind its own times, at worst."""

    window: Window
    p50: float
    p99: float
    late_ms: float


async def turn(side: Side, events: int, rate: float, file: Path, ours: Sequence[int]) -> Turn:
    """Measure so many events at that rate per second."""
    sent: list[int] = []
    watch = Watch(side.server.pid, ours)
    side.swarm.say(f"stamp {events} {file}")
    late, start = 0.0, time.monotonic() + 0.01
    for number in range(events):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        sent.append(time.monotonic_ns())
        late = max(late, sent[-1] / 1e9 - due)
        await side.server.publish(1)
    side.gaps = int(side.swarm.hear("done")[1])
    window = watch.stop()
    stamps = array("q", file.read_bytes())
    latencies = sorted(
        stamps[number * side.connections + client] - at
        for number, at in enumerate(sent)
        for client in range(side.connections)
    )
    p50, p99 = (latencies[len(latencies) * percent // 100] / 1e6 for percent in (50, 99))
    return Turn(window, p50, p99, late * 1000)


def report(connections: int, most: float, rate: float, pairs: Pairs[Turn]) -> str:
    """Return the block that is printed. most: deliveries/s of the C loop; rate: events/s of the turns."""
    lines = [
        f"{connections} connections, events of {FRAME_BYTES} bytes",
        f"the C loop's highest rate: {most:,.0f} deliveries/s; now half of it, {rate:.1f} events/s",
        f"{'':18}{'p50 ms':>24}{'p99 ms':>24}{'server CPU, % of a core':>28}",
    ]
    for which, name in enumerate((Gateway.name, Yardstick.name)):
        lines.append(_row(name, [pairs.values(which, figure) for figure in (_p50, _p99, _cpu)], 0))
    ratios = pairs.ratios(_p99)
    lines.append(_row("ratio", [pairs.ratios(_p50), ratios, pairs.ratios(_cpu)], 2))
    lines.append(f"p99, {TARGET.line(ratios)}")
    late = max(turn.late_ms for pair in pairs.chosen for turn in pair)
    lines.append(f"the driver was behind its times by {late:.1f} ms at worst, which counts for none")
    return "\n  ".join([*lines, pairs.verdict()])


def _row(name: str, figures: list[list[float]], cpu_digits: int) -> str:
    p50, p99, cpu = figures
    return f"{name:18}{spread(p50, 2):>24}{spread(p99, 2):>24}{spread(cpu, cpu_digits):>28}"


def _p50(turn: Turn) -> float:
    return turn.p50


def _p99(turn: Turn) -> float:
    return turn.p99


def _cpu(turn: Turn) -> float:
    return 100 * turn.window.cpu_s / turn.window.wall_s


async def measure(running: Services, users: list[SeededUser], options: argparse.Namespace) -> bool:
    """Print the block; return whether it may be quoted."""
    channel_id, connections = users[0].channel_id, len(users)
    prefix = posted_prefix(channel_id, users[0].team_id, users[0].user_id, FRAME_BYTES)
    sides: list[Side] = []
    with tempfile.TemporaryDirectory() as scratch:
        tokens, stamps = Path(scratch, "tokens"), Path(scratch, "stamps")
        tokens.write_text("".join(user.line() for user in users))
        try:
            for kind in (Gateway, Yardstick):
                server = kind(running, prefix, channel_id, Path(scratch))
                sides.append(Side(server, tokens, connections))
                sides[-1].ready()
            await asyncio.sleep(SETTLE_S)
            flat_out = [await side.turns(1, options.seconds / 2, running, sides) for side in sides]
            most = median([(await flat_out[1]()).rate for _ in range(_TRIALS)])
            rate = most / 2 / connections
            events = max(3, round(options.seconds * rate))
            ours = [*running.pids, *(pid for side in sides for pid in side.pids)]
            pairs = Pairs[Turn](options.pairs)
            await pairs.take(*[partial(turn, side, events, rate, stamps, ours) for side in sides])
            pairs.gaps = sum(side.gaps for side in sides)
            print(report(connections, most, rate, pairs) + "\n", flush=True)
        finally:
            for side in sides:
                side.end()
    return pairs.valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench latency", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=9, help="quiet pairs to wait for")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one turn")
    options = parser.parse_args(words)
    print("\n".join([*conditions(), cores()]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    with services() as running:
        users = asyncio.run(seed(Database(running.postgres.url()), Plan(options.connections)))
        valid = asyncio.run(measure(running, users, options))
    return 0 if valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
