"""The product that chaos tests hurt, and where they say how long it took."""

from collections.abc import Iterator

import pytest

from tests.fixtures.serve import Serve, running

# The verdict reads the whole stream, so nothing may be trimmed while a test runs.
ENV = {"TIDEWIRE_BUS_STREAM_RETENTION_S": "7200"}
_lines = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def product() -> Iterator[Serve]:
    """A running product with two of each."""
    with running("--gateways", "2", "--api-workers", "2", env=ENV) as serve:
        yield serve


@pytest.fixture
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines to show at the end of the run."""
    return request.config.stash.setdefault(_lines, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what the tests reported."""
    if lines := config.stash.get(_lines, []):
        terminalreporter.section("chaos")
        for line in lines:
            terminalreporter.write_line(line)
