"""Is the swarm of loadtest/ quick enough? Its cost per frame, with the real gateway as the sender.

    python -m bench swarm [--connections 15000] [--burst 10] [--bursts 2] [--seconds 20] [--bytes 690]

One process holds all sockets, on one core, which it shares with Redis, PostgreSQL and this driver; the gateway has the
other. Everybody is in one channel, which gets so many bursts a second. Every client looks for the mark in each post.
The swarm is no bottleneck while its core has much to spare and it looks at its sockets all the time; the times to
delivery include the gateway's.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.events import envelope, posted_prefix
from bench.machine import QUIET_BELOW, Watch, Window, conditions, cpu_seconds, pin, user_seconds
from bench.pairs import INVALID, LOAD_CORE, SERVER_CORE, Target, cores
from bench.servers import Process, Services, services
from loadtest.seed import Plan as Seeding
from loadtest.seed import SeededUser, seed
from loadtest.swarm.herd import Herd, Plan
from loadtest.swarm.tally import Tally
from tidewire.bus.envelope import channel_key
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database

CORE = Target(0.7, unit=" of a core")
MEMORY = Target(300, unit=" bytes")
_MARK = b"tw-sent:%016d"
_SETTLE_S = 5.0  # presence and the statuses that it announces
_PATIENCE_S = 60.0
_LOOK_S = 0.1


async def publish(url: str, user: SeededUser, options: argparse.Namespace) -> float:
    """Publish the bursts at their times; return how late the latest was in s."""
    producer = RedisProducer(url)
    await producer.connect()
    prefix = posted_prefix(user.channel_id, user.team_id, user.user_id, options.bytes)
    key, n, late = channel_key(user.channel_id), 0, 0.0
    start = time.monotonic()
    for number in range(options.seconds * options.bursts):
        due = start + number / options.bursts
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late = max(late, time.monotonic() - due)
        mark = _MARK % int(time.time() * 1e6)
        body = envelope(prefix.replace(b"x" * len(mark), mark, 1), user.channel_id)
        await producer.publish([(key, n + place, body) for place in range(1, options.burst + 1)])
        n += options.burst
    await producer.close()
    return late


def wait_for(tally: Tally, herd: Herd, what: str, wanted: int) -> None:
    """Wait until so many sockets are open ("open"), or so many things are counted. Raises: RuntimeError."""
    deadline = time.monotonic() + _PATIENCE_S
    while (tally.open if what == "open" else tally.count(what)) < wanted:
        if herd.broken or time.monotonic() > deadline:
            raise RuntimeError(f"{tally.figures()} while waiting for {what} {wanted} {herd.broken}")
        time.sleep(_LOOK_S)


def run(running: Services, users: list[SeededUser], options: argparse.Namespace, folder: Path) -> bool:
    """Measure; print the block; return whether it may be quoted."""
    tokens = folder / "tokens"
    tokens.write_text("".join(user.line() for user in users))
    gateway = Process(running, folder)
    try:
        pin(gateway.pid, SERVER_CORE)
        tally = Tally()
        herd = Herd(Plan(tokens, len(users), (f"127.0.0.1:{gateway.port}",)), tally.add)
        try:
            herd.connect(1500)
            wait_for(tally, herd, "open", len(users))
            time.sleep(_SETTLE_S)
            if len(herd.pids) != 1:
                raise RuntimeError("one process cannot hold so many sockets: raise the limit of descriptors")
            (pid,) = herd.pids
            before, events = user_seconds(pid), tally.count("frames")
            gateway_s = cpu_seconds([gateway.pid])
            watch = Watch(pid, [gateway.pid, *running.pids])
            late = asyncio.run(publish(running.redis.url, users[0], options))
            sent = options.seconds * options.bursts * options.burst * len(users)
            wait_for(tally, herd, "posted", sent)
            window, user_s, frames = watch.stop(), user_seconds(pid) - before, tally.count("frames") - events
            gateway_share = (cpu_seconds([gateway.pid]) - gateway_s) / window.wall_s
        finally:
            herd.stop()
    finally:
        gateway.end()
    return report(tally, window, user_s, gateway_share, frames, sent, late, options)


def report(
    tally: Tally,
    window: Window,
    user_s: float,
    gateway_share: float,
    frames: int,
    sent: int,
    late: float,
    options: argparse.Namespace,
) -> bool:
    """Print the block; return whether it may be quoted."""
    share, delivery = window.cpu_s / window.wall_s, tally.times["delivery"]
    complete = tally.count("posted") == sent == delivery.count and not tally.count("gaps") and not tally.errors
    quiet = window.quiet and SERVER_CORE != LOAD_CORE
    lines = [
        f"{options.connections} sockets in one process; {options.bursts} bursts of {options.burst} events a second,"
        f" {options.bytes} bytes, for {options.seconds} s, at most {late * 1000:.0f} ms late",
        f"events: {tally.count('posted'):,} of {sent:,}; gaps in seq: {tally.count('gaps')}:"
        f" {'complete' if complete else 'NOT COMPLETE'}",
        f"swarm: {share:.0%} of its core   {CORE.line([share])}",
        f"  longest turn without a look at the sockets: {tally.busiest_us / 1000:.1f} ms",
        f"  {window.cpu_s * 1e6 / frames:.2f} CPU µs per frame, {user_s * 1e6 / frames:.2f} of them outside the kernel",
        f"gateway: {gateway_share:.0%} of its core",
        f"from the publication of a burst to each of its events, gateway included: {delivery.percentile_ms(0.5):.0f} ms"
        f" median, {delivery.percentile_ms(0.99):.0f} ms p99, {delivery.most_us / 1000:.0f} ms most",
        f"memory: {tally.bytes_per_connection:.0f} bytes a connection   {MEMORY.line([tally.bytes_per_connection])}",
        f"{'valid' if quiet else 'NOT VALID'}; others' CPU {window.others:.0%}, limit {QUIET_BELOW:.0%} of a core",
    ]
    print("\n  ".join(lines) + "\n", flush=True)
    return quiet and complete


async def world(running: Services, connections: int) -> list[SeededUser]:
    """Return the users, all in one channel."""
    database = Database(running.postgres.url())
    users = await seed(database, Seeding(connections))
    await database.close()
    return users


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the figure is valid and all came, else 3. words: by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench swarm", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--connections", type=int, default=15_000)
    parser.add_argument("--burst", type=int, default=10, help="events in a burst")
    parser.add_argument("--bursts", type=int, default=2, help="bursts a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--bytes", type=int, default=690, help="of a frame")
    options = parser.parse_args(words)
    print("\n".join([*conditions(), cores("gateway")]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    with services() as running, tempfile.TemporaryDirectory() as folder:
        users = asyncio.run(world(running, options.connections))
        valid = run(running, users, options, Path(folder))
    return 0 if valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
