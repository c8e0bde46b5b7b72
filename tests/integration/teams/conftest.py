"""One town for all tests of a module here."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fixtures.api import Api, new_settings
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.teams.town import Town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(postgres: Postgres, redis: Redis) -> AsyncIterator[Town]:
    """The module's town."""
    redis.flush()
    async with cloned(postgres) as url:
        api = Api(new_settings(url, redis.url))
        await api.start()
        made = Town(api, url)
        await made.settle()
        yield made
        await made.close()
        await api.stop()
