"""deploy/haproxy.cfg before two gateways and two APIs: one is drained, one of each is killed."""

import asyncio
import csv
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.fixtures.servers import Server
from tests.integration.gateway.world import World
from tests.serve.balancers import BACKENDS, start
from tests.serve.cluster import Cluster, until_served
from tests.serve.talk import log_in, make_user
from tests.serve.wander import PATIENCE_S, Wanderer, settle
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database


async def until_up(balancer: Server, server: str) -> None:
    """Wait until HAProxy uses the server."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            reader, writer = await asyncio.open_unix_connection(balancer.log.parent / "admin.sock")
            writer.write(b"show stat\n")
            rows = csv.DictReader((await reader.read()).decode().splitlines())
            writer.close()
            if any(row["svname"] == server and row["status"] == "UP" for row in rows):
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def cluster_of(database_url: str, redis_url: str, haproxy: str) -> AsyncIterator[tuple[Cluster, Server]]:
    env = {"TIDEWIRE_DATABASE_URL": database_url, "TIDEWIRE_REDIS_URL": redis_url}
    cluster = Cluster(env | {"TIDEWIRE_RESUME_HANDOVER_MS": "3000"})
    balancer = None
    try:
        await asyncio.gather(*(cluster.start(name) for name in BACKENDS))
        balancer = start("haproxy", haproxy, cluster.ports)
        await until_served(cluster.url)
        yield cluster, balancer
    finally:
        if balancer is not None:
            balancer.kill()
        await cluster.end_all()


@pytest.mark.timeout(120)
async def test_draining_and_deaths(database_url: str, redis_url: str, haproxy: str) -> None:
    async with cluster_of(database_url, redis_url, haproxy) as (cluster, balancer):
        db, producer = Database(database_url), RedisProducer(redis_url)
        await producer.connect()
        rows = World(None, 0, db, producer)  # type: ignore[arg-type]  # they are other processes
        names, (channel,) = await settle(rows, 30, 1)
        crowd = [Wanderer(user, token, [cluster.url], 0.3) for user, token in names]
        for one in crowd:
            await one.until()
        done, sent = asyncio.Event(), 0

        async def post() -> None:
            nonlocal sent
            while not done.is_set():
                await rows.post(channel, str(sent))
                sent += 1
                await asyncio.sleep(0.05)

        posting = asyncio.create_task(post())
        # Drained: its sockets move to the other one, and nobody notices.
        assert await cluster.end("gateway1", signal.SIGTERM) == 0
        done.set()
        await posting
        for one in crowd:
            await one.until(text=str(sent - 1))
            assert one.texts == [str(number) for number in range(sent)]
            assert one.hellos == 1
        assert any(one.visits > 1 for one in crowd)
        # Killed: all are on the second one now; they begin anew at the first.
        await cluster.start("gateway1")
        await until_up(balancer, "gateway1")
        await cluster.end("gateway2", signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while not all(one.hellos == 2 for one in crowd):
                await asyncio.sleep(0.05)
        await rows.post(channel, "after")
        for one in crowd:
            await one.until(text="after")
        # An API: no request is lost to its death.
        await asyncio.to_thread(make_user, cluster.url)
        token = (await asyncio.to_thread(log_in, cluster.url)).headers["Token"]
        await cluster.end("api1", signal.SIGKILL)
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
            for _ in range(40):
                assert (await http.get(f"{cluster.url}/api/v4/users/me")).status_code == 200
        for one in crowd:
            await one.end()
        await producer.close()
        await db.close()
