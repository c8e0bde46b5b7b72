"""Fixtures of whole runs: a folder for the data, and the two kinds of user."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serve.plain_user import Runner, open_folder, plain_runner
from tests.serve.run import Served, data_dir, free_port

Serve = Callable[..., Served]


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory that does not exist yet, in a folder of its own."""
    path = data_dir()
    yield path
    shutil.rmtree(path.parent, ignore_errors=True)


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
def serve(data: Path) -> Iterator[Serve]:
    """Start runs on the test's data directory, each on a free port; all are ended after the test."""
    runs: list[Served] = []

    def start(*arguments: str, who: Runner | None = None, env: dict[str, str] | None = None) -> Served:
        who = who or Runner()
        if "--port" not in arguments:
            arguments = (*arguments, "--port", str(free_port()))
        run = Served(
            data, *arguments, python=who.python, env={**who.env, **(env or {})}, cwd=who.cwd, user=who.user
        )
        runs.append(run)
        return run

    yield start
    for run in runs:
        run.__exit__()
