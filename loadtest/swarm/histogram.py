"""Durations in buckets: exact below 64 µs, then 32 for each doubling, so within 3.2 % of the truth up to 2^36 µs.

The buckets are those of reading.bucket_of(). Counts are never lost: what is larger falls into the last bucket.
"""

from collections.abc import Iterator

import msgspec

SHARES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}  # what reports show
_EXACT = 64


def middle_us(index: int) -> float:
    """Return the middle of a bucket."""
    if index < _EXACT:
        return float(index)
    shift = (index >> 5) - 1
    return float(((index - (shift << 5)) << shift) + ((1 << shift) - 1) / 2)


class Histogram(msgspec.Struct, array_like=True):
    """Durations. counts: bucket number -> durations in it. least_us, most_us: exact; 0 while there are none."""

    count: int = 0
    sum_us: int = 0
    least_us: int = 0
    most_us: int = 0
    counts: dict[int, int] = {}

    def merge(self, other: "Histogram") -> None:
        """Add what another one holds."""
        if not other.count:
            return
        self.least_us = min(self.least_us, other.least_us) if self.count else other.least_us
        self.most_us = max(self.most_us, other.most_us)
        self.count += other.count
        self.sum_us += other.sum_us
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count

    def take_out(self, index: int, us: int) -> None:
        """Remove one duration, of which the bucket is known, if it is in here."""
        if self.counts.get(index):
            self.counts[index] -= 1
            self.count -= 1
            self.sum_us -= us

    def percentile_ms(self, share: float) -> float:
        """Return the duration that this share of them (0 to 1) does not exceed; 0 of none."""
        wanted, seen = share * self.count, 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= wanted:
                return min(max(middle_us(index), self.least_us), self.most_us) / 1000
        return self.most_us / 1000

    def values_ms(self) -> Iterator[tuple[float, int]]:
        """Yield (ms, how often) for each bucket; the least and the most are kept within what was seen."""
        for index, count in self.counts.items():
            yield min(max(middle_us(index), self.least_us), self.most_us) / 1000, count

    def figures(self) -> dict[str, float]:
        """Return count and ms: mean, p50, p90, p99, p99.9, max."""
        figures = {"count": float(self.count)}
        if self.count:
            figures["mean_ms"] = self.sum_us / self.count / 1000
            figures |= {name: self.percentile_ms(share) for name, share in SHARES.items()}
            figures["max_ms"] = self.most_us / 1000
        return {name: round(value, 3) for name, value in figures.items()}
