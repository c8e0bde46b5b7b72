"""The deciding half of push: CPU per post and per push, and the time from a post's commit to its provider.

    python -m bench.push_decide [--posts 4000] [--rate 50] [--seconds 10] [--turns 7]

"decision": the worker's code alone, with real PostgreSQL and Redis, on what a queue of so many posts gives it, 200 at
once; every user has a phone and is offline. "one": each post mentions one of 50 members; "all": each mentions all of
them. "latency": real API, push worker and PostgreSQL; posts at fixed times, each mentions one who has a phone; from
create_at, which is before the commit, to the arrival at a stand-in of Apple's over HTTP/2 and TLS.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec

from bench.machine import ROOT, Watch, Window, conditions, cpu_seconds, tree
from bench.posts import api, give_phones
from bench.servers import Services, services
from loadtest.seed import Plan, SeededUser, seed
from push.decide import Decider
from tests.fixtures.apns_peer import ApnsPeer
from tests.fixtures.authority import Certificate, authority
from tests.fixtures.http2_peer import Answer, Request, running
from tests.integration.push.world import apple_target, write_config
from tidewire.actions import push_keys
from tidewire.actions.config import Config
from tidewire.actions.vault import Vault
from tidewire.bus.cache import Cache
from tidewire.bus.envelope import Decision, PostPush
from tidewire.bus.redis_client import RedisClient
from tidewire.settings import child_environment, read
from tidewire.store.db import Database
from tidewire.wire.ids import new_id, now_ms

OWN, OTHER = [0], [1]
MEMBERS = 50
AT_ONCE = 200
TARGET_MS = 250.0
WARM_MS = 1_000  # the first posts meet processes, plans and connections that are new


async def write_posts(
    db: Database, users: Sequence[SeededUser], posts: int, *, everybody: bool
) -> list[Decision]:
    """Store posts that mention one member, or all; return what waits for the worker then."""
    author, *others = users
    rows: list[tuple[str, str]] = []
    decisions: list[Decision] = []
    for number in range(posts):
        post_id, other = new_id(), others[number % len(others)]
        rows.append(
            (post_id, f"@{'all' if everybody else other.username} some *words* of a post, number {number}")
        )
        mentions = [one.user_id for one in others] if everybody else [other.user_id]
        decisions.append(Decision(now_ms(), PostPush(post_id, mentions, [])))
    await db.execute(
        "INSERT INTO posts (id, create_at, update_at, user_id, channel_id, message) SELECT p, $3, $3, $4, $5, m"
        " FROM unnest($1::text[], $2::text[]) g(p, m)",
        [row[0] for row in rows],
        [row[1] for row in rows],
        now_ms(),
        author.user_id,
        author.channel_id,
    )
    return decisions


async def decide(
    decider: Decider, decisions: Sequence[Decision], running_services: Services
) -> tuple[Window, int, float]:
    """Decide on all of them; return (window, pushes, PostgreSQL's CPU seconds)."""
    postgres = tree([running_services.pids[0]])
    before = cpu_seconds(postgres)
    watch = Watch(os.getpid(), running_services.pids)
    pushes = 0
    for start in range(0, len(decisions), AT_ONCE):
        pushes += len(await decider.decide(decisions[start : start + AT_ONCE]))
    return watch.stop(), pushes, cpu_seconds(postgres) - before


async def cost(options: argparse.Namespace, running_services: Services) -> None:
    """Print what deciding costs."""
    settings = read(
        {"database": {"url": running_services.postgres.url()}, "redis": {"url": running_services.redis.url}}
    )
    users = await seed(Database(settings.database.url), Plan(MEMBERS))
    await give_phones(Database(settings.database.url))
    db, redis = Database(settings.database.url, size=3), RedisClient(settings.redis.url)
    config = await Config.open(settings, db)
    vault, pair = await Vault.open(settings, db), await push_keys.get_pair(settings, db, push_keys.SIGNING)
    key = push_keys.load_private(push_keys.private_pem(vault, push_keys.SIGNING, pair))
    decider = Decider(db, redis, config, Cache(), key, targets={"apple_rn"}, heartbeat_s=5)
    for name, posts, everybody in (("one", options.posts, False), ("all", options.posts // 20, True)):
        decisions = await write_posts(db, users, posts, everybody=everybody)
        await decide(decider, decisions[: 2 * AT_ONCE], running_services)  # warm: connections, plans
        turns = [await decide(decider, decisions, running_services) for _ in range(options.turns)]
        pushes = turns[0][1]
        us = sorted(window.cpu_s * 1e6 / posts for window, _, _ in turns)
        mid = median(us)
        wall = median(window.wall_s for window, _, _ in turns)
        database = median(seconds for _, _, seconds in turns) * 1e6 / posts
        quiet = sum(window.quiet for window, _, _ in turns)
        print(
            f"decision, {name}: {mid:,.0f} µs ({us[0]:,.0f}–{us[-1]:,.0f}) of the worker's CPU per post,"
            f" {mid * posts / pushes:,.0f} per push, {database:,.0f} of PostgreSQL's per post;"
            f" {posts / wall:,.0f} posts/s, {pushes / wall:,.0f} pushes/s; {quiet} of {len(turns)} turns quiet",
            flush=True,
        )
    await db.close()
    await redis.close()


class Clock(ApnsPeer):
    """Notes by the wall clock when the push for a post came."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate)
        self.came: dict[str, int] = {}

    async def handle(self, request: Request) -> Answer:
        """See Peer.handle."""
        now = time.time_ns() // 1_000_000
        answer = await super().handle(request)
        self.came.setdefault(self.received[-1].body["post_id"], now)
        return answer


@contextmanager
def worker(running_services: Services, apple: Clock, folder: Path) -> Iterator[None]:
    """Run `tidewire push worker`."""
    environment = child_environment(
        {
            "database": {"url": running_services.postgres.url()},
            "redis": {"url": running_services.redis.url},
            "push": {
                "mattermost_config": str(write_config(folder, apple=[apple_target(folder)])),
                "apns_url": apple.url,
                "ca_file": str(folder / "ca.pem"),
            },
        }
    )
    ready, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "tidewire", "push", "worker"],
        env=environment | {"TIDEWIRE_PUSH_READY_FD": str(theirs)},
        cwd=ROOT,
        pass_fds=(theirs,),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    os.close(theirs)
    try:
        if os.read(ready, 1) != b"1":
            raise RuntimeError("the push worker does not start")
        yield
    finally:
        os.close(ready)
        process.terminate()
        process.wait(20)


async def latency(options: argparse.Namespace, running_services: Services) -> bool:
    """Print how long pushes are on their way; return whether the target is met."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        users = await seed(Database(running_services.postgres.url()), Plan(MEMBERS))
        await give_phones(Database(running_services.postgres.url()))
        async with running(Clock(authority().issue(folder))) as apple:
            with api(running_services, folder) as (_, port), worker(running_services, apple, folder):
                made = await post(port, users, options)
                deadline = time.monotonic() + 20
                while len(made.keys() & apple.came.keys()) < len(made) and time.monotonic() < deadline:
                    await asyncio.sleep(0.05)
        missing = len(made.keys() - apple.came.keys())
        warm_at = min(made.values()) + WARM_MS
        came = {post_id: apple.came[post_id] - at for post_id, at in made.items() if post_id in apple.came}
        times = sorted(took for post_id, took in came.items() if made[post_id] >= warm_at)
        first = max(took for post_id, took in came.items() if made[post_id] < warm_at)
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    met = p99 <= TARGET_MS and not missing
    print(
        f"latency: {len(times)} pushes at {options.rate}/s: p50 {p50} ms, p99 {p99} ms, at most {times[-1]} ms;"
        f" in the first second of everything at most {first} ms; missing {missing};"
        f" target p99 ≤ {TARGET_MS:g} ms: {'met' if met else 'MISSED'}"
    )
    return met


async def post(port: int, users: Sequence[SeededUser], options: argparse.Namespace) -> dict[str, int]:
    """Post at fixed times; return post → create_at (ms)."""
    author, *others = users
    made: dict[str, int] = {}

    def send(number: int) -> None:
        body = {
            "channel_id": author.channel_id,
            "message": f"@{others[number % len(others)].username} {number}",
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v4/posts",
            data=msgspec.json.encode(body),
            headers={"Authorization": f"Bearer {author.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            stored = msgspec.json.decode(answer.read())
        made[stored["id"]] = stored["create_at"]

    start, tasks = time.monotonic(), []
    for number in range(int(options.rate * options.seconds)):
        await asyncio.sleep(max(0.0, start + number / options.rate - time.monotonic()))
        tasks.append(asyncio.create_task(asyncio.to_thread(send, number)))
    await asyncio.gather(*tasks)
    return made


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the target is met, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.push_decide", description=__doc__.split("\n")[0])
    parser.add_argument("--posts", type=int, default=4000, help="posts that wait for a decision")
    parser.add_argument("--rate", type=float, default=50.0, help="posts per second of the latency part")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the latency part")
    parser.add_argument("--turns", type=int, default=7, help="repetitions of the decision part")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    print(f"cores     the decision on {OWN}, the rest on {OTHER}\n")
    with services() as running_services:
        met = asyncio.run(latency(options, running_services))
    os.sched_setaffinity(0, OTHER)  # every child begins there
    with services() as running_services:
        os.sched_setaffinity(0, OWN)
        asyncio.run(cost(options, running_services))
    return 0 if met else 3


if __name__ == "__main__":
    sys.exit(main())
