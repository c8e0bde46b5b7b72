"""A small world whose server may ask one web site on this machine, and not its neighbour."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fixtures.api import Api, People, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.links.site import Heard, Site, site_at
from tests.integration.people.conftest import config  # noqa: F401  (a fixture)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(postgres: Postgres, redis: Redis) -> AsyncIterator[People]:
    """The module's world."""
    redis.flush()
    async with cloned(postgres) as url:
        api = Api(new_settings(url, redis.url))
        await api.start()
        world = await settle(api)
        switches = {"ServiceSettings": {"AllowedUntrustedInternalConnections": "127.0.0.1"}}
        switches["ExperimentalSettings"] = {"LinkMetadataTimeoutMilliseconds": 1000}  # type: ignore[dict-item]
        await world.admin.put("/config/patch", switches)
        yield world
        await api.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def announced(people: People) -> AsyncIterator[Heard]:
    """What the outbox says from here on."""
    notes = Heard(people.api)
    await notes.copies()
    yield notes
    await notes.close()


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Site]:
    """A site that may be asked."""
    async with site_at("127.0.0.1") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def inside() -> AsyncIterator[Site]:
    """A site that nobody may ask."""
    async with site_at("127.0.0.2") as made:
        yield made
