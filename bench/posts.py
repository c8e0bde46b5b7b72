"""POST /posts: requests per second of one API core, and CPU time per post of the API, PostgreSQL and Redis.

    python -m bench.posts [--members 10 1000] [--connections 32] [--replies 30] [--mentions 0] [--pushes]
        [--rate 0] [--turns 9] [--seconds 4]
    python -m bench.posts --mix [--rate 4000]

The real API process with one worker, a private PostgreSQL and Redis; authors on keep-alive connections, each sending
the next post when the last is answered (bench/c/poster.c). `--mix`: 64 connections, 30 % replies, two mentions in each
post, a channel of 1,000. `--rate`: so many posts a second fall due at random times (Poisson), whether or not others are
answered, and go out over the same connections; waiting for a free one counts. The API has a core of its own; everything
else is on the other. Every post is checked, stored, counted and published; the channel's members have no sockets.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import QUIET_BELOW, ROOT, Watch, Window, conditions, cpu_seconds, pin, tree
from bench.programs import Program, build
from bench.servers import Services, services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.settings import child_environment
from tidewire.store.db import Database

API_CORE, LOAD_CORE = [0], [1]
LEAST_TURNS = 7
PATIENCE = 3  # so many times the turns asked for, while others keep the machine busy
START_TIMEOUT_S = 60


@dataclass
class Turn:
    """One stretch of posting."""

    window: Window
    posts: int
    failed: int
    p50_ms: float
    p99_ms: float
    postgres_s: float
    redis_s: float
    load_s: float

    @property
    def rate(self) -> float:
        """Posts per second."""
        return self.posts / self.window.wall_s

    @property
    def core(self) -> float:
        """The part of its core that the API used."""
        return self.window.cpu_s / self.window.wall_s

    def us(self, seconds: float) -> float:
        """CPU seconds of the stretch as µs per post."""
        return seconds * 1e6 / self.posts


@contextmanager
def api(running: Services, scratch: Path) -> Iterator[tuple[int, int]]:
    """Start `tidewire api` with one worker; yield (process id, port)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings: dict[str, dict[str, Any]] = {
        "database": {"url": running.postgres.url()},
        "redis": {"url": running.redis.url},
        "api": {"port": port, "workers": 1},
        "files": {"directory": str(scratch / "files")},
    }
    log = scratch / "api.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidewire", "api"],
            env=child_environment(settings),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v4/system/ping", timeout=2).close()
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the API does not start ({error}):\n{log.read_text()}") from error
                time.sleep(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


def turn(
    poster: Program,
    api_pid: int,
    running: Services,
    seconds: float,
    others: Sequence[int] = (),
    *,
    rate: float = 0,
) -> Turn:
    """Post for so long and measure everybody.

    others: processes of the measurement that are no noise either. rate: of posts a second; 0: as fast as answered.
    """
    postgres, redis = [tree([pid]) for pid in running.pids]
    load = [poster.pid]
    before = cpu_seconds(postgres), cpu_seconds(redis), cpu_seconds(load)
    watch = Watch(api_pid, [*running.pids, poster.pid, *others])
    poster.say(f"go {seconds} {rate}" if rate else f"go {seconds}")
    posts, failed, p50, p99 = poster.hear("done")
    window = watch.stop()
    after = cpu_seconds(postgres), cpu_seconds(redis), cpu_seconds(load)
    spent = [late - early for early, late in zip(before, after, strict=True)]
    return Turn(window, int(posts), int(failed), float(p50), float(p99), *spent)


def measure(
    running: Services, scratch: Path, users: list[SeededUser], options: argparse.Namespace
) -> list[Turn]:
    """Return the turns in one channel."""
    tokens = scratch / "tokens"
    tokens.write_text("".join(user.line() for user in users))
    with api(running, scratch) as (pid, port):
        for process in tree([pid]):
            pin(process, API_CORE)
        words = [port, tokens, users[0].channel_id, options.connections, options.replies, options.mentions]
        poster = Program([build("poster"), *words])
        try:
            return quiet_turns(poster, pid, running, options)
        finally:
            poster.end()


async def give_phones(db: Database) -> None:
    """Switch pushes on and make every session a phone's: what may lead to a push waits for the worker."""
    await db.execute("INSERT INTO config (key, value) VALUES ('EmailSettings.SendPushNotifications', 'true')")
    await db.execute("UPDATE revisions SET n = n + 1 WHERE name = 'config'")
    await db.execute("UPDATE sessions SET device_id = 'apple_rn-v2:' || id")
    await db.close()


def quiet_turns(
    program: Program, pid: int, running: Services, options: argparse.Namespace, others: Sequence[int] = ()
) -> list[Turn]:
    """Return turns until there are as many quiet ones as wanted, or patience ends. others: as in `turn`."""
    rate = getattr(options, "rate", 0)
    turn(program, pid, running, options.seconds, others)  # warm: connections, plans, caches
    turns: list[Turn] = []
    for _ in range(options.turns * PATIENCE):
        turns.append(turn(program, pid, running, options.seconds, others, rate=rate))
        if sum(one.window.quiet for one in turns) == options.turns:
            break
    return turns


def report(head: str, unit: str, options: argparse.Namespace, turns: list[Turn]) -> bool:
    """Print one block of figures; return whether they may be quoted. unit: what was counted, in the singular."""
    quiet = [one for one in turns if one.window.quiet]
    failed = sum(one.failed for one in turns)
    valid = len(quiet) >= min(LEAST_TURNS, options.turns) and not failed and API_CORE != LOAD_CORE
    chosen = quiet if valid else turns
    print(head)
    for name, values, digits in (
        (f"{unit}s/s", [one.rate for one in chosen], 0),
        (f"{unit}s/s of a full API core", [one.rate / one.core for one in chosen], 0),
        (f"API CPU µs per {unit}", [one.us(one.window.cpu_s) for one in chosen], 0),
        ("PostgreSQL CPU µs", [one.us(one.postgres_s) for one in chosen], 0),
        ("Redis CPU µs", [one.us(one.redis_s) for one in chosen], 1),
        ("load generator CPU µs", [one.us(one.load_s) for one in chosen], 1),
        ("latency p50 ms", [one.p50_ms for one in chosen], 1),
        ("latency p99 ms", [one.p99_ms for one in chosen], 1),
    ):
        low, mid, high = (f"{value:,.{digits}f}" for value in (min(values), median(values), max(values)))
        print(f"  {name:28}{mid:>8} ({low}–{high})")
    noise = max(one.window.others for one in turns)
    print(
        f"  {'valid' if valid else 'NOT VALID'}; {len(quiet)} of {len(turns)} turns quiet (others' CPU at most"
        f" {noise:.0%}, limit {QUIET_BELOW:.0%} of a core); failed: {failed}\n",
        flush=True,
    )
    return valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.posts", description=__doc__.split("\n")[0])
    parser.add_argument("--members", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--replies", type=int, default=30, help="percent of the posts that are replies")
    parser.add_argument("--mentions", type=int, default=0, help="members that each post names")
    parser.add_argument(
        "--mix", action="store_true", help="64 connections, 30 %% replies, 2 mentions, 1,000 members"
    )
    parser.add_argument(
        "--rate", type=float, default=0, help="posts a second that fall due; 0: as fast as answered"
    )
    parser.add_argument(
        "--pushes", action="store_true", help="everybody has a phone, and no push worker runs"
    )
    parser.add_argument("--turns", type=int, default=9, help="quiet turns to wait for")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one turn")
    options = parser.parse_args(words)
    if options.mix:
        options.members, options.connections, options.replies, options.mentions = [1000], 64, 30, 2
    print("\n".join(conditions()))
    print(
        f"cores     API on {API_CORE}, the rest on {LOAD_CORE}; Redis and PostgreSQL do not wait for a disk\n"
    )
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    valid = True
    for members in options.members:
        with services() as running, tempfile.TemporaryDirectory() as scratch:
            users = asyncio.run(seed(Database(running.postgres.url()), Plan(members)))
            head = f"{members} members, {options.connections} connections, {options.replies} % replies"
            if options.mentions:
                head += f", {options.mentions} mentions"
            if options.rate:
                head += f", {options.rate:,.0f} posts/s due"
            if options.pushes:
                asyncio.run(give_phones(Database(running.postgres.url())))
                head += ", all with phones"
            valid &= report(head, "post", options, measure(running, Path(scratch), users, options))
    return 0 if valid else 3


if __name__ == "__main__":
    sys.exit(main())
