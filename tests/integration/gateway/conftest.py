"""The gateway under test, by default settings: one for each module, since starting it takes longer than most tests."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.fixtures.transport import speaking
from tests.integration.gateway.world import World, world


@pytest.fixture(scope="module", autouse=True)
def transport(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Speak plain TCP; modules marked with `over_both` do it all once more over TLS."""
    with speaking(getattr(request, "param", "tcp"), tmp_path_factory.mktemp("certificate")) as kind:
        yield kind


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_town(postgres: Postgres, transport: str) -> AsyncIterator[World]:
    """A gateway in this process; its Redis is its own, since `redis_url` empties the session's."""
    redis = Redis(durable=False)
    redis.start()
    try:
        async with cloned(postgres) as url, world(url, redis.url) as running:
            yield running
    finally:
        redis.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def town(shared_town: World) -> AsyncIterator[World]:
    """The module's gateway. Users, channels and sockets are the test's own; sockets are cut at its end."""
    yield shared_town
    shared_town.cut_clients()
