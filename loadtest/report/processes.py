"""CPU and memory of processes of this machine, from /proc. Others' processes that may not be read are left out."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOCK = re.compile(r"/metrics/([a-z]+-[0-9]+)\.lock$")  # what a process of `serve` holds while it has that name
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def tree(pids: Iterable[int]) -> list[int]:
    """Return the processes and all their descendants."""
    found = list(pids)
    for pid in found:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except _GONE:  # it ended meanwhile
            continue
    return list(dict.fromkeys(found))


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time, user and system, of the living threads of these processes. Exact while they sleep."""
    spent_ns = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                spent_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        except _GONE:  # it ended meanwhile
            continue
    return spent_ns / 1e9


def memory_bytes(pid: int) -> int:
    """Return resident memory, what is shared with others counted by halves, thirds …; 0 if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except PermissionError:  # resident, then: what is shared counts for each
        try:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        except _GONE:
            return 0
    except _GONE:
        pass
    return 0


def descriptors(pid: int) -> int:
    """Return how many descriptors are open; 0 if it is gone, or may not be asked."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except _GONE:
        return 0


def command(pid: int) -> list[str]:
    """Return a command line; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except _GONE:
        return []


def name_of(pid: int) -> str:
    """Return what a reader calls a process: "api-1", "gateway-2", "postgres", "locust"; "" if it is gone."""
    words = command(pid)
    if not words or not words[0]:
        return ""
    if words[0].startswith("postgres:"):
        return "postgres"
    program = os.path.basename(words[0].split()[0])
    if "-m" in words:
        module, *rest = words[words.index("-m") + 1 :] or [program]
        if module == "tidewire":
            return _held_name(pid) or (rest[0] if rest else module)
        return "swarm" if module.startswith("loadtest.swarm") else module
    return program


def _held_name(pid: int) -> str:
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            found = _LOCK.search(os.readlink(entry.path))
            if found:
                return found[1]
    except _GONE:
        pass
    return ""


def serving(data_dir: Path) -> list[int]:
    """Return the first process of the `tidewire serve` that uses a data directory; none if nothing does."""
    try:
        pid = int((data_dir / "serve.lock").read_text().strip())
    except (OSError, ValueError):
        return []
    return [pid] if "tidewire" in command(pid) else []


def listening(ports: Iterable[int]) -> list[int]:
    """Return the processes that listen on these ports, as far as this account may know."""
    wanted = set(ports)
    try:
        sockets = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return []
    found = {one.pid for one in sockets if one.status == psutil.CONN_LISTEN and one.laddr.port in wanted and one.pid}
    return sorted(found)


@dataclass
class Use:
    """What the processes of one name have used since the watch began. memory_bytes, descriptors: now, most_bytes: at
    the highest look; pids: all there were."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    most_bytes: int = 0
    descriptors: int = 0
    pids: list[int] = field(default_factory=list)


class Watch:
    """The processes under some roots, by name; those that begin later too. What ends keeps its CPU time."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = list(roots)
        self._names: dict[int, str] = {}
        self._spent: dict[int, float] = {}
        self.uses: dict[str, Use] = {}
        for pid in tree(self._roots):  # what they used before is not ours
            self._spent[pid] = cpu_seconds([pid])

    def look(self) -> Mapping[str, Use]:
        """Return what each name has used until now. Cost: some 50 µs a process."""
        for use in self.uses.values():
            use.memory_bytes = use.descriptors = 0
        for pid in tree(self._roots):
            name = self._names.get(pid) or name_of(pid)
            if not name:
                continue
            use = self.uses.setdefault(name, Use())
            if pid not in self._names:
                self._names[pid] = name
                use.pids.append(pid)
            spent = cpu_seconds([pid])
            use.cpu_s += max(0.0, spent - self._spent.get(pid, 0.0))  # less: a thread ended
            self._spent[pid] = spent
            use.memory_bytes += memory_bytes(pid)
            use.descriptors += descriptors(pid)
        for use in self.uses.values():
            use.most_bytes = max(use.most_bytes, use.memory_bytes)
        return self.uses
