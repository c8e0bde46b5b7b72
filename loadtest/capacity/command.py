"""`tidewire loadtest capacity`: seeds once, climbs, says how far it is and what it found."""

import sys
from collections.abc import Callable
from pathlib import Path

from loadtest.capacity.climb import Climb, climb
from loadtest.capacity.result import save
from loadtest.capacity.search import Search
from loadtest.runner import Run, Stop, suite_of, tokens_for, where
from loadtest.seed import Plan
from loadtest.swarm.herd import CannotRun

NOTHING_HELD, EARLY = 3, 4


def find_capacity(run: Run, data_dir: Path, search: Search, seed: Callable[[Plan, Path], None]) -> int:
    """Find it, print it, and return the exit status. run.report: the folder. Raises: CannotRun."""
    suite_of(run.suite)
    assert run.report is not None
    folder = run.report
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRun(f"{folder}: {error.strerror}") from error
    run = where(run, data_dir)
    with tokens_for(run, seed, search.most) as tokens, Stop() as stop:
        run = Run(**{**vars(run), "tokens": tokens})
        found = climb(run, search, folder, stop, _say, lambda so_far: _save(folder, run, so_far))
    _say(_summary(found))
    _say(f"report: {folder / 'capacity.html'}")
    if found.ended != "found" and found.largest_held < search.most:
        return EARLY
    return 0 if found.largest_held else NOTHING_HELD


def _save(folder: Path, run: Run, found: Climb) -> None:
    try:
        save(folder, run.suite, run.host, found)
    except OSError as error:
        raise CannotRun(f"{error.filename}: {error.strerror}") from error


def _summary(found: Climb) -> str:
    held = f"{found.largest_held:,} users held" if found.largest_held else "no number of users held"
    broke = next((step for step in found.steps if step.users == found.search.broke), None)
    said = [held, *([f"broke at {broke.line()}"] if broke else [])]
    return "; ".join([*said, *([found.ended] if found.ended != "found" else [])])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
