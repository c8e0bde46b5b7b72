"""The machine under a measurement: what it is, whose CPU time is whose, and whether others were quiet meanwhile.

Reads /proc; knows nothing of what is measured.
"""

import os
import platform
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loadtest.report.processes import cpu_seconds, tree

__all__ = [
    "QUIET_BELOW", "ROOT", "Watch", "Window", "conditions", "cpu_seconds", "pin", "pss_kib", "rss_kib", "tree",
    "user_seconds",
]  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
# Other processes' share of one core. Above it, caches and cores were not ours: in trials the same C program then cost
# up to half as much again.
QUIET_BELOW = 0.10


def conditions() -> list[str]:
    """Return lines that say on what, with which revision and under which load this ran."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    quick = (
        "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")) or sys.base_prefix == "/usr"
    )
    python = platform.python_version() + ("" if quick else " compiled without optimizations")
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        f"machine   {cpu}, {os.cpu_count()} cores, Linux {platform.release()}, Python {python}",
        f"revision  {_git('rev-parse', '--short', 'HEAD')}{'+' if _git('status', '--porcelain', '-uno') else ''}",
        f"time      {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, load average {load}",
    ]


def pin(pid: int, cores: Sequence[int]) -> None:
    """Bind every thread of a process to cores, unless it has ended meanwhile, as PostgreSQL's short ones do."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(task), cores)


def user_seconds(pid: int) -> float:
    """Return the CPU time that a process spent outside the kernel, in steps of a clock tick."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11]) / TICKS


def rss_kib(pids: Iterable[int | Literal["self"]]) -> int:
    """Return the resident memory of these processes in KiB, what they share counted for each."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def pss_kib(pids: Iterable[int]) -> int:
    """Return the resident memory of these processes in KiB, each page that they share counted once in all."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def busy_seconds() -> float:
    """Return the CPU time that all cores did not idle since the boot, with what the host took from us (steal)."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


@dataclass(frozen=True)
class Window:
    """A stretch of time. cpu_s: of the process measured; others: CPU of strangers, as a share of one core."""

    wall_s: float
    cpu_s: float
    others: float

    @property
    def quiet(self) -> bool:
        """Tell whether the measurement counts."""
        return self.others < QUIET_BELOW


class Watch:
    """Measures the CPU of one process, or of several together, and of strangers, from `start` to `stop`.

    ours: processes that belong to the measurement, the measured one included, and their children, those that begin
    meanwhile too.
    """

    def __init__(self, measured: int | Sequence[int], ours: Iterable[int]) -> None:
        roots = [measured] if isinstance(measured, int) else measured
        self._measured = tree(roots)
        self._roots = [*roots, *ours, os.getpid()]
        self._ours = tree(self._roots)
        self._start = (time.monotonic(), cpu_seconds(self._measured), cpu_seconds(self._ours), busy_seconds())

    def stop(self) -> Window:
        """Return what happened since the start."""
        wall = time.monotonic() - self._start[0]
        ours = dict.fromkeys([*self._ours, *tree(self._roots)])
        others = busy_seconds() - self._start[3] - (cpu_seconds(ours) - self._start[2])
        return Window(wall, cpu_seconds(self._measured) - self._start[1], max(0.0, others / wall))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT, check=False)
    return done.stdout.strip()
