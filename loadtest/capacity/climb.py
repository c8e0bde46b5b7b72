"""One run of a suite after the other, with more users each, until a target breaks; then between held and broken."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadtest.capacity.search import Search
from loadtest.report.document import paths
from loadtest.runner import BROKEN, Run, Stop, run_locust
from loadtest.swarm.herd import CannotRun

_MET, _MISSED = 0, 3
_FULL = 0.85  # of a core: a generator that uses more may be what broke
_REST_S = 2.0  # between two steps: sockets close, queues drain


@dataclass(frozen=True)
class Step:
    """What came of a number of users. broke: targets missed, with what was found. why: it broke off, or did not begin.
    found: its report."""

    users: int
    status: int
    broke: tuple[str, ...]
    why: str
    folder: str
    found: Mapping[str, Any]

    @property
    def held(self) -> bool:
        """Tell whether all targets were met."""
        return self.status == _MET

    @property
    def full(self) -> tuple[str, ...]:
        """Return who of the load generator was near a full core on average, so that it may have measured itself."""
        took_s = max(1e-9, self.found.get("took_s", 0.0))
        shares = {
            one["name"]: one["cpu_s"] / took_s / max(1, len(one["pids"]))
            for one in self.found.get("load", ())
        }
        return tuple(f"{name} used {share:.0%} of a core" for name, share in shares.items() if share > _FULL)

    def line(self) -> str:
        """Return it for people, in one line."""
        if self.held:
            return f"{self.users:,} users: all {len(self.found['targets'])} targets held"
        return (
            f"{self.users:,} users: {'; '.join([*self.broke, *([self.why] if self.why else []), *self.full])}"
        )


@dataclass
class Climb:
    """The steps so far. ended: why there are no more, for people."""

    search: Search
    steps: list[Step] = field(default_factory=list)
    ended: str = ""

    @property
    def largest_held(self) -> int:
        """The largest number of users that kept all targets; 0: none."""
        return self.search.held


def climb(
    run: Run,
    search: Search,
    folder: Path,
    stop: Stop,
    say: Callable[[str], None],
    save: Callable[[Climb], None],
) -> Climb:
    """Run until the search is over or somebody stops it. run: with tokens; save: called after each step.

    Raises: CannotRun if the first step does not begin.
    """
    found = Climb(search)
    while users := search.next():
        say(f"{users:,} users …")
        step = _run(run, users, folder / f"{len(found.steps) + 1:02}-{users}", stop)
        if stop.asked:
            found.ended = f"stopped while {users:,} users were tried; that step does not count"
            break
        if step.status not in (_MET, _MISSED, BROKEN):
            if not found.steps:
                raise CannotRun(step.why)
            found.ended = f"{users:,} users could not begin: {step.why}"
            break
        found.steps.append(step)
        search.note(users, step.held)
        say(step.line())
        save(found)
        if search.next():
            time.sleep(_REST_S)
    if not found.ended:
        held_all = search.held >= search.most
        found.ended = f"{search.most:,} users, the most that were to be tried, held" if held_all else "found"
    save(found)
    return found


def _run(run: Run, users: int, folder: Path, stop: Stop) -> Step:
    folder.mkdir(parents=True, exist_ok=True)
    status = run_locust(replace(run, users=users, report=folder), run.tokens, stop, folder / "locust.log")
    data, page = paths(folder)
    try:
        found = json.loads(data.read_text())
    except (OSError, ValueError):
        found = {}
    broke = tuple(f"{one['what']} {_figure(one['found'])}, wanted {one['limit']}" for one in found.get("targets", ())
                  if not one["met"])  # fmt: skip
    why = found.get("broken", "") if found else _last_line(folder / "locust.log")
    return Step(users, status, broke, why, page.relative_to(folder.parent).as_posix(), found)


def _figure(found: float | None) -> str:
    if found is None:
        return "was not measured"
    return f"was {found:,.0f}" if found >= 1000 else f"was {found:.4g}"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("loadtest: ") if lines else "no word of why"
