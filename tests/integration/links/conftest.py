"""A small world whose server may ask one web site on this machine, and not its neighbour."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.fixtures.api import People, settled
from tests.fixtures.postgres import Postgres
from tests.fixtures.redis import Redis
from tests.integration.links.site import Heard, Site, site_at


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(postgres: Postgres, redis: Redis) -> AsyncIterator[People]:
    """The module's world."""
    config: dict[str, dict[str, Any]] = {
        "ServiceSettings": {"AllowedUntrustedInternalConnections": "127.0.0.1"},
        "ExperimentalSettings": {"LinkMetadataTimeoutMilliseconds": 1000},
    }
    async with settled(postgres, redis, config) as made:
        yield made


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
