"""One product for all tests of load: two gateways, and people in one channel."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.serve import ROOT, Serve, running

PEOPLE = 120


@pytest.fixture(scope="package")
def two_gateways() -> Iterator[Serve]:
    """A product with two gateways that nothing else uses."""
    with running("--gateways", "2") as server:
        yield server


@pytest.fixture(scope="package")
def tokens(two_gateways: Serve, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its users, all in one channel."""
    return seeded(two_gateways, tmp_path_factory.mktemp("swarm") / "tokens")


def seeded(two_gateways: Serve, file: Path) -> Path:
    """Make people in a channel of their own and write their tokens."""
    seed = ["seed", "--users", str(PEOPLE), "--tokens", str(file), "--data-dir", str(two_gateways.data_dir)]
    subprocess.run([sys.executable, "-m", "tidewire", "loadtest", *seed], cwd=ROOT, check=True, timeout=60)
    return file


def hosts(server: Serve) -> tuple[str, ...]:
    """Return HOST:PORT of its gateways."""
    return tuple(url.removeprefix("http://") for url in server.gateways)
