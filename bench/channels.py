"""Lists and searches in a team of 100,000 channels: time of each query at PostgreSQL, one after another.

    python -m bench channels [--channels 100000] [--turns 21]

A private PostgreSQL on this machine, the statements and settings of the API's own connections, prepared while the table
was still empty: what a plan made then costs later is part of the figure. Times are of whole calls over the socket.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from bench.machine import conditions
from bench.servers import services
from tidewire.store import channel_search as store
from tidewire.store.channel_search import Anywhere, Wanted
from tidewire.store.db import Database

TEAM, USER = "t" * 26, "u" * 26
LIMIT = 50
# 100,000 names of two words out of some 2,000 and a number.
_FILL = """
INSERT INTO channels (id, create_at, update_at, team_id, type, name, display_name, purpose)
SELECT lpad(n::text, 26, '0'), 1, 1, $1, CASE WHEN n % 5 = 0 THEN 'P' ELSE 'O' END, 'channel-' || n,
    'Word' || n % 1987 || ' Thing' || n % 1013, 'purpose ' || n % 97
FROM generate_series(1, $2::int) n
"""
_TEAM = """
INSERT INTO teams (id, create_at, update_at, name, display_name, type, invite_id)
VALUES ($1, 1, 1, 'home', 'Home', 'O', 'x')
"""
Query = Callable[[Database], Awaitable[object]]


def _in_team(term: str) -> Query:
    own = Wanted(USER, public=True, own=True, archived=True)
    return lambda db: store.in_team(db, TEAM, term, own, limit=LIMIT)


def _anywhere(term: str) -> Query:
    return lambda db: store.anywhere(db, term, "", Anywhere([]), limit=LIMIT, offset=0)


QUERIES: dict[str, Query] = {
    "a page of the list": _in_team(""),
    "the 1,001st page": lambda db: store.in_team(
        db, TEAM, "", Wanted(public=True), limit=LIMIT, offset=50_000
    ),
    "search: one channel": _in_team("channel-77777"),
    "search: 50 of 50": _in_team("word1234"),
    "search: two words": _in_team("word12 thing7"),
    "search: 1 letter, all": _in_team("w"),
    "all teams: 50 of 50": _anywhere("word1234"),
}


async def _run(url: str, channels: int, turns: int) -> dict[str, list[float]]:
    db = Database(url, size=1)
    for query in QUERIES.values():
        for _ in range(6):  # from the sixth on PostgreSQL may keep a generic plan
            await query(db)
    async with db.connection() as connection:
        await connection.execute(_TEAM, TEAM)
        await connection.execute(_FILL, TEAM, channels, timeout=300)
    found: dict[str, list[float]] = {name: [] for name in QUERIES}
    for _ in range(turns):
        for name, query in QUERIES.items():
            started = time.perf_counter()
            await query(db)
            found[name].append((time.perf_counter() - started) * 1000)
    await db.close()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m bench channels")
    parser.add_argument("--channels", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=21)
    wanted = parser.parse_args(argv)
    for line in conditions():
        print(line)
    print(f"{wanted.channels:,} channels in one team; ms, median (least-most) of {wanted.turns} turns\n")
    with services() as running:
        found = asyncio.run(_run(running.postgres.url(), wanted.channels, wanted.turns))
    for name, times in found.items():
        print(f"{name:<24}{median(times):8.1f} ({min(times):.1f}-{max(times):.1f})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
