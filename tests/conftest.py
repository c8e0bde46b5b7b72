"""Registers the fixtures and names every version in play. Fixtures themselves live in tests/fixtures."""

import asyncio
import importlib.metadata
import os
import platform
from collections.abc import Callable

import pytest
import uvloop

pytest_plugins = [
    "tests.fixtures.servers",
    "tests.fixtures.postgres",
    "tests.fixtures.redis",
    "tests.fixtures.serve",
    "tests.fixtures.api",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make chaos` ask for more."""
    parser.addoption("--rounds", type=int, default=1, help="how often tests/chaos does each fault")


LIBRARIES = ["uvloop", "picows", "falcon", "granian", "asyncpg", "redis", "hiredis", "msgspec"]


def pytest_report_header() -> list[str]:
    """Name Python, the libraries, and which implementation of the hot path runs."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    hotpath = os.environ.get("HOTPATH", "compiled")
    return [
        f"{platform.python_implementation()} {platform.python_version()}, {versions}",
        f"hotpath: {hotpath}",
    ]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run async tests on the loop that the servers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a chaos test does its fault."""
    count: int = request.config.getoption("--rounds")
    return count
