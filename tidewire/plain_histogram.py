"""A histogram in plain numbers, for hot paths; prometheus reads it when it is asked.

One of prometheus_client, and a counter beside it, take a lock each: 4 to 6 µs for what is less than one here.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily


class PlainHistogram:
    """Counts by upper bounds, and the sum of what was observed."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many were observed."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def add(self, other: "PlainHistogram") -> None:
        """Count what the other has counted, too."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def show(self, family: HistogramMetricFamily, labels: Iterable[str] = ()) -> None:
        """Add to a family of metrics."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        buckets = list(zip(names, map(float, accumulate(self.counts)), strict=True))
        family.add_metric(list(labels), buckets, self.sum)
