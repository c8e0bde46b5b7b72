"""What an event for ten members costs while thousands of others are connected and idle, beside a hundred others.

    python -m bench bystanders [--members 10] [--others 15000 100] [--pairs 9] [--seconds 2]

Two gateways are up at the same time, each with a channel of its own and ten members who hear it; the first has the
larger crowd of others, who are in another team. They take turns: an event goes out again and again, the next when the
last has arrived. Counted is the CPU of the gateway per event; pings to the idle sockets belong to it. Gateways on one
core; clients, Redis, PostgreSQL and this driver on another.
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
from bench.servers import Gateway, Services, services
from bench.sides import SETTLE_S, Side, Turn, taking_turns
from loadtest.seed import Plan, seed
from tidewire.store.db import Database

FRAME_BYTES = 690
TARGET = Target(1.10, unit=" ×")


async def measure(running: Services, options: argparse.Namespace) -> Pairs[Turn]:
    """Return the pairs (with many others, with few)."""
    pairs = Pairs[Turn](options.pairs)
    database = Database(running.postgres.url())
    sides: list[Side] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, others in enumerate(options.others):
                scratch = Path(folder, str(number))
                scratch.mkdir()
                files = []
                for name, count in (("members", options.members), ("others", others)):
                    users = await seed(database, Plan(count))
                    files.append(scratch / name)
                    files[-1].write_text("".join(user.line() for user in users))
                    if name == "members":
                        some = users[0]
                prefix = posted_prefix(some.channel_id, some.team_id, some.user_id, FRAME_BYTES)
                server = Gateway(running, prefix, some.channel_id, scratch)
                sides.append(Side(server, files[0], options.members, (files[1], others)))
                sides[-1].ready()
            await database.close()
            await asyncio.sleep(SETTLE_S)
            await taking_turns(pairs, sides, 1, options.seconds, running)
        finally:
            for side in sides:
                side.end()
    return pairs


def report(options: argparse.Namespace, pairs: Pairs[Turn]) -> str:
    """Return the block that is printed."""
    lines = [f"an event of {FRAME_BYTES} bytes for the same {options.members} members, one at a time"]
    for which, others in enumerate(options.others):
        costs = pairs.values(which, lambda turn: turn.event_us)
        lines.append(f"{f'beside {others:,} others':22}{spread(costs, 1):>24} CPU µs per event")
    ratios = pairs.ratios(lambda turn: turn.event_us)
    lines.append(f"{'ratio':22}{spread(ratios, 2):>24}   {TARGET.line(ratios)}")
    return "\n  ".join([*lines, pairs.verdict()])


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench bystanders", description=__doc__.split("\n")[0])
    parser.add_argument("--members", type=int, default=10, help="those who hear the events")
    parser.add_argument(
        "--others", type=int, nargs=2, default=[15_000, 100], help="idle connections, many and few"
    )
    parser.add_argument("--pairs", type=int, default=9, help="quiet pairs to wait for")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn")
    options = parser.parse_args(words)
    print("\n".join([*conditions(), cores("gateways")]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    with services() as running:
        pairs = asyncio.run(measure(running, options))
    print(report(options, pairs) + "\n", flush=True)
    return 0 if pairs.valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
