"""Deliveries per second beside nchan and uWebSockets: the gateway's whole path, from XADD on, against their shortest.

    python -m bench peers [--peers nchan uWebSockets] [--connections 1000] [--burst 1 8] [--pairs 9] [--seconds 2]

Gateway and peer hold the same number of connections at the same time and take turns; the ratio is taken in each pair.
One event (or burst) at a time: the next is published when the last has arrived at every client. A peer is fed by a
WebSocket that publishes, many messages in one write; that costs it less than reading a Redis stream would. All clients
get the same bytes. Servers on one core; clients, Redis and this driver on another. A peer that is not installed is left
out, with a line that says how to get it.
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
from bench.peers.servers import Absent, Nchan, Socketify
from bench.servers import Gateway, Services, services
from bench.sides import SETTLE_S, Side, Turn, taking_turns
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

PEERS: dict[str, type[Nchan | Socketify]] = {kind.name: kind for kind in (Nchan, Socketify)}
# Our deliveries per second as a multiple of the peer's, by burst.
TARGETS = {"nchan": {1: 1.10, 8: 4.0}, "uWebSockets": {8: 1.0}}


def report(
    peer: Nchan | Socketify, connections: int, burst: int, frame_bytes: int, pairs: Pairs[Turn]
) -> str:
    """Return the block that is printed."""
    lines = [f"{'':18}{'deliveries/s':>32}{'CPU µs per delivery':>28}"]
    for which, name in enumerate((Gateway.name, peer.name)):
        rates, costs = (pairs.values(which, figure) for figure in (_rate, _cost))
        lines.append(f"{name:18}{spread(rates, 0):>32}{spread(costs, 2):>28}")
    rates, costs = pairs.ratios(_rate), pairs.ratios(_cost)
    lines.append(f"{'ratio':18}{spread(rates, 2):>32}{spread(costs, 2):>28}")
    limit = TARGETS[peer.name].get(burst)
    lines += [f"deliveries/s, {Target(limit, at_least=True, unit=' ×').line(rates)}"] if limit else []
    head = f"{peer.name} ({peer.version}): {connections} connections, events of {frame_bytes} bytes, {burst} at a time"
    return head + "".join(f"\n  {line}" for line in [*lines, pairs.verdict()])


def _rate(turn: Turn) -> float:
    return turn.rate


def _cost(turn: Turn) -> float:
    return turn.cost_us


async def measure(
    running: Services, users: list[SeededUser], name: str, connections: int, options: argparse.Namespace
) -> bool:
    """Print the blocks of one peer; return whether all of them may be quoted."""
    channel_id = users[0].channel_id
    prefix = posted_prefix(channel_id, users[0].team_id, users[0].user_id, options.bytes)
    sides: list[Side] = []
    valid = True
    with tempfile.TemporaryDirectory() as scratch:
        tokens = Path(scratch, "tokens")
        tokens.write_text("".join(user.line() for user in users))
        try:
            peer = PEERS[name](running, prefix, Path(scratch))
        except Absent as how:
            print(f"{name}: left out, it is not installed. To have it: {how}\n", flush=True)
            return True
        try:
            await peer.greet()
            for server in (Gateway(running, prefix, channel_id, Path(scratch)), peer):
                sides.append(Side(server, tokens, connections))
                sides[-1].ready()
            await asyncio.sleep(SETTLE_S)
            for burst in options.burst:
                pairs = Pairs[Turn](options.pairs)
                await taking_turns(pairs, sides, burst, options.seconds, running)
                print(report(peer, connections, burst, options.bytes, pairs) + "\n", flush=True)
                valid = valid and pairs.valid
        finally:
            for side in sides:
                side.end()
            peer.end()
    return valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench peers", description=__doc__.split("\n")[0])
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--connections", type=int, nargs="+", default=[1000])
    parser.add_argument("--burst", type=int, nargs="+", default=[1, 8], help="events published together")
    parser.add_argument("--pairs", type=int, default=9, help="quiet pairs to wait for")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn")
    parser.add_argument("--bytes", type=int, default=690, help="size of an event's text")
    options = parser.parse_args(words)
    print("\n".join([*conditions(), cores()]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    valid = True
    with services() as running:
        for connections in options.connections:
            for name in options.peers:
                users = asyncio.run(seed(Database(running.postgres.url()), Plan(connections)))
                valid &= asyncio.run(measure(running, users, name, connections, options))
    return 0 if valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
