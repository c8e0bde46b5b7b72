"""How long events take from the bus to the sockets. Plain integers; no metrics library, no I/O."""

from collections.abc import Callable
from itertools import accumulate

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Latency:
    """A histogram of batches: from when Redis took a batch's oldest event until no socket that reads waits for it.

    Redis takes an event right after its commit; its clock is the host's that it runs on, in ms. now_ms: ours.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._begun_ms: int | None = None  # the oldest event that is not flushed yet
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_ms = 0

    def begin(self, published_ms: int) -> None:
        """Take note that a batch is queued, whose oldest event was published then."""
        if self._begun_ms is None:
            self._begun_ms = published_ms

    def flushed(self) -> None:
        """Take note that nothing waits any more but for sockets that do not read."""
        if self._begun_ms is None:
            return
        took_ms = max(0, self._now_ms() - self._begun_ms)  # two hosts' clocks may differ
        self._begun_ms = None
        self.sum_ms += took_ms
        place = sum(took_ms > bound for bound in BOUNDS_MS)
        self._counts[place] += 1

    def buckets(self) -> list[tuple[str, float]]:
        """Return the histogram as Prometheus has it: upper bounds in seconds, counts of all below."""
        names = [f"{bound / 1000:g}" for bound in BOUNDS_MS]
        return list(zip([*names, "+Inf"], accumulate(self._counts), strict=True))
