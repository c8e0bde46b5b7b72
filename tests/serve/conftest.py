"""Fixtures of whole runs: a folder for the data, and the two kinds of user."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fixtures.serve import Runner, Serve
from tests.serve.balancers import haproxy, nginx
from tests.serve.plain_user import open_folder, plain_runner

__all__ = ["haproxy", "nginx"]  # fixtures of balancers.py

Launch = Callable[..., Serve]


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory that does not exist yet, in a folder that other accounts may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="tw-serve-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder / "data"
    folder.chmod(0o711)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def plain() -> Iterator[Runner]:
    """How to run Python without root's rights."""
    stage = open_folder()
    yield plain_runner(stage)
    shutil.rmtree(stage, ignore_errors=True)


@pytest.fixture(params=["ourselves", "plain user"])
def runner(request: pytest.FixtureRequest, data: Path) -> Runner:
    """Ourselves (root in CI), then a plain user who owns the folder of the data."""
    if request.param == "ourselves":
        return Runner()
    found: Runner = request.getfixturevalue("plain")
    if found.user:
        shutil.chown(data.parent, found.user)
    return found


@pytest.fixture
def launch(data: Path) -> Iterator[Launch]:
    """Launch runs on the test's data directory, each on a free port; all are ended after the test."""
    runs: list[Serve] = []

    def start(*flags: str, runner: Runner | None = None, env: dict[str, str] | None = None) -> Serve:
        runs.append(Serve(*flags, data_dir=data, runner=runner, env=env))
        return runs[-1].launch()

    yield start
    for run in runs:
        run.remove()
