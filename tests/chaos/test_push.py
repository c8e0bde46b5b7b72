"""Faults under the push sender: a worker killed, Redis killed, a provider down or busy. What was accepted arrives.

A push may arrive twice only if its first answer was not yet written down, and then under the same apns-id.
`make chaos`: 5,000 pushes and 60 s, by --rounds 20.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fixtures.apns_peer import ApnsPeer, error
from tests.fixtures.authority import authority
from tests.fixtures.http2_peer import Answer, Reply, Request, running
from tests.fixtures.push_proxy import PushProxy
from tests.fixtures.redis import Redis
from tests.integration.push.world import (
    apple_target,
    push_for,
    sending,
    settings_for,
    until,
    until_empty,
    write_config,
)
from tidewire.bus.push_queue import PushQueue
from tidewire.wire.errors import Unavailable
from tidewire.wire.push import Job

pytestmark = pytest.mark.alone("it says how long recoveries took")


@dataclass
class Size:
    """How much of a fault."""

    pushes: int
    down_s: float
    attempt_s: float  # a provider that has so much to do at once takes longer


@pytest.fixture
def size(rounds: int) -> Size:
    """The short form of `make test`, or the whole one."""
    return Size(5_000, 60.0, 30.0) if rounds >= 20 else Size(400, 3.0, 2.0)


class SlowApple(ApnsPeer):
    """Takes its time, so that everything is under way at once."""

    delay_s = 0.0

    async def handle(self, request: Request) -> Answer:
        """See Peer.handle."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s * random.uniform(0.5, 1))
        return await super().handle(request)


@asynccontextmanager
async def apple_at(folder: Path) -> AsyncIterator[SlowApple]:
    async with running(SlowApple(authority().issue(folder))) as apple:
        yield apple
    assert apple.violations == []


def options(folder: Path, apple: ApnsPeer, size: Size) -> dict[str, Any]:
    return {
        "mattermost_config": str(write_config(folder, apple=[apple_target(folder)])),
        "apns_url": apple.url,
        "ca_file": str(folder / "ca.pem"),
        "in_flight": size.pushes,
        "connections": 5,
        "attempt_timeout_s": size.attempt_s,
        "claim_after_s": size.attempt_s + 5,
    }


def jobs(count: int) -> list[Job]:
    return [push_for(f"{number:064x}") for number in range(count)]


def judge(apple: ApnsPeer, accepted: list[Job], twice_at_most: int, report: list[str], fault: str) -> None:
    """Everything arrived, under its own id; a repeated push is one that was under way."""
    times = Counter(one.apns_id for one in apple.received)
    assert {job.apns_id for job in accepted} <= set(times)
    devices = {job.apns_id: job.device for job in accepted}
    assert all(devices.get(one.apns_id, one.device) == one.device for one in apple.received)
    twice = [name for name, count in times.items() if count > 1]
    assert max(times.values()) <= 2 and len(twice) <= twice_at_most
    report.append(f"push: {fault}: {len(accepted)} accepted, all arrived, {len(twice)} twice")


async def test_a_worker_killed_with_everything_under_way(
    own_redis: Redis, tmp_path: Path, size: Size, report: list[str]
) -> None:
    accepted = jobs(size.pushes)
    async with apple_at(tmp_path) as apple:
        proxy = PushProxy(own_redis.url, **options(tmp_path, apple, size))
        apple.delay_s = min(4.0, size.attempt_s / 2)
        # Before anything is sent: the stand-in runs on this loop, too, and has much to do then.
        queue = PushQueue(own_redis.url)
        await queue.add(accepted)
        await queue.close()
        await asyncio.to_thread(proxy.start)
        try:
            await until(lambda: len(apple.received) > size.pushes // 10, 60)
            assert proxy.process is not None
            worker = psutil.Process(proxy.process.pid).children(recursive=True)[-1]
            answered = len(apple.received)
            worker.kill()
            apple.delay_s = 0.0
            killed = time.monotonic()
            await until(
                lambda: {one.apns_id for one in apple.received} == {job.apns_id for job in accepted}, 90
            )
            took_s = time.monotonic() - killed
            await until_empty(own_redis.url)
        finally:
            await asyncio.to_thread(proxy.stop)
    # Of those that were answered before, only what the last few milliseconds brought may come again; the stand-in
    # counts a push when it takes it, so what was on its way back at the kill counts, too.
    judge(
        apple,
        accepted,
        size.pushes,
        report,
        f"worker killed with {answered} answered, mended in {took_s:.1f} s",
    )
    late = [one for one in apple.received if one.at < killed - 2.0]
    again = {one.apns_id for one in apple.received if one.at > killed}
    assert not {one.apns_id for one in late} & again


async def test_redis_killed_under_load(
    own_redis: Redis, tmp_path: Path, size: Size, report: list[str]
) -> None:
    everything, accepted = jobs(size.pushes), []
    async with apple_at(tmp_path) as apple:
        settings = settings_for(own_redis.url, **options(tmp_path, apple, size))
        async with sending(settings) as sender:
            for number in range(0, size.pushes, 20):
                if number == size.pushes // 2:
                    await asyncio.to_thread(own_redis.kill)
                    await asyncio.to_thread(own_redis.start)
                batch = everything[number : number + 20]
                try:
                    await sender.add(batch)
                except Unavailable:
                    continue  # not accepted: who asked is told
                accepted += batch
            await until(
                lambda: {job.apns_id for job in accepted} <= {one.apns_id for one in apple.received}, 90
            )
            await until_empty(own_redis.url)
    assert len(accepted) > size.pushes * 0.8
    judge(apple, accepted, size.pushes // 2, report, "Redis killed")


async def test_a_provider_that_is_down(redis_url: str, tmp_path: Path, size: Size, report: list[str]) -> None:
    accepted = jobs(size.pushes)
    async with apple_at(tmp_path) as apple:
        settings = settings_for(redis_url, **options(tmp_path, apple, size))
        async with sending(settings) as sender:
            await sender.add(accepted[: size.pushes // 2])
            await until(lambda: len(apple.received) == size.pushes // 2, 60)
            await apple.stop()
            before = apple.connections
            await sender.add(accepted[size.pushes // 2 :])
            await until(lambda: not sender.stations["apple_rn"].breaker.closed)
            await asyncio.sleep(size.down_s)
            assert len(apple.received) == size.pushes // 2
            back = time.monotonic()
            await apple.start()
            await until(lambda: len({one.apns_id for one in apple.received}) == size.pushes, 120)
            took_s = time.monotonic() - back
            await until_empty(redis_url)
            # It comes back to a few connections, not to a storm.
            assert apple.connections - before <= 10
    judge(apple, accepted, 0, report, f"provider down {size.down_s:.0f} s, all sent {took_s:.1f} s after")


async def test_a_provider_that_is_busy(redis_url: str, tmp_path: Path, size: Size, report: list[str]) -> None:
    accepted = jobs(size.pushes // 2)
    async with apple_at(tmp_path) as apple:
        settings = settings_for(redis_url, **options(tmp_path, apple, size))
        busy: Reply = error(429, "TooManyRequests", retry_after=2)
        for job in accepted:
            apple.script.say(job.device, busy)  # once each; the first may come again before the last is refused
        async with sending(settings) as sender:
            began = time.monotonic()
            await sender.add(accepted)
            await until(lambda: len(apple.received) == len(accepted), 120)
            await until_empty(redis_url)
    assert apple.received[0].at - began >= 2.0
    assert apple.requests == 2 * len(accepted)
    judge(apple, accepted, 0, report, "provider busy, Retry-After 2")
