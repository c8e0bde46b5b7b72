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
# Ten minutes second by second; then two moments become one, again and again, so that hours fit into a report.
MOST_MOMENTS = 600

Source = Callable[[], Mapping[str, float]]  # figures of this moment by name; called once a second, must not block


@dataclass(frozen=True)
class Slice:
    """What one row did since the moment before. Percentiles in ms of the requests that have a time; 0 without any."""

    count: int
    failures: int
    p50_ms: float
    p99_ms: float
    most_ms: float

    def plus(self, later: "Slice") -> "Slice":
        """Return both as one, with the larger percentiles: what was slow for a while stays to be seen."""
        return Slice(
            self.count + later.count, self.failures + later.failures, max(self.p50_ms, later.p50_ms),
            max(self.p99_ms, later.p99_ms), max(self.most_ms, later.most_ms),
        )  # fmt: skip


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
    most_moments: int = MOST_MOMENTS
    _together: int = 1  # looks that a moment holds
    _looks: int = 0  # that the last moment holds
    _seen: dict[tuple[str, str], "_Seen"] = field(default_factory=dict)
    _events: int = 0

    def begin(self) -> None:
        """The load begins now: forget what was before, but for sources and topology."""
        self.moments, self._seen, self._events, self.began = [], {}, 0, time.time()
        self._together, self._looks = 1, 0

    def look(self, stats: "RequestStats", tally: Tally, users: int, *, last: bool = False) -> Moment:
        """Add a moment: what changed since the one before. last: it comes soon after that one, and joins it."""
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
        self._keep(moment, last)
        return moment

    def _keep(self, moment: Moment, last: bool) -> None:
        if self.moments and (last or self._looks < self._together):
            self.moments[-1] = merged(self.moments[-1], moment)
            self._looks += 1
        else:
            self.moments.append(moment)
            self._looks = 1
        if len(self.moments) > self.most_moments and self._looks == self._together:
            pairs = [self.moments[at : at + 2] for at in range(0, len(self.moments), 2)]
            self.moments = [merged(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
            self._looks = self._together * len(pairs[-1])
            self._together *= 2


def merged(early: Moment, late: Moment) -> Moment:
    """Return two moments as one: counts add up, of everything else the larger is kept, and the later time."""
    rows = dict(early.rows)
    for name, part in late.rows.items():
        rows[name] = rows[name].plus(part) if name in rows else part
    figures = {name: max(value, early.figures.get(name, value)) for name, value in late.figures.items()}
    figures = early.figures | figures | {"events": early.figures.get("events", 0) + late.figures.get("events", 0)}
    return Moment(late.at_s, rows, figures)


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
