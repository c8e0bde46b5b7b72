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
from pathlib import Path

from bench.events import posted_prefix
from bench.machine import conditions
from bench.pairs import INVALID, LOAD_CORE, Pairs, Target, cores, spread
from bench.servers import Gateway, Services, Yardstick, services
from bench.sides import SETTLE_S, Side, Turn, taking_turns
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

# CPU per delivery as a multiple of the C loop's: (least connections, burst) → at most.
TARGETS = {(1, 1): 1.05, (1, 8): 0.28, (10_000, 8): 0.22}


def target(connections: int, burst: int) -> Target | None:
    """Return the target of the ratio, if there is one."""
    found = [limit for (least, size), limit in TARGETS.items() if size == burst and connections >= least]
    return Target(found[-1], unit=" ×") if found else None


def report(connections: int, burst: int, frame_bytes: int, log_in: str, pairs: Pairs[Turn]) -> str:
    """Return the block that is printed."""
    costs = pairs.ratios(lambda turn: turn.cost_us)
    aim = target(connections, burst)
    lines = [
        f"{'':18}{'CPU µs per delivery':>28}{'deliveries/s':>28}",
        *(
            _row(
                name,
                pairs.values(which, lambda turn: turn.cost_us),
                pairs.values(which, lambda turn: turn.rate),
            )
            for which, name in enumerate((Gateway.name, Yardstick.name))
        ),
        _row("ratio", costs, pairs.ratios(lambda turn: turn.rate)),
        *([f"CPU ratio, {aim.line(costs)}"] if aim else []),
        log_in,
        pairs.verdict(),
    ]
    head = f"{connections} connections, events of {frame_bytes} bytes, {burst} at a time"
    return head + "".join(f"\n  {line}" for line in lines)


def _row(name: str, costs: list[float], rates: list[float]) -> str:
    return f"{name:18}{spread(costs, 2):>28}{spread(rates, 2 if max(rates) < 100 else 0):>28}"


async def measure(
    running: Services, users: list[SeededUser], connections: int, options: argparse.Namespace
) -> bool:
    """Print the blocks of one number of connections; return whether all of them may be quoted."""
    channel_id = users[0].channel_id  # no event was sent to it yet
    prefix = posted_prefix(channel_id, users[0].team_id, users[0].user_id, options.bytes)
    sides: list[Side] = []
    valid = True
    with tempfile.TemporaryDirectory() as scratch:
        tokens = Path(scratch, "tokens")
        tokens.write_text("".join(user.line() for user in users))
        try:
            for kind in (Gateway, Yardstick):
                server = kind(running, prefix, channel_id, Path(scratch))
                sides.append(Side(server, tokens, connections))
                sides[-1].ready()
            await asyncio.sleep(SETTLE_S)
            for burst in options.burst:
                pairs = Pairs[Turn](options.pairs)
                await taking_turns(pairs, sides, burst, options.seconds, running)
                print(
                    report(connections, burst, options.bytes, sides[0].describe_log_in(), pairs) + "\n",
                    flush=True,
                )
                valid = valid and pairs.valid
        finally:
            for side in sides:
                side.end()
    return valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--burst", type=int, nargs="+", default=[1], help="events published together")
    parser.add_argument("--pairs", type=int, default=9, help="quiet pairs to wait for")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn")
    parser.add_argument("--bytes", type=int, default=690, help="size of an event's text")
    options = parser.parse_args(words)
    print("\n".join([*conditions(), cores()]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    valid = True
    with services() as running:
        for connections in options.connections:
            users = asyncio.run(seed(Database(running.postgres.url()), Plan(connections)))
            valid &= asyncio.run(measure(running, users, connections, options))
    return 0 if valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
