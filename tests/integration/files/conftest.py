"""One world and one gateway for all tests of this folder, and the places where files can be: a disk, a real S3."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.api import Api, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.fixtures.seaweed import Seaweed
from tests.integration.gateway.world import world
from tests.integration.people.crew import Crew, enlist


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def shared_crew(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crew]:
    """The folder's world; its Redis is its own, since `redis_url` empties the session's."""
    redis = Redis(durable=False)
    redis.start()
    try:
        async with cloned(postgres) as url, world(url, redis.url) as town:
            files = {"directory": str(tmp_path_factory.mktemp("files"))}
            api = Api(new_settings(url, redis.url, files=files))
            await api.start()
            yield await enlist(await settle(api), town)
            await api.stop()
    finally:
        redis.stop()


@pytest_asyncio.fixture(loop_scope="package")
async def crew(shared_crew: Crew) -> AsyncIterator[Crew]:
    """The folder's world. Sockets are the test's own; they are cut at its end."""
    yield shared_crew
    shared_crew.town.cut_clients()


@pytest.fixture(scope="package")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A real S3."""
    server = Seaweed(Path(tmp_path_factory.mktemp("seaweed")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, config: dict[str, Any]) -> str:
    """Where files are during the test: everything that touches bytes is tried in both."""
    if request.param == "s3":
        config |= request.getfixturevalue("seaweed").config
    name: str = request.param
    return name
