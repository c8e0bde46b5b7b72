"""CPU and memory of a server by kind of process, over a stretch of time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadtest.report.processes import Use
from loadtest.swarm.herd import CannotRun

KINDS = {  # first part of a process's name -> kind
    "api": "api", "gateway": "gateway", "postgres": "postgres", "valkey-server": "redis", "redis-server": "redis",
    "caddy": "balancer", "push": "push",
}  # fmt: skip
NEEDED = frozenset({"api", "gateway", "postgres", "redis"})


def kind_of(name: str) -> str:
    """Return the kind of a process by its name ("api-1": "api"); "" for what serves nobody."""
    return next((kind for start, kind in KINDS.items() if name == start or name.startswith(start + "-")), "")


@dataclass(frozen=True)
class Reading:
    """What was used in a stretch: used_us, CPU by kind. rest_us_s: the same a second, of a stretch without load. named:
    names of processes by kind."""

    wall_s: float
    used_us: Mapping[str, float]
    rest_us_s: Mapping[str, float]
    named: Mapping[str, frozenset[str]]

    def rates(self) -> Mapping[str, float]:
        """Return CPU µs a second by kind."""
        return {kind: used / self.wall_s for kind, used in self.used_us.items()}

    def cpu_us(self, kind: str) -> float:
        """Return the CPU of a kind beyond its rest; 0 if there is no such process."""
        return max(0.0, self.used_us.get(kind, 0.0) - self.wall_s * self.rest_us_s.get(kind, 0.0))

    def processes(self, kind: str) -> int:
        """Return how many processes of a kind have a number of their own, else 1 if there is any."""
        names = self.named.get(kind, frozenset())
        return sum(name[-1].isdigit() for name in names) or min(1, len(names))


class Meter:
    """look: returns what each process of the server has used so far, by name. Raises: CannotRun if it sees too few."""

    def __init__(self, look: Callable[[], Mapping[str, Use]]) -> None:
        self._look = look
        missing = NEEDED - {kind_of(name) for name in look()}
        if missing:
            raise CannotRun(
                f"no process of {', '.join(sorted(missing))} is seen: costs are measured beside a `tidewire serve` of"
                " this machine with its own databases (--data-dir)"
            )

    def during(self, work: Callable[[], None], rest_us_s: Mapping[str, float]) -> Reading:
        """Return what was used while `work` ran."""
        before, began = self._cpu(), time.monotonic()
        work()
        wall_s, after = time.monotonic() - began, self._cpu()
        used: dict[str, float] = {}
        named: dict[str, set[str]] = {}
        for process, cpu_s in after.items():
            kind = kind_of(process)
            used[kind] = used.get(kind, 0.0) + (cpu_s - before.get(process, 0.0)) * 1e6
            named.setdefault(kind, set()).add(process)
        names = {kind: frozenset(found) for kind, found in named.items()}
        return Reading(max(1e-6, wall_s), used, rest_us_s, names)

    def memory(self) -> dict[str, float]:
        """Return bytes by kind; "kernel": what the kernel holds in slabs, for sockets among others."""
        found: dict[str, float] = {"kernel": _slab_bytes()}
        for process, use in self._look().items():
            kind = kind_of(process)
            found[kind] = found.get(kind, 0.0) + use.memory_bytes
        return found

    def _cpu(self) -> dict[str, float]:
        return {process: use.cpu_s for process, use in self._look().items()}


def _slab_bytes() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return float(line.split()[1]) * 1024
    return 0.0
