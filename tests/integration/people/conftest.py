"""One world and one gateway for all tests of this folder: they take seconds to start."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fixtures.api import Api, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.gateway.world import world
from tests.integration.people.crew import Crew, enlist, new_bot


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared_crew(postgres: Postgres) -> AsyncIterator[Crew]:
    """The folder's world; its Redis is its own, since `redis_url` empties the session's."""
    redis = Redis(durable=False)
    redis.start()
    try:
        async with cloned(postgres) as url, world(url, redis.url) as town:
            api = Api(new_settings(url, redis.url))
            await api.start()
            crew = await enlist(await settle(api), town)
            crew.bot = await new_bot(crew.people)
            yield crew
            await api.stop()
    finally:
        redis.stop()


@pytest_asyncio.fixture(loop_scope="package")
async def crew(shared_crew: Crew) -> AsyncIterator[Crew]:
    """The folder's world. Sockets are the test's own; they are cut at its end."""
    yield shared_crew
    shared_crew.town.cut_clients()
