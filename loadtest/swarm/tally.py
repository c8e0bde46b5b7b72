"""What a swarm has done so far: its reports, added up."""

from dataclasses import dataclass, field
from typing import Any

from loadtest.swarm.histogram import Histogram
from loadtest.swarm.wire import Report


@dataclass
class Connect:
    """What came of one connect command, in all processes. Moments in s since 1970; 0: not yet."""

    fresh: int = 0
    resumed: int = 0
    anew: int = 0
    first_attempt: float = 0.0
    last_opened: float = 0.0
    times: Histogram = field(default_factory=Histogram)  # of all log-ins

    @property
    def opened(self) -> int:
        """Log-ins."""
        return self.fresh + self.resumed + self.anew

    @property
    def took_s(self) -> float:
        """Return how long it was from the first attempt to the last log-in; 0 if there was none."""
        return max(0.0, self.last_opened - self.first_attempt) if self.opened else 0.0

    def figures(self) -> dict[str, Any]:
        """Return all of it for a report in JSON."""
        ways = {"fresh": self.fresh, "resumed": self.resumed, "anew": self.anew}
        return ways | {"took_s": round(self.took_s, 3), "log_in": self.times.figures()}

    def add(self, report: Report) -> None:
        """Add a report with its label."""
        for way in ("fresh", "resumed", "anew"):
            setattr(self, way, getattr(self, way) + report.counts.get(way, 0))
            if way in report.times:
                self.times.merge(report.times[way])
        if report.first_attempt:
            self.first_attempt = min(self.first_attempt or report.first_attempt, report.first_attempt)
        self.last_opened = max(self.last_opened, report.last_opened)


@dataclass
class Tally:
    """Sums of all reports. connects: by their labels."""

    counts: dict[str, int] = field(default_factory=dict)
    times: dict[str, Histogram] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    busiest_us: int = 0
    busiest_share: float = 0.0  # of a core, in the busiest second of a process
    bytes_per_connection: float = 0.0  # when most were open
    most_open: int = 0
    connects: dict[str, Connect] = field(default_factory=dict)
    _last: dict[tuple[str, int], Report] = field(default_factory=dict)

    def add(self, report: Report, source: str = "") -> None:
        """Add a report. source: the machine or worker it is from, if there are several."""
        self._last[source, report.pid] = report
        if report.label:
            self.connects.setdefault(report.label, Connect()).add(report)
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

    def labelled(self, label: str) -> bool:
        """Tell whether every process has begun the connect with this label."""
        return bool(self._last) and all(report.label == label for report in self._last.values())

    def connect(self, label: str) -> Connect:
        """Return what came of a connect; nothing, if it has not begun."""
        return self.connects.get(label, Connect())

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
            "connects": {label: one.figures() for label, one in self.connects.items()},
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
