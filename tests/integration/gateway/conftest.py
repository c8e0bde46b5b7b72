"""The gateway under test, by default settings."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.gateway.world import World, world


@pytest.fixture
async def town(database_url: str, redis_url: str) -> AsyncIterator[World]:
    """A gateway in this process."""
    async with world(database_url, redis_url) as running:
        yield running
