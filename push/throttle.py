"""How often one caller may ask: a token bucket each, the least recently seen forgotten. No I/O, no clock."""

from collections import OrderedDict
from typing import NamedTuple


class Allowance(NamedTuple):
    """remaining: requests that may follow at once; reset_s: until the bucket is full; wait_s: 0 if let through."""

    remaining: int
    reset_s: float
    wait_s: float


class Throttle:
    """per_s: in the long run; burst: at once besides the first; callers: most that are remembered."""

    def __init__(self, per_s: int, burst: int, callers: int) -> None:
        self.limit = burst + 1
        self._per_s, self._callers = per_s, callers
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, now: float) -> Allowance:
        """Take one request out of the caller's bucket. now: seconds."""
        interval = 1 / self._per_s
        room_s = interval * self.limit
        full_at = max(self._full_at.pop(caller, now), now)
        wait_s = max(0.0, full_at + interval - now - room_s)
        if wait_s < 1e-9:
            full_at, wait_s = full_at + interval, 0.0
        self._full_at[caller] = full_at
        if len(self._full_at) > self._callers:
            self._full_at.popitem(last=False)
        ahead_s = full_at - now
        return Allowance(max(0, int((room_s - ahead_s) / interval + 1e-6)), ahead_s, wait_s)
