"""Export: posts per second and memory of `tidewire export`, as a .jsonl and as a .zip, and what the lines weigh.

    python -m bench.exporting [--posts 300000] [--users 5000] [--channels 500] [--rounds 3]

A private PostgreSQL with a seeded workspace: a month of posts in channels of all sizes, 30 % replies, reactions,
threads with followers. The command is a process of its own, beside PostgreSQL, on this machine's cores; nobody writes.
"""

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.machine import ROOT, conditions
from bench.servers import services
from loadtest.seed import Plan, seed
from tidewire.store.db import Database

TARGET = 10_000  # posts per second


async def fill(url: str, plan: Plan) -> None:
    """Seed, and let PostgreSQL see it, as it would have within a minute."""
    db = Database(url)
    await seed(db, plan)
    async with db.connection() as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute("VACUUM ANALYZE", timeout=600)
    await db.close()


def filled(url: str, plan: Plan) -> None:
    """Seed, in this process."""
    asyncio.run(fill(url, plan))


def run(url: str, path: Path) -> tuple[float, float, float]:
    """Export to a file; return (seconds, seconds of CPU of the command, MiB that it had at most)."""
    env = {**os.environ, "TIDEWIRE_DATABASE_URL": url, "TIDEWIRE_FILES_DIRECTORY": str(path.parent)}
    words = [sys.executable, "-m", "tidewire", "export", str(path), "--force"]
    started = time.perf_counter()
    process = subprocess.Popen(words, env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    if status:
        raise RuntimeError(f"export ended with {status}")
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if both formats meet the target, else 3. words: the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.exporting", description=__doc__.split("\n")[0])
    parser.add_argument("--posts", type=int, default=300_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--channels", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    met = True
    with services() as running, tempfile.TemporaryDirectory() as scratch:
        url = running.postgres.url()
        plan = Plan(options.users, options.channels, posts=options.posts, skewed=True)
        # In a process of its own: what the parent had in memory would count as the most that its child ever had.
        seeding = multiprocessing.get_context("spawn").Process(target=filled, args=(url, plan))
        seeding.start()
        seeding.join()
        if seeding.exitcode:
            raise RuntimeError("seeding failed")
        for name in ("lines.jsonl", "whole.zip"):
            path = Path(scratch) / name
            rounds = [run(url, path) for _ in range(options.rounds)]
            times = [took for took, _, _ in rounds]
            rate = options.posts / median(times)
            met &= rate >= TARGET
            print(
                f"{path.suffix}: {rate:,.0f} posts/s ({min(times):.2f} to {max(times):.2f} s), "
                f"{median(cpu for _, cpu, _ in rounds) / options.posts * 1e6:.0f} µs of the command's CPU per post, "
                f"at most {max(mib for *_, mib in rounds):.0f} MiB, {path.stat().st_size / 1e6:.0f} MB"
            )
    return 0 if met else 3


if __name__ == "__main__":
    sys.exit(main())
