"""What a swarm has done so far: its reports, added up."""

from dataclasses import dataclass, field
from typing import Any

from loadtest.swarm.histogram import Histogram
from loadtest.swarm.wire import Report


@dataclass
class Tally:
    """Sums of all reports. first_attempt, last_opened: s since 1970, of the last connect; 0: not yet."""

    counts: dict[str, int] = field(default_factory=dict)
    times: dict[str, Histogram] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    busiest_us: int = 0
    busiest_share: float = 0.0  # of a core, in the busiest second of a process
    bytes_per_connection: float = 0.0  # when most were open
    most_open: int = 0
    _last: dict[int, Report] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Add a report."""
        self._last[report.pid] = report
        for name, count in report.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        for name, histogram in report.times.items():
            self.times.setdefault(name, Histogram()).merge(histogram)
        for name, count in report.errors.items():
            self.errors[name] = self.errors.get(name, 0) + count
        self.cpu_s += report.cpu_s
        self.busiest_us = max(self.busiest_us, report.busiest_us)
        if report.wall_s > 0.5:
            self.busiest_share = max(self.busiest_share, report.cpu_s / report.wall_s)
        if self.open and self.open >= self.most_open:
            self.most_open = self.open
            grown = sum(last.rss_bytes - last.base_bytes for last in self._last.values())
            self.bytes_per_connection = max(0.0, grown / self.open)

    @property
    def open(self) -> int:
        """Clients that are logged in."""
        return sum(report.open for report in self._last.values())

    @property
    def connecting(self) -> int:
        """Attempts that wait or are under way."""
        return sum(report.connecting for report in self._last.values())

    @property
    def first_attempt(self) -> float:
        """When the last connect began."""
        return min((report.first_attempt for report in self._last.values() if report.first_attempt), default=0.0)

    @property
    def last_opened(self) -> float:
        """When the last client of the last connect was logged in."""
        return max((report.last_opened for report in self._last.values()), default=0.0)

    def count(self, name: str) -> int:
        """Return a count; 0 if there was nothing."""
        return self.counts.get(name, 0)

    def us_per_frame(self) -> float:
        """Return the CPU µs of the swarm for each text frame, everything else that it did included."""
        return self.cpu_s * 1e6 / max(1, self.count("frames"))

    def figures(self) -> dict[str, Any]:
        """Return all of it for a report in JSON."""
        return {
            "open": self.open,
            "most_open": self.most_open,
            "counts": dict(sorted(self.counts.items())),
            "times": {name: one.figures() for name, one in sorted(self.times.items()) if one.count},
            "errors": dict(sorted(self.errors.items())),
            "processes": len(self._last),
            "cpu_s": round(self.cpu_s, 3),
            "cpu_us_per_frame": round(self.us_per_frame(), 3),
            "busiest_share_of_a_core": round(self.busiest_share, 3),
            "busiest_turn_ms": round(self.busiest_us / 1000, 1),
            "bytes_per_connection": round(self.bytes_per_connection),
        }
