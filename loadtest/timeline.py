"""What a run measured second by second: the one place that a report reads for anything over time.

A Suite fills it in the process that reports (the master, if there are workers), once a second while the load lasts.
Whoever has more to sample, such as the server's own counters, adds a `Source`. Knows nothing of targets and of pages.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtest.swarm.tally import Tally

if TYPE_CHECKING:
    from locust.stats import RequestStats  # at run time it would patch whoever imports this

PERIOD_S = 1.0

Source = Callable[[], Mapping[str, float]]  # figures of this moment by name; called once a second, must not block


@dataclass(frozen=True)
class Slice:
    """What one row did since the moment before. Percentiles in ms of the requests that have a time; 0 without any."""

    count: int
    failures: int
    p50_ms: float
    p99_ms: float
    most_ms: float


@dataclass
class Moment:
    """One look. at_s: since the load began. rows: by "TYPE name", those alone that moved. figures: of all sources, and
    users, sockets_open, events (of the swarm, since the moment before), swarm_cpu_s (so far)."""

    at_s: float
    rows: dict[str, Slice] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class Timeline:
    """All moments of a run. topology: what took part, by role: host, gateways, workers, and what sources add."""

    topology: dict[str, object] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    began: float = 0.0  # s since 1970
    _seen: dict[tuple[str, str], "_Seen"] = field(default_factory=dict)
    _events: int = 0

    def begin(self) -> None:
        """The load begins now: forget what was before, but for sources and topology."""
        self.moments, self._seen, self._events, self.began = [], {}, 0, time.time()

    def look(self, stats: "RequestStats", tally: Tally, users: int) -> Moment:
        """Add a moment: what changed since the one before."""
        moment = Moment(round(time.time() - self.began, 2))
        for (name, method), entry in list(stats.entries.items()):
            seen = self._seen.get((name, method))
            if seen is None or entry.num_requests < seen.count:  # statistics were reset
                seen = self._seen[name, method] = _Seen()
            part = seen.part(entry.num_requests, entry.num_failures, entry.response_times)
            if part.count or part.failures:
                moment.rows[f"{method} {name}"] = part
        events = tally.count("events")
        moment.figures = {
            "users": users, "sockets_open": tally.open, "events": events - self._events, "swarm_cpu_s": tally.cpu_s,
        }  # fmt: skip
        self._events = events
        for source in self.sources:
            moment.figures.update(source())
        self.moments.append(moment)
        return moment


@dataclass
class _Seen:
    """How far a row was at the moment before."""

    count: int = 0
    failures: int = 0
    times: dict[int, int] = field(default_factory=dict)

    def part(self, count: int, failures: int, times: Mapping[int, int]) -> Slice:
        """Return what came since, and remember where it is now."""
        fresh = {ms: had - self.times.get(ms, 0) for ms, had in times.items() if had > self.times.get(ms, 0)}
        part = Slice(
            count - self.count, failures - self.failures, percentile(fresh, 0.5), percentile(fresh, 0.99),
            float(max(fresh, default=0)),
        )  # fmt: skip
        self.count, self.failures, self.times = count, failures, dict(times)
        return part


def percentile(times: Mapping[int, int], share: float) -> float:
    """Return the duration that this share (0 to 1) of all does not exceed, of ms -> how often; 0 of none."""
    wanted, seen = share * sum(times.values()), 0
    for ms in sorted(times):
        seen += times[ms]
        if seen >= wanted:
            return float(ms)
    return 0.0
