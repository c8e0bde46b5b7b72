"""Redis or PostgreSQL stands still for 10 s (30 s with --rounds): what goes on, what is refused, and that it heals."""

import asyncio
from pathlib import Path
from time import time

import aiohttp
import pytest

from tests.chaos import faults, verdict
from tests.chaos.crowd import Crowd, Site, open_site
from tests.chaos.test_kill import seed
from tests.fixtures.serve import Serve

pytestmark = pytest.mark.alone("100 posts/s while nothing else is slow, and the product of test_kill.py")

POSTS_PER_S = 100
HEAL_S = 60  # only so that a failure ends


def closed(site: Site) -> int:
    return sum(count for name, count in site.counts.items() if name.startswith("sockets closed"))


async def finish(fault: str, serve: Serve, crowd: Crowd, since_ms: int, report: list[str]) -> None:
    """Posts flow again, and everybody knows everything."""
    await crowd.wait_for_news(since_ms, HEAL_S)
    await crowd.stop_posting()
    problems = await verdict.judge(crowd, serve.data_dir, HEAL_S)
    report.append(f"{fault}: {dict(crowd.site.counts)}")
    assert problems == []


async def test_redis_stands_still(product: Serve, tmp_path: Path, rounds: int, report: list[str]) -> None:
    lines = await asyncio.to_thread(seed, product, tmp_path / "tokens")
    async with open_site(product.url) as site, Crowd.of_tokens(site, lines) as crowd:
        await crowd.arrive()
        crowd.start_posting(POSTS_PER_S)
        await crowd.wait_for_news(int(time() * 1000), HEAL_S)
        before = site.counts["posts acknowledged"]
        with faults.frozen(product, "redis"):
            await asyncio.sleep(30 if rounds > 1 else 10)
            during = site.counts["posts acknowledged"] - before
            revoked = crowd.members[0]
            await crowd.dismiss(revoked)  # first: his own posts are rightly refused once his session has ended
            async with site.http.post(
                f"{site.url}/api/v4/users/logout", headers=bearer(revoked.token)
            ) as answer:
                assert answer.status == 200
            async with site.http.get(f"{site.url}/api/v4/users/me", headers=bearer(revoked.token)) as answer:
                assert answer.status == 401  # nothing fails open: the session is looked up where it ended
        assert during > 100, "posts are acknowledged without Redis"
        await finish("redis stands still", product, crowd, int(time() * 1000), report)
        refused = {name: count for name, count in site.counts.items() if name.startswith("posts answered")}
        assert refused == {}, "a bus that is away refuses nobody and logs nobody out"
        assert closed(site) == 0


async def test_redis_loses_everything(product: Serve, tmp_path: Path, report: list[str]) -> None:
    """Killed and back empty: what the outbox still has is published again, and nobody has a hole."""
    lines = await asyncio.to_thread(seed, product, tmp_path / "tokens")
    async with open_site(product.url) as site, Crowd.of_tokens(site, lines) as crowd:
        await crowd.arrive()
        crowd.start_posting(POSTS_PER_S)
        await asyncio.sleep(3)
        with faults.frozen(product, "redis"):
            victims = faults.find(product, "redis")
            for path in product.data_dir.rglob("appendonlydir/*"):
                path.unlink()
            faults.kill(victims[0])
        await faults.wait_until_healthy(product, victims, HEAL_S)
        await finish("redis loses everything", product, crowd, int(time() * 1000), report)
        assert closed(site) == 0


async def test_postgres_stands_still(product: Serve, tmp_path: Path, rounds: int, report: list[str]) -> None:
    lines = await asyncio.to_thread(seed, product, tmp_path / "tokens")
    async with open_site(product.url) as site, Crowd.of_tokens(site, lines) as crowd:
        await crowd.arrive()
        crowd.start_posting(POSTS_PER_S)
        await crowd.wait_for_news(int(time() * 1000), HEAL_S)
        with faults.frozen(product, "postgres"):
            statuses, deadline = [], asyncio.get_running_loop().time() + (30 if rounds > 1 else 10)
            while asyncio.get_running_loop().time() < deadline:
                statuses.append(await post_status(crowd))
        assert set(statuses) == {(503, True)}, "refused, with the time to come back"
        await finish("postgres stands still", product, crowd, int(time() * 1000), report)
        assert closed(site) == 0, "sockets stay"
        assert site.counts["503 without Retry-After"] == 0


async def post_status(crowd: Crowd) -> tuple[int, bool]:
    """Post once more; return the status and whether Retry-After came with it."""
    member = crowd.members[-1]
    body = {"channel_id": member.channel_id, "message": "lost"}
    url, timeout = f"{crowd.site.url}/api/v4/posts", aiohttp.ClientTimeout(total=HEAL_S)
    async with crowd.site.http.post(url, json=body, headers=bearer(member.token), timeout=timeout) as answer:
        await answer.read()
        return answer.status, "Retry-After" in answer.headers


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
