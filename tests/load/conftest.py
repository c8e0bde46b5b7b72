"""One product for all tests of load: two gateways, and people in one channel."""

import asyncio
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


async def run_suite(suite: str, *words: str | Path) -> tuple[int, str]:
    """Run `tidewire loadtest run`; return its exit status and everything that it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tidewire", "loadtest", "run", suite, *map(str, words),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def hosts(server: Serve) -> tuple[str, ...]:
    """Return HOST:PORT of its gateways."""
    return tuple(url.removeprefix("http://") for url in server.gateways)
