"""Every test in three stages: what `make test` runs.

    python -m tests.stages [PYTEST ARGUMENTS]

twins     the hot path's tests and the protocol's with HOTPATH=python, several processes at once
together  all tests but the next, several processes at once: most of the suite waits
alone     one test at a time: what is marked `alone`, because other tests would change what it measures

All three run, whatever became of the one before, and what failed is said once more at the end. A stage in which nothing
was left to run is a failure, unless arguments asked for less: then one stage with a test is enough.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# One more than there are processors: two processes left a third of two processors idle. Each has databases of its own.
WORKERS = min(8, (os.cpu_count() or 1) + 1)
# A file's tests stay in one process, because they share its world; what takes longest is ordered first (conftest.py).
MANY = ["-n", str(WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"]
STAGES: dict[str, tuple[dict[str, str], list[str]]] = {
    "twins": ({"HOTPATH": "python"}, [*MANY, "tests/unit/hotpath", "tests/protocol"]),
    "together": ({}, [*MANY, "--stage", "together", "tests"]),
    "alone": ({}, ["--stage", "alone", "tests"]),
}


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a stage and return pytest's exit status."""
    environment, own = STAGES[name]
    command = [sys.executable, "-m", "pytest", "-q", *own, *arguments]
    print(f"--- {name}:", *(f"{key}={value}" for key, value in environment.items()), *command[1:], flush=True)
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode


def verdict(statuses: dict[str, int], *, chosen: bool) -> list[str]:
    """Return what is wrong, in words. statuses: pytest's, by stage; chosen: arguments chose among the tests."""
    nothing = [name for name, status in statuses.items() if status == pytest.ExitCode.NO_TESTS_COLLECTED]
    wrong = [f"{name} failed ({status})" for name, status in statuses.items() if status and name not in nothing]
    if nothing and (not chosen or len(nothing) == len(statuses)):
        wrong += [f"{name} ran no test" for name in nothing]
    return wrong


def main(arguments: Sequence[str]) -> int:
    # What a shell starts in the background ignores it, and so would everything that tests stop by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    statuses, took = {}, []
    for name in STAGES:
        start = time.monotonic()
        statuses[name] = run(name, arguments)
        took.append(f"{name} {time.monotonic() - start:.0f} s")
    wrong = verdict(statuses, chosen=bool(arguments))
    print(f"--- {', '.join(took)}: {'; '.join(wrong) or 'all passed'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
