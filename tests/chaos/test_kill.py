"""kill -9 under 300 posts/s from 200 clients: a gateway, an API worker (also between commit and XADD), a database."""

import asyncio
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from time import monotonic, time

import psutil
import pytest

from tests.chaos import faults, verdict
from tests.chaos.crowd import Crowd, open_site
from tests.fixtures.serve import Serve

pytestmark = pytest.mark.alone("it must reach 300 posts/s, and says how long recoveries took")

POSTS_PER_S = 320
PROMISE_S = 10  # healthy again; of a machine that is ours, so the median is judged
RECOVER_S = 60  # only so that a failure ends


def seed(serve: Serve, tokens: Path) -> list[str]:
    """Create 200 users, 20 in each of 10 channels; return the lines of their tokens."""
    command = [sys.executable, "-m", "tidewire", "loadtest", "seed", "--users", "200", "--channels", "10"]
    command += ["--channel-members", "20", "--tokens", str(tokens), "--data-dir", str(serve.data_dir)]
    subprocess.run(command, check=True, capture_output=True)
    return tokens.read_text().splitlines()


async def kill_gateway(serve: Serve, crowd: Crowd) -> list[psutil.Process]:
    victim = random.choice(faults.find(serve, "gateway"))
    faults.kill(victim)
    return [victim]


async def kill_worker(serve: Serve, crowd: Crowd) -> list[psutil.Process]:
    victim = random.choice(faults.find(serve, "worker"))
    faults.kill(victim)
    return [victim]


async def kill_worker_before_xadd(serve: Serve, crowd: Crowd) -> list[psutil.Process]:
    """With Redis frozen, posts are committed and acknowledged but not on the bus: then every worker dies."""
    before = crowd.site.counts["posts acknowledged"]
    with faults.frozen(serve, "redis"):
        async with asyncio.timeout(RECOVER_S):
            while crowd.site.counts["posts acknowledged"] < before + 50:
                await asyncio.sleep(0.01)
        victims = faults.find(serve, "worker")
        for victim in victims:
            faults.kill(victim)
    return victims


async def kill_redis(serve: Serve, crowd: Crowd) -> list[psutil.Process]:
    victims = faults.find(serve, "redis")
    faults.kill(victims[0])
    return victims


async def kill_postgres(serve: Serve, crowd: Crowd) -> list[psutil.Process]:
    victims = faults.find(serve, "postgres")
    faults.kill(victims[0])
    return victims


KILLS = [kill_gateway, kill_worker, kill_worker_before_xadd, kill_redis, kill_postgres]


async def test_nothing_acknowledged_is_missing(
    product: Serve, tmp_path: Path, rounds: int, report: list[str]
) -> None:
    lines = await asyncio.to_thread(seed, product, tmp_path / "tokens")
    healthy, recovered = defaultdict(list), defaultdict(list)
    async with open_site(product.url) as site, Crowd.of_tokens(site, lines) as crowd:
        await crowd.arrive()
        crowd.start_posting(POSTS_PER_S)
        began = monotonic()
        plan = KILLS * rounds
        random.shuffle(plan)
        for kill in plan:
            await asyncio.sleep(random.uniform(1, 2))  # at a random moment of full load
            start, start_ms = monotonic(), int(time() * 1000)
            victims = await kill(product, crowd)
            await faults.wait_until_healthy(product, victims, RECOVER_S)
            healthy[kill.__name__].append(monotonic() - start)
            await crowd.wait_for_news(start_ms, RECOVER_S)
            recovered[kill.__name__].append(monotonic() - start)
        await crowd.stop_posting()
        lasted = monotonic() - began
        problems = await verdict.judge(crowd, product.data_dir, RECOVER_S)
    report += summary(crowd.site.counts, lasted, healthy, recovered)
    assert problems == []
    assert median([value for values in healthy.values() for value in values]) < PROMISE_S
    assert crowd.site.counts["503 without Retry-After"] == 0


def summary(
    counts: Counter[str], lasted: float, healthy: dict[str, list[float]], recovered: dict[str, list[float]]
) -> list[str]:
    """Return what happened, with a histogram of the recovery times of each fault."""
    lines = [f"{counts['posts acknowledged'] / lasted:.0f} posts/s over {lasted:.0f} s; {dict(counts)}"]
    for name in sorted(healthy):
        lines += verdict.histogram(f"{name}: serve healthy again", healthy[name])
        lines += verdict.histogram(f"{name}: every client knows a later post", recovered[name])
    return lines
