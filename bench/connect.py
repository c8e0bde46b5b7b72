"""Log-ins: what a storm of connects costs, how long it holds the event loop up, and what each connection keeps.

    python -m bench.connect [--connections 15000] [--channels 20] [--members 100] [--events 1000] [--rounds 5]

Every client connects with a session the gateway has not seen, is a member of the given number of channels, and has
got its `hello` when it counts; the cost includes the handshake, both look-ups and the presence write. Each round has a
new gateway, and rounds in which other processes were busy do not count for times. Memory is the growth of the process's
resident set from 200 connections on (what the first ones make is no connection's: links to PostgreSQL, statements,
buffers): when presence has been written, and once more when each client has got its events, all channels in turn. The
gateway runs on one core; clients, Redis, PostgreSQL and this driver on another.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import index
from bench.events import envelope, posted_prefix
from bench.machine import QUIET_BELOW, Watch, Window, conditions, pin, rss_kib, user_seconds
from bench.programs import Program, build
from bench.servers import Gateway, Services, services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.bus.envelope import channel_key
from tidewire.bus.redis import RedisProducer
from tidewire.bus.resp import Link
from tidewire.settings import Settings
from tidewire.store.db import Database

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[:1], _CORES[-1:]
LEAST_ROUNDS = 5
PATIENCE = 3  # rounds measured at most for each quiet round wanted
EVENT_BYTES = 690
IDLE_KIB = 1  # for a connection with its user and 20 channels
WARM = 200  # connections that are there before
_SETTLE_S = 4.0  # presence, statistics of PostgreSQL, freed memory
_PRESENCE_S = 1.0  # presence and the statuses it announces belong to the cost of a log-in
_PUBLISHED_TOGETHER = 100


@dataclass
class Round:
    """One gateway and its clients. Memory in KiB per connection; lag: of the event loop, at worst, in ms."""

    window: Window
    connections: int
    user_s: float
    lag_ms: float
    idle_kib: float
    used_kib: float = 0.0

    @property
    def cost_us(self) -> float:
        """CPU µs per log-in."""
        return self.window.cpu_s * 1e6 / self.connections


class World:
    """The users who connect, those who were there before, and the events of their channels."""

    def __init__(self, running: Services, options: argparse.Namespace) -> None:
        self.connections: int = options.connections
        self.channels = options.connections * options.channels // options.members
        database = Database(running.postgres.url())
        self.users = asyncio.run(seed(database, Plan(self.connections, self.channels, options.members)))
        plan = Plan(WARM, WARM * options.channels // options.members, options.members)
        self.warm: list[SeededUser] = asyncio.run(seed(database, plan))
        self._url = running.redis.url
        some = self.users[0]
        self._events = []
        for channel_id in asyncio.run(_channels_of(database, some.team_id)):
            prefix = posted_prefix(channel_id, some.team_id, some.user_id, EVENT_BYTES)
            self._events.append((channel_key(channel_id), envelope(prefix, channel_id)))

    async def forget(self) -> None:
        """Empty Redis: nobody has been seen yet, and no gateway before."""
        link = await Link.open(self._url)
        await link.call("FLUSHALL", timeout_s=5)
        link.close()

    async def publish(self, crowd: Program, events: int, each: int) -> None:
        """Send every client so many events, `each` with every turn of all channels; returns when they have come."""
        producer = RedisProducer(self._url)
        await producer.connect()
        for n in range(1, events // each + 1):
            crowd.say(f"expect {each}")
            for start in range(0, len(self._events), _PUBLISHED_TOGETHER):
                some = self._events[start : start + _PUBLISHED_TOGETHER]
                await producer.publish([(key, n, body) for key, body in some])
            if int(crowd.hear("done")[1]):
                raise RuntimeError("a gap in seq")
        await producer.close()


async def _channels_of(database: Database, team_id: str) -> list[str]:
    rows = await database.fetch("SELECT id FROM channels WHERE team_id = $1", team_id)
    await database.close()
    return [row["id"] for row in rows]


def measure(running: Services, world: World, events: int, channels: int) -> Round:
    """Return what one storm of connects showed. events: for each client afterwards; channels: of each user."""
    with tempfile.TemporaryDirectory() as scratch:
        everybody, first = Path(scratch, "tokens"), Path(scratch, "first")
        everybody.write_text("".join(user.line() for user in world.users))
        first.write_text("".join(user.line() for user in world.warm))
        asyncio.run(world.forget())
        server = Gateway(running, b"", world.warm[0].channel_id, Path(scratch))
        programs = []
        try:
            pin(server.pid, SERVER_CORE)
            programs.append(Program([build("swarm"), server.port, first, WARM]))
            programs[0].hear("ready")
            time.sleep(_SETTLE_S)
            rss = rss_kib([server.pid])
            server.loop_lag_s()
            user_before = user_seconds(server.pid)
            watch = Watch(server.pid, running.pids)
            crowd = Program([build("swarm"), server.port, everybody, world.connections])
            programs.append(crowd)
            crowd.hear("ready")
            time.sleep(_PRESENCE_S)
            window, user_s = watch.stop(), user_seconds(server.pid) - user_before
            lag_ms = server.loop_lag_s() * 1000
            time.sleep(_SETTLE_S)
            one = Round(
                window, world.connections, user_s, lag_ms, (rss_kib([server.pid]) - rss) / world.connections
            )
            if events:
                asyncio.run(world.publish(crowd, events, channels))
                time.sleep(_SETTLE_S)
                one.used_kib = (rss_kib([server.pid]) - rss) / world.connections
            return one
        finally:
            for program in programs:
                program.end()
            server.end()


def report(rounds: list[Round], options: argparse.Namespace) -> bool:
    """Print the block; return whether its figures may be quoted."""
    quiet = [one for one in rounds if one.window.quiet]
    valid = len(quiet) >= LEAST_ROUNDS and SERVER_CORE != LOAD_CORE
    chosen = quiet if valid else rounds
    print(f"{options.connections} connections, {options.channels} channels of {options.members} each")
    rows = [
        ("CPU µs per log-in", [one.cost_us for one in chosen], 0),
        ("  of these in user space", [one.user_s * 1e6 / one.connections for one in chosen], 0),
        ("log-ins/s of a full core", [1e6 / one.cost_us for one in chosen], 0),
        ("loop held up, at worst, ms", [one.lag_ms for one in chosen], 1),
        (f"KiB per connection, idle: target ≤ {IDLE_KIB}", [one.idle_kib for one in rounds], 2),
    ]
    if options.events:
        rows.append((f"  after {options.events} events each", [one.used_kib for one in rounds], 2))
        grown = [(one.used_kib - one.idle_kib) * one.connections / 1024 for one in rounds]
        budget = Settings().resume.bytes >> 20
        rows.append((f"  grown by, MiB (resume.bytes: {budget})", grown, 0))
    for name, values, digits in rows:
        low, mid, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
        print(f"  {name:36}{mid:>8} ({low}–{high})")
    noise = max(one.window.others for one in rounds)
    verdict = "valid" if valid else f"NOT VALID: needs two cores and {LEAST_ROUNDS} quiet rounds"
    print(
        f"  memory: of all {len(rounds)} rounds, for others' work does not change it\n"
        f"  {verdict}; {len(quiet)} of {len(rounds)} rounds quiet (others' CPU at most"
        f" {noise:.0%}, limit {QUIET_BELOW:.0%} of a core)\n",
        flush=True,
    )
    return valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the figures are valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.connect", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=15_000, help="below the limit of descriptors")
    parser.add_argument("--channels", type=int, default=20, help="of each user")
    parser.add_argument("--members", type=int, default=100, help="of each channel")
    parser.add_argument(
        "--events", type=int, default=1000, help="for each client, after the log-ins; 0: none"
    )
    parser.add_argument("--rounds", type=int, default=5, help="quiet rounds to wait for")
    parser.add_argument("--within", type=float, default=3600, help="seconds after which no round is begun")
    options = parser.parse_args(words)
    if (
        options.members > WARM
        or options.connections * options.channels % options.members
        or options.events % options.channels
    ):
        parser.error(f"channels of at most {WARM} must be full, and every channel have equally many events")
    print("\n".join(conditions()))
    print(
        f"cores     gateway on {SERVER_CORE}, load on {LOAD_CORE}; Redis and PostgreSQL do not wait for a disk\n"
    )
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    rounds: list[Round] = []
    until = time.monotonic() + options.within
    with services() as running:
        world = World(running, options)
        for _ in range(options.rounds * PATIENCE):
            rounds.append(measure(running, world, options.events, options.channels))
            if sum(one.window.quiet for one in rounds) == options.rounds or time.monotonic() > until:
                break
    valid = report(rounds, options)
    print(index.describe(10_000, 50, options.members))
    return 0 if valid else 3


if __name__ == "__main__":
    sys.exit(main())
