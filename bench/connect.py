"""Log-ins: what a storm of connects costs, and what each connection keeps.

    python -m bench.connect [--connections 10000] [--channels 20] [--members 100] [--rounds 3]

Every client connects with a session the gateway has not seen, is a member of the given number of channels, and has
got its `hello` when it counts; the cost includes the handshake, both look-ups and the presence write. Each round has a
new gateway. Memory is the growth of the process's resident set, taken when presence has been written.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.events import posted_prefix
from bench.machine import QUIET_BELOW, Watch, conditions, pin, rss_kib
from bench.programs import Program, build
from bench.servers import Gateway, Services, services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _CORES[:1], _CORES[-1:]
_SETTLE_S = 4.0  # presence, statistics of PostgreSQL, freed memory


def measure(running: Services, users: list[SeededUser], connections: int) -> tuple[float, float, float, float]:
    """Return CPU µs per log-in (whole, and in user space), KiB per connection, and others' CPU meanwhile."""
    with tempfile.TemporaryDirectory() as scratch:
        everybody, first = Path(scratch, "tokens"), Path(scratch, "first")
        everybody.write_text("".join(user.line() for user in users[1:]))
        first.write_text(users[0].line())
        prefix = posted_prefix(users[0].channel_id, users[0].team_id, users[0].user_id, 690)
        server = Gateway(running, prefix, users[0].channel_id, Path(scratch))
        warm = crowd = None
        try:
            pin(server.pid, SERVER_CORE)
            warm = Program([build("swarm"), server.port, first, 1])
            warm.hear("ready")
            time.sleep(_SETTLE_S)
            rss = rss_kib([server.pid])
            user_before = _user_seconds(server.pid)
            watch = Watch(server.pid, running.pids)
            crowd = Program([build("swarm"), server.port, everybody, connections])
            crowd.hear("ready")
            time.sleep(1)  # presence and the statuses it announces belong to the cost
            window, user_s = watch.stop(), _user_seconds(server.pid) - user_before
            time.sleep(_SETTLE_S)
            kib = (rss_kib([server.pid]) - rss) / connections
            return window.cpu_s * 1e6 / connections, user_s * 1e6 / connections, kib, window.others
        finally:
            for program in (warm, crowd):
                if program is not None:
                    program.end()
            server.end()


def _user_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) / os.sysconf("SC_CLK_TCK")


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if others were quiet, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.connect", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=20, help="of each user")
    parser.add_argument("--members", type=int, default=100, help="of each channel")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    users = options.connections + 1
    plan = Plan(users, -(-users * options.channels // options.members), options.members)
    with services() as running:
        people = asyncio.run(seed(Database(running.postgres.url()), plan))
        rounds = [measure(running, people, options.connections) for _ in range(options.rounds)]
    cost, user, kib = (median(one[index] for one in rounds) for index in range(3))
    noise = max(one[3] for one in rounds)
    print(
        f"{options.connections} connections, {options.channels} channels of {options.members} each,"
        f" median of {options.rounds}\n"
        f"  log-in: {cost:.0f} CPU µs ({user:.0f} in user space), {1e6 / cost:,.0f} per second and core\n"
        f"  memory: {kib:.2f} KiB per connection\n"
        f"  others' CPU at most {noise:.0%} of a core, limit {QUIET_BELOW:.0%}"
    )
    return 0 if noise < QUIET_BELOW and SERVER_CORE != LOAD_CORE else 3


if __name__ == "__main__":
    sys.exit(main())
