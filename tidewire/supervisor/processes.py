"""The kernel's process table: strays that fell to us, leftovers of an earlier run.

Does nothing where /proc is absent.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Container, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(parent: int) -> Iterator[int]:
    """Yield the direct children of a process, zombies too."""
    for entry in _table():
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # it ended while we read
        # proc(5): pid (name) state ppid …; the name may hold anything, so look behind its last bracket.
        if int(stat.rpartition(")")[2].split()[1]) == parent:
            yield int(entry.name)


def end_strays(known: Container[int], patience_s: float) -> int:
    """Kill and reap our direct children that are not in `known`: orphans of children that died.

    Return how many are left after the time: those that the kernel holds, and that end as soon as it lets them.
    """
    me, deadline = os.getpid(), time.monotonic() + patience_s
    while strays := [pid for pid in children(me) if pid not in known]:
        if time.monotonic() > deadline:
            return len(strays)
        for pid in strays:
            _kill(pid, signal.SIGKILL)
        for pid in strays:
            with contextlib.suppress(ChildProcessError):  # another waiter of this process was quicker
                while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
                    time.sleep(0.001)
    return 0


def end_leftovers(folder: Path, names: Container[str], patience_s: float = 4.0) -> list[int]:
    """Stop programs of these names that work in a folder which only we may use; return their pids.

    They are left when a whole earlier run was killed at once. SIGINT first: PostgreSQL then shuts down cleanly.
    """
    found = [pid for pid in _working_in(folder, names) if pid != os.getpid()]
    for pid in found:
        _kill(pid, signal.SIGINT)
    deadline = time.monotonic() + patience_s
    while left := [pid for pid in _working_in(folder, names) if pid != os.getpid()]:
        if time.monotonic() > deadline:
            for pid in left:
                _kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return found


def descriptors(pid: int) -> int:
    """Return how many files and sockets a process has open; 0 if it is gone or /proc is absent."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _working_in(folder: Path, names: Container[str]) -> Iterator[int]:
    for entry in _table():
        try:
            if (entry / "comm").read_text().strip() in names and Path(os.readlink(entry / "cwd")) == folder:
                yield int(entry.name)
        except OSError:
            continue  # it ended, or belongs to somebody else


def _table() -> Iterator[Path]:
    proc = Path("/proc")
    return (entry for entry in proc.iterdir() if entry.name.isdigit()) if proc.is_dir() else iter(())


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
