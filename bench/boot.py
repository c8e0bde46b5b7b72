"""Starts of browsers that are logged in: starts per second of one API core, and CPU time per start.

    python -m bench.boot [--users 32] [--channels 200] [--turns 9] [--seconds 4] [--balancer plain|gzip]

The real API process with one worker, a private PostgreSQL and Redis; every user is in all channels of one team, the
first of which holds some posts. Each user sends the calls of loadtest/people/boot.py one after the other and begins
again, as a first visit (no If-None-Match); caches are warm, log-ins apart (bench.booter). The API has a core of its
own; everything else is on the other. --balancer: Caddy stands in front, as in `tidewire serve`, for browsers that take
gzip or do not; its CPU is given too.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.machine import conditions, cpu_seconds, pin, tree
from bench.posts import API_CORE, LOAD_CORE, Turn, api, quiet_turns, report
from bench.programs import Program
from bench.servers import Services, free_port, services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.embedded.binaries import caddy_programs
from tidewire.store.db import Database
from tidewire.supervisor.balancer import COMPRESSION

POSTS = 30  # what the first screen shows
TARGET = 120  # starts per second of an API core


def fill(port: int, users: list[SeededUser]) -> None:
    """Write the posts of the first channel."""
    for number in range(POSTS):
        user = users[number % len(users)]
        body = json.dumps({"channel_id": user.channel_id, "message": f"Message {number} about the tide."})
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v4/posts", body.encode(), {"Authorization": f"Bearer {user.token}"}
        )
        urllib.request.urlopen(request, timeout=10).close()


def measure(
    running: Services, scratch: Path, users: list[SeededUser], options: argparse.Namespace
) -> list[Turn]:
    """Return the turns."""
    tokens = scratch / "tokens"
    tokens.write_text("".join(user.line() for user in users))
    with api(running, scratch) as (pid, port):
        for process in tree([pid]):
            pin(process, API_CORE)
        fill(port, users)
        with balancer(scratch, port, options.balancer) as (caddy, front):
            encoding = "gzip" if options.balancer == "gzip" else "identity"
            booter = Program([sys.executable, "-m", "bench.booter", front, tokens, encoding])
            before = cpu_seconds(tree(caddy))
            try:
                turns = quiet_turns(booter, pid, running, options, caddy)
            finally:
                booter.end()
            if caddy:
                spent = (cpu_seconds(tree(caddy)) - before) / sum(one.posts for one in turns)
                print(f"Caddy CPU µs per start, the turn that warms included: {spent * 1e6:,.0f}")
            return turns


@contextmanager
def balancer(scratch: Path, port: int, how: str) -> Iterator[tuple[list[int], int]]:
    """Start Caddy before the API; yield (its process id, its port). how: "" is none, and the API's own port."""
    if not how:
        yield [], port
        return
    front = free_port()
    file = scratch / "Caddyfile"
    file.write_text(
        f"{{\n\tadmin off\n\tauto_https off\n}}\n"
        f"http://127.0.0.1:{front} {{\n\t{COMPRESSION}\n\treverse_proxy 127.0.0.1:{port}\n}}\n"
    )
    program = asyncio.run(caddy_programs())[0].path
    words = [str(program), "run", "--adapter", "caddyfile", "--config", str(file)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", front)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield [process.pid], front
        finally:
            process.terminate()


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.boot", description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--channels", type=int, default=200)
    parser.add_argument("--turns", type=int, default=9, help="quiet turns to wait for")
    parser.add_argument("--balancer", choices=("", "plain", "gzip"), default="")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one turn")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    print(
        f"cores     API on {API_CORE}, the rest on {LOAD_CORE}; Redis and PostgreSQL do not wait for a disk\n"
    )
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    with services() as running, tempfile.TemporaryDirectory() as scratch:
        plan = Plan(options.users, options.channels)
        users = asyncio.run(seed(Database(running.postgres.url()), plan))
        size = f"{options.users} users, {options.channels} channels each, {POSTS} posts"
        head = f"{size}; target {TARGET} starts/s of a core"
        valid = report(head, "start", options, measure(running, Path(scratch), users, options))
    return 0 if valid else 3


if __name__ == "__main__":
    sys.exit(main())
