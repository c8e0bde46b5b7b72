"""What is measured beside Locust's rows while a run lasts: processes of server and load, and the server's /metrics.

A source of the timeline, in the process that reports. Names of its figures, "NAME OF WHOM": server_cpu_s and
load_cpu_s (so far), server_memory_mib and load_memory_mib, server_descriptors and load_descriptors, lag_ms, queue,
server_sockets.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent

from loadtest.local import is_local
from loadtest.report.processes import Use, Watch, command, listening, serving
from loadtest.report.scrape import COUNTERS, CPU, LAG, MEMORY, QUEUES, SOCKETS, Scraped, scrape

# A scrape of `serve` costs it 10 ms of CPU, and each gateway's loop 1.5 ms.
_SCRAPE_S = 2.0
_MIB = 1 << 20


class Server:
    """A server under load, and what makes the load. urls: of metrics. data_dir: of a local `serve`, "" if unknown."""

    def __init__(
        self, host: str = "", gateways: Iterable[str] = (), urls: Sequence[str] = (), data_dir: str = ""
    ) -> None:
        self._urls = tuple(urls)
        self._server = Watch(server_roots(host, gateways, urls, data_dir))
        self._load = Watch([os.getpid()] if host else [])
        self._silent: set[str] = set()
        self._first = self._last = scrape(self._urls)
        self._fresh = Scraped({}, ())  # lag and queues of before the run are not the run's
        self._scraper = gevent.spawn(self._scrape) if self._urls else None

    def figures(self) -> Mapping[str, float]:
        """Return the figures of this moment; those of /metrics only if they are new."""
        found: dict[str, float] = {}
        for side, uses in (("load", self._load.look()), ("server", self._server.look())):
            for name, use in uses.items():
                found[f"{side}_cpu_s {name}"] = round(use.cpu_s, 4)
                found[f"{side}_memory_mib {name}"] = round(use.memory_bytes / _MIB, 1)
                found[f"{side}_descriptors {name}"] = use.descriptors
        fresh, self._fresh = self._fresh, Scraped({}, ())
        for metric, (_, factor) in LAG.items():
            for process, value in fresh.of(metric).items():
                found[f"lag_ms {process}"] = round(value * factor, 3)
        for metric, title in QUEUES.items():
            if (total := fresh.total(metric)) is not None:
                found[f"queue {title}"] = total
        for process, value in fresh.of(SOCKETS).items():
            found[f"server_sockets {process}"] = value
        if not self._server.uses:  # /proc knows better
            for process, use in self._scraped_uses(fresh).items():
                found[f"server_cpu_s {process}"] = round(use.cpu_s, 4)
                found[f"server_memory_mib {process}"] = round(use.memory_bytes / _MIB, 1)
        return found

    def look(self) -> Mapping[str, Use]:
        """Return what each process has used until now, by name; nothing of a server elsewhere."""
        return self._server.look()

    def stop(self) -> None:
        """Ask for metrics no more, after a last time."""
        if self._scraper is not None:
            self._scraper.kill()
            self._scraper = None
            self._ask()

    def topology(self) -> dict[str, Any]:
        """Return which processes took part, by name, and where metrics came from."""
        return {
            "metrics": list(self._urls),
            "metrics_silent": sorted(self._silent),
            "server_processes": {name: use.pids for name, use in sorted(self._server.uses.items())},
            "load_processes": {name: use.pids for name, use in sorted(self._load.uses.items())},
        }

    def counters(self) -> dict[str, float]:
        """Return how much the server's counters grew between the first and the last look at /metrics."""
        grown = {}
        for name in COUNTERS:
            first, last = self._first.of(name), self._last.of(name)
            if last:
                grown[name] = sum(_grown(first.get(process, 0.0), value) for process, value in last.items())
        return grown

    def usage(self) -> dict[str, Any]:
        """Return what each process of the server used, and where that is known from; "" if it is not."""
        if self._server.uses:
            return {"source": "/proc", "processes": _listed(self._server.uses)}
        uses = self._scraped_uses(self._last)
        return {"source": "/metrics" if uses else "", "processes": _listed(uses)}

    def load_usage(self) -> list[dict[str, Any]]:
        """Return what each process that makes the load used."""
        return _listed(self._load.uses)

    def _scraped_uses(self, scraped: Scraped) -> dict[str, Use]:
        first, memory = self._first.of(CPU), scraped.of(MEMORY)
        return {
            name: _use(value - first.get(name, 0.0), memory.get(name, 0.0))
            for name, value in scraped.of(CPU).items()
        }

    def _scrape(self) -> None:
        while True:
            gevent.sleep(_SCRAPE_S)
            self._ask()

    def _ask(self) -> None:
        scraped = scrape(self._urls)
        self._silent |= set(scraped.silent)
        if scraped.found:
            self._last = self._fresh = scraped


def _grown(first: float, last: float) -> float:
    """Return how much a counter grew; one that has less began anew meanwhile, from 0."""
    return last - first if last >= first else last


def _use(cpu_s: float, memory_bytes: float) -> Use:
    return Use(max(0.0, cpu_s), round(memory_bytes), round(memory_bytes))


def _listed(uses: Mapping[str, Use]) -> list[dict[str, Any]]:
    return [
        {"name": name, "pids": use.pids, "cpu_s": round(use.cpu_s, 3), "memory_mib": round(use.most_bytes / _MIB, 1)}
        for name, use in sorted(uses.items())
    ]


def server_roots(host: str, gateways: Iterable[str], urls: Iterable[str], data_dir: str) -> list[int]:
    """Return the processes under which a local server runs: `serve` of a data directory, else who listens there."""
    if not is_local(host):
        return []
    found = serving(Path(data_dir).expanduser()) if data_dir else []
    if not found:
        addresses = [urlsplit(host), *(urlsplit(f"//{one}") for one in gateways), *map(urlsplit, urls)]
        found = listening(address.port or 80 for address in addresses if is_local(f"//{address.netloc}"))
    return [pid for pid in found if pid != os.getpid() and command(pid)]
