"""Search: ms per request through the real API over a large index, by kind of question; and how fast the index is made.

    python -m bench.search [--posts 1000000] [--channels 50] [--rounds 40]

The API process with one worker on a core of its own, a private PostgreSQL and Redis on the other. Posts of 12 words out
of 20,000, the word of rank r with a chance of about 1/r, written by SQL; the searcher is a member of all channels. One
question at a time; beside each, as a yardstick of the machine, `GET /users/me`.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

from bench.machine import conditions, pin, tree
from bench.posts import API_CORE, LOAD_CORE, api
from bench.servers import services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

TARGET_MS = 150  # p95
WORDS = 20_000
FILL = """
INSERT INTO posts (id, create_at, update_at, user_id, channel_id, message)
SELECT lpad(n::text, 26, '0'), $1::bigint + n, $1::bigint + n, $2,
    ($3::text[])[1 + n % cardinality($3::text[])],
    (SELECT string_agg('w' || floor(exp(random() * ln($4::int)))::int, ' ') FROM generate_series(1, 12) WHERE n > 0)
FROM generate_series(1, $5::int) n
"""


def questions(rng: random.Random, channel: str) -> dict[str, str]:
    """Return one question of each kind."""
    rare, middle = rng.randint(WORDS // 2, WORDS), rng.randint(100, 1000)
    return {
        "rare word": f"w{rare}",
        "common word": f"w{rng.randint(1, 5)}",
        "two words": f"w{rng.randint(5, 20)} w{middle}",
        "common words": f"w{rng.randint(1, 5)} w{rng.randint(1, 5)}",
        "phrase": f'"w{rng.randint(1, 10)} w{rng.randint(1, 10)}"',
        "beginning": f"w{middle}*",
        "in a channel": f"w{middle} in:{channel}",
        "on a day": f"w{rng.randint(1, 20)} after:2020-01-01 before:2030-01-01",
        "nothing": f"nowhere{rare}",
    }


def ask(port: int, user: SeededUser, path: str, body: dict[str, object] | None = None) -> tuple[float, bytes]:
    """Return (ms, the answer)."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v4{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {user.token}"},
    )
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as answer:
        data = answer.read()
    return (time.perf_counter() - started) * 1000, data


async def fill(url: str, user: SeededUser, posts: int) -> str:
    """Write the posts; return the name of a channel."""
    db = Database(url)
    try:
        async with db.connection() as connection:
            await connection.execute("SET statement_timeout = 0")
            rows = await connection.fetch(
                "SELECT c.id, c.name FROM channels c, channel_members m WHERE m.channel_id = c.id AND m.user_id = $1",
                user.user_id,
            )
            ids = [row["id"] for row in rows]
            await connection.execute(FILL, 1_500_000_000_000, user.user_id, ids, WORDS, posts, timeout=600)
            await connection.execute("ANALYZE posts", timeout=600)
        name: str = rows[0]["name"]
        return name
    finally:
        await db.close()


async def indexed(url: str, posts: int) -> None:
    """Wait until everything is indexed, then let PostgreSQL learn what is there."""
    db = Database(url)
    try:
        async with db.connection() as connection:
            await connection.execute("SET statement_timeout = 0")
            while await connection.fetchval("SELECT count(*) FROM post_search") < posts:
                await asyncio.sleep(0.5)
            await connection.execute("VACUUM ANALYZE", timeout=600)
    finally:
        await db.close()


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every kind meets the target, else 3. words: the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__.split("\n")[0])
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=40, help="questions of each kind")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    met, rng = True, random.Random(1)
    with services() as running, tempfile.TemporaryDirectory() as scratch:
        url = running.postgres.url()
        user = asyncio.run(seed(Database(url), Plan(2, options.channels)))[0]
        channel = asyncio.run(fill(url, user, options.posts))
        with api(running, Path(scratch)) as (pid, port):
            for process in tree([pid]):
                pin(process, API_CORE)
            for process in tree(running.pids):
                pin(process, LOAD_CORE)
            started = time.perf_counter()
            asyncio.run(indexed(url, options.posts))
            spent = time.perf_counter() - started
            print(f"\nindexed {options.posts:,} posts in {spent:.0f} s, {options.posts / spent:,.0f} a second\n")
            taken: dict[str, list[float]] = {}
            yardstick: list[float] = []
            for _ in range(options.rounds):
                for kind, terms in questions(rng, channel).items():
                    ms, answer = ask(port, user, "/posts/search", {"terms": terms})
                    taken.setdefault(kind, []).append(ms)
                    if kind == "common word" and not json.loads(answer)["order"]:
                        sys.exit("nothing was found: the index is not what it should be")
                    yardstick.append(ask(port, user, "/users/me")[0])
    print(f"{'question':14} {'median ms':>10} {'p95 ms':>8} {'worst':>8}   GET /users/me {median(yardstick):.2f} ms")
    for kind, values in taken.items():
        values.sort()
        p95 = values[max(0, int(len(values) * 0.95) - 1)]
        met = met and p95 <= TARGET_MS
        print(f"{kind:14} {median(values):10.1f} {p95:8.1f} {values[-1]:8.1f}")
    print(f"target p95 <= {TARGET_MS} ms: {'met' if met else 'MISSED'}")
    return 0 if met else 3


if __name__ == "__main__":
    sys.exit(main())
