"""One small world for all tests of a module here: each makes posts of its own, and an API takes seconds to start."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fixtures.api import People, settled
from tests.fixtures.postgres import Postgres
from tests.fixtures.redis import Redis
from tests.integration.posts.chat import Announced


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(postgres: Postgres, redis: Redis) -> AsyncIterator[People]:
    """The module's world."""
    async with settled(postgres, redis) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def announced(people: People) -> AsyncIterator[Announced]:
    """What the outbox says from here on."""
    notes = Announced(people.api)
    await notes.copies()
    yield notes
    await notes.close()
