"""What a run looked like second by second."""

from collections import Counter
from typing import Any

from loadtest.swarm.tally import Tally
from loadtest.timeline import Slice, Timeline, percentile


class Entry:
    """A row as Locust keeps it."""

    def __init__(self) -> None:
        self.num_requests = self.num_failures = 0
        self.response_times: Counter[int] = Counter()


class Stats:
    """Locust's statistics, as much of them as is read."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}

    def log(self, method: str, name: str, ms: int, *, failed: bool = False) -> None:
        entry = self.entries.setdefault((name, method), Entry())
        entry.num_requests += 1
        entry.num_failures += failed
        entry.response_times[ms] += 1


def test_each_moment_has_what_came_since_the_one_before():
    stats: Any = Stats()
    timeline, tally = Timeline(), Tally()
    timeline.sources.append(lambda: {"lag_ms": 7})
    timeline.begin()
    for ms in (10, 20, 30):
        stats.log("GET", "/a", ms)
    first = timeline.look(stats, tally, users=4)
    assert first.rows == {"GET /a": Slice(3, 0, 20, 30, 30)}
    assert first.figures == {"users": 4, "sockets_open": 0, "events": 0, "swarm_cpu_s": 0, "lag_ms": 7}
    stats.log("GET", "/a", 10)
    stats.log("POST", "/b", 5, failed=True)
    tally.counts["events"] = 9
    second = timeline.look(stats, tally, users=4)
    assert second.rows == {"GET /a": Slice(1, 0, 10, 10, 10), "POST /b": Slice(1, 1, 5, 5, 5)}
    assert second.figures["events"] == 9
    assert timeline.look(stats, tally, users=4).rows == {}
    assert len(timeline.moments) == 3
    stats.entries.clear()
    stats.log("GET", "/a", 50)
    assert timeline.look(stats, tally, users=4).rows == {"GET /a": Slice(1, 0, 50, 50, 50)}
    timeline.begin()
    assert timeline.moments == []


def test_percentiles_of_few_and_of_none():
    assert percentile({}, 0.99) == 0
    assert [percentile({1: 98, 5: 1, 9: 1}, share) for share in (0.5, 0.98, 0.99, 1)] == [1, 1, 5, 9]
