"""A large crowd over several gateways: every event at every client, and what it takes.

    python -m bench crowd [--connections 100000] [--gateways 6] [--seconds 60] [--to-all 1] [--to-channels 200]

All are in one team, and each is in one channel of `--members`; the members of a channel are spread over all gateways.
While events go to the team and to the channels in turn, at fixed times, clients sleep until something comes.
Afterwards each client must have had as many events as were sent to it, without a gap in `seq`. Gateways share one
core; clients, Redis, PostgreSQL and this driver are on the other. One run, which counts if others used less than a
tenth of a core.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.events import envelope, posted_prefix, team_envelope
from bench.machine import QUIET_BELOW, Watch, Window, conditions, cpu_seconds, pin, pss_kib, rss_kib
from bench.pairs import INVALID, LOAD_CORE, SERVER_CORE, Target, cores
from bench.programs import Program, build
from bench.servers import Process, Services, services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.bus.contract import Entry
from tidewire.bus.envelope import channel_key, team_key
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database

FRAME_BYTES = 690
MEMORY = Target(600, unit=" MiB")
_SETTLE_S = 5.0  # presence and the statuses it announces, statistics of PostgreSQL
_LOOK_S = 0.25
_GIVE_UP_S = 10.0  # without a new event


@dataclass
class Heard:
    """What the clients of one gateway have had: events in all, least and most of one client, gaps in seq."""

    events: int
    least: int
    most: int
    gaps: int


class Crowd:
    """The gateways and their clients. Raises: RuntimeError if a client is lost."""

    def __init__(
        self, running: Services, users: list[SeededUser], options: argparse.Namespace, folder: Path
    ) -> None:
        self.gateways: list[Process] = []
        self.swarms: list[Program] = []
        self.idle_kib = 0
        self._stack = ExitStack()
        each = -(-len(users) // options.gateways)
        try:
            for _ in range(options.gateways):
                gateway = Process(running, folder)
                self._stack.callback(gateway.end)
                self.gateways.append(gateway)
                pin(gateway.pid, SERVER_CORE)
            self.idle_kib = rss_kib(self.pids)
            start, cpu = time.monotonic(), cpu_seconds(self.pids)
            for number, gateway in enumerate(self.gateways):
                some = users[number * each : (number + 1) * each]
                tokens = folder / f"tokens-{number}"
                tokens.write_text("".join(user.line() for user in some))
                swarm = Program([build("swarm"), gateway.port, tokens, len(some)])
                self._stack.callback(swarm.end)
                swarm.hear("ready")
                self.swarms.append(swarm)
            self.log_in_s = time.monotonic() - start
            self.log_in_us = (cpu_seconds(self.pids) - cpu) * 1e6 / len(users)
        except BaseException:
            self.end()
            raise

    @property
    def pids(self) -> list[int]:
        """The gateways' processes."""
        return [gateway.pid for gateway in self.gateways]

    def heard(self) -> list[Heard]:
        """Ask the clients."""
        for swarm in self.swarms:
            swarm.say("totals")
        return [Heard(*map(int, swarm.hear("totals"))) for swarm in self.swarms]

    def end(self) -> None:
        """End the clients, then the gateways."""
        self._stack.close()


class Load:
    """Events to the team and to its channels, in turn, at fixed times."""

    def __init__(self, url: str, user: SeededUser, channel_ids: list[str]) -> None:
        self._producer = RedisProducer(url)
        self._n: dict[str, int] = {}
        prefix = posted_prefix(user.channel_id, user.team_id, user.user_id, FRAME_BYTES)
        self._team = team_key(user.team_id), team_envelope(prefix, user.team_id)
        self._channels = []
        for channel_id in channel_ids:
            prefix = posted_prefix(channel_id, user.team_id, user.user_id, FRAME_BYTES)
            self._channels.append((channel_key(channel_id), envelope(prefix, channel_id)))
        self._next = 0
        self.late_s = 0.0

    async def open(self) -> None:
        """Connect."""
        await self._producer.connect()

    def _entry(self, key: str, body: bytes) -> Entry:
        self._n[key] = self._n.get(key, 0) + 1
        return key, self._n[key], body

    async def run(self, seconds: int, to_all: int, to_channels: int) -> None:
        """Publish for so long; rates per second, both in whole numbers."""
        times = [(number / to_all, True) for number in range(seconds * to_all)]
        times += [(number / to_channels, False) for number in range(seconds * to_channels)]
        start = time.monotonic()
        for at, everybody in sorted(times):
            await asyncio.sleep(max(0.0, start + at - time.monotonic()))
            self.late_s = max(self.late_s, time.monotonic() - start - at)
            if everybody:
                entry = self._entry(*self._team)
            else:
                entry = self._entry(*self._channels[self._next % len(self._channels)])
                self._next += 1
            await self._producer.publish([entry])


@dataclass
class Result:
    """One run. Times in s; memory in KiB."""

    window: Window
    published_s: float
    drained_s: float
    clients_cpu_s: float
    heard: list[Heard]
    rss_kib: int
    pss_kib: int
    lag_s: float


async def run(
    crowd: Crowd, load: Load, running: Services, expected: int, options: argparse.Namespace
) -> Result:
    """Publish, wait until all has come or nothing more comes, and look."""
    await load.open()
    for gateway in crowd.gateways:
        gateway.loop_lag_s()
    clients = [swarm.pid for swarm in crowd.swarms]
    watch, clients_cpu, start = (
        Watch(crowd.pids, [*running.pids, *clients]),
        cpu_seconds(clients),
        time.monotonic(),
    )
    await load.run(options.seconds, options.to_all, options.to_channels)
    published = drained = time.monotonic()
    events = -1
    while time.monotonic() - drained < _GIVE_UP_S:
        heard = crowd.heard()
        if sum(one.events for one in heard) > events:
            events, drained = sum(one.events for one in heard), time.monotonic()
        if events >= expected:
            break
        await asyncio.sleep(_LOOK_S)
    window = watch.stop()
    return Result(
        window,
        published - start,
        drained - published,
        cpu_seconds(clients) - clients_cpu,
        heard,
        rss_kib(crowd.pids),
        pss_kib(crowd.pids),
        max(gateway.loop_lag_s() for gateway in crowd.gateways),
    )


def report(crowd: Crowd, load: Load, result: Result, expected: int, options: argparse.Namespace) -> bool:
    """Print the block; return whether it may be quoted."""
    events = sum(one.events for one in result.heard)
    gaps = sum(one.gaps for one in result.heard)
    each = expected // options.connections
    least, most = min(one.least for one in result.heard), max(one.most for one in result.heard)
    complete = events == expected and least == most == each and not gaps
    quiet = result.window.quiet and SERVER_CORE != LOAD_CORE
    wall, memory = result.window.wall_s, result.rss_kib / 1024
    took_s = result.published_s + result.drained_s
    lines = [
        f"{options.connections} connections over {options.gateways} gateways; {options.to_all}/s to all and"
        f" {options.to_channels}/s to channels of {options.members}, {FRAME_BYTES} bytes, for {options.seconds} s",
        f"log-in: {options.connections / crowd.log_in_s:,.0f}/s, {crowd.log_in_us:.0f} CPU µs each",
        f"events at clients: {events:,} of {expected:,}; {least} to {most} at one client, {each} sent to each;"
        f" gaps in seq: {gaps}: {'complete' if complete else 'NOT COMPLETE'}",
        f"published in {result.published_s:.1f} s, at most {load.late_s * 1000:.0f} ms late; the last came"
        f" {result.drained_s:.1f} s after the last was published: {events / took_s:,.0f} deliveries/s",
        f"gateways together {result.window.cpu_s / wall:.0%} of their core, {result.window.cpu_s * 1e6 / events:.2f}"
        f" CPU µs per delivery; clients {result.clients_cpu_s / wall:.0%} of theirs",
        f"loop of a gateway late by {result.lag_s * 1000:.0f} ms at worst, waiting for its core included",
        f"memory of all gateways: {memory:.0f} MiB resident, {crowd.idle_kib / 1024:.0f} of them before the first"
        f" log-in   {MEMORY.line([memory])}",
        f"  with shared pages counted once: {result.pss_kib / 1024:.0f} MiB",
        f"{'valid' if quiet else 'NOT VALID'}; others' CPU {result.window.others:.0%},"
        f" limit {QUIET_BELOW:.0%} of a core",
    ]
    print("\n  ".join(lines) + "\n", flush=True)
    return quiet and complete


async def world(running: Services, options: argparse.Namespace) -> tuple[list[SeededUser], list[str]]:
    """Return the users, and the channels' ids."""
    database = Database(running.postgres.url())
    plan = Plan(options.connections, options.connections // options.members, options.members)
    users = await seed(database, plan)
    rows = await database.fetch("SELECT id FROM channels WHERE team_id = $1", users[0].team_id)
    await database.close()
    return users, [row["id"] for row in rows]


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the figure is valid and all came, else 3. words: by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench crowd", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument(
        "--gateways", type=int, default=6, help="a process has 20,000 descriptors in many places"
    )
    parser.add_argument("--members", type=int, default=100, help="of each channel")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--to-all", type=int, default=1, help="events per second to the whole team")
    parser.add_argument("--to-channels", type=int, default=200, help="events per second to channels in turn")
    options = parser.parse_args(words)
    channels = options.connections // options.members
    if options.connections % options.members or options.seconds * options.to_channels % channels:
        parser.error("channels must be full, and every channel must have equally many events")
    each = options.seconds * options.to_all + options.seconds * options.to_channels // channels
    print("\n".join([*conditions(), cores("gateways")]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    with services() as running, tempfile.TemporaryDirectory() as folder:
        users, channel_ids = asyncio.run(world(running, options))
        crowd = Crowd(running, users, options, Path(folder))
        try:
            time.sleep(_SETTLE_S)
            load = Load(running.redis.url, users[0], channel_ids)
            expected = each * options.connections
            result = asyncio.run(run(crowd, load, running, expected, options))
            valid = report(crowd, load, result, expected, options)
        finally:
            crowd.end()
    return 0 if valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
