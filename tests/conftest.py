"""Registers the fixtures and names every version in play. Fixtures themselves live in tests/fixtures."""

import asyncio
import functools
import importlib.metadata
import inspect
import os
import platform
from collections.abc import Awaitable, Callable
from typing import Any

import hypothesis
import pytest
import uvloop

from tidewire.store import db

pytest_plugins = [
    "tests.fixtures.servers",
    "tests.fixtures.postgres",
    "tests.fixtures.redis",
    "tests.fixtures.serve",
    "tests.fixtures.api",
    "tests.fixtures.statements",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make chaos` ask for more, and `make test` for one stage."""
    parser.addoption("--rounds", type=int, default=1, help="how often tests/chaos does each fault")
    parser.addoption("--stage", choices=["together", "alone"], help="tests that may run beside others, or may not")


# Where many ask at once on a busy machine, requests wait rather than be refused.
db.ACQUIRE_S = db.CONNECT_S = 30.0

# How long an example takes says something about the machine only; and what failed must fail again.
hypothesis.settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("repeatable")

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one stage's tests, and give async ones their limit.

    The exception of pytest-timeout's signal gets lost in uvloop's callbacks, so a test that hangs is ended here.
    """
    if stage := config.getoption("stage"):
        _keep(config, items, alone=stage == "alone")
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _limited(item.obj, _limit_s(item) - 1)  # before pytest-timeout, which would only print


def _keep(config: pytest.Config, items: list[pytest.Item], *, alone: bool) -> None:
    """Keep what must be alone or what need not, and begin with what is allowed the longest time.

    Else one process would still be busy with it when the others have nothing left.
    """
    kept = [item for item in items if bool(item.get_closest_marker("alone")) is alone]
    config.hook.pytest_deselected(items=[item for item in items if bool(item.get_closest_marker("alone")) is not alone])
    items[:] = sorted(kept, key=_limit_s, reverse=True)


def _limit_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    default = item.config.getoption("timeout") or item.config.getini("timeout") or 0
    return float(mark.args[0] if mark and mark.args else default)


def _limited(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(seconds if seconds > 0 else None):
            await test(*args, **kwargs)

    return run


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a chaos test does its fault."""
    count: int = request.config.getoption("--rounds")
    return count
