"""How many requests per second one may send, where RateLimitSettings say so: per user, per address for strangers.

GCRA: one number per caller says when his allowance is whole again. Each worker counts for itself. Failed logins have a
limit of their own, shared by all nodes (tidewire.actions.login_limits).
"""

import math
import time
from collections import OrderedDict
from typing import NamedTuple

from api.call import Call
from tidewire.wire.errors import AppError


class Verdict(NamedTuple):
    """remaining: requests that may follow at once; reset_s: until the allowance is whole; wait_s: 0 if let through."""

    remaining: int
    reset_s: float
    wait_s: float


class Gcra:
    """Allowances of callers, the least recently seen of too many forgotten."""

    def __init__(self) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float, *, per_s: int, burst: int, size: int) -> Verdict:
        """Take one request of a caller. per_s: in the long run; burst: at once besides; size: callers to remember."""
        interval = 1 / per_s
        tolerance = interval * burst
        full_at = max(self._full_at.pop(key, now), now)
        allowed = full_at - now <= tolerance
        if allowed:
            full_at += interval
        self._full_at[key] = full_at
        while len(self._full_at) > size:
            self._full_at.popitem(last=False)
        ahead = full_at - now
        remaining = max(0, int((tolerance + interval - ahead) / interval + 1e-9))
        return Verdict(remaining, ahead, 0.0 if allowed else ahead - tolerance)


class Rates:
    """The limiter of one worker."""

    def __init__(self) -> None:
        self._gcra = Gcra()

    def check(self, call: Call) -> None:
        """Count a request, say in headers what is left. Raises: 429.

        Source: Mattermost API v4, X-RateLimit-Limit, -Remaining, -Reset (seconds) and Retry-After.
        """
        config = call.services.config
        if not config.flag("RateLimitSettings.Enable"):
            return
        key = self._key(call)
        if not key:
            return
        burst = config.number("RateLimitSettings.MaxBurst")
        verdict = self._gcra.take(
            key,
            time.monotonic(),
            per_s=config.number("RateLimitSettings.PerSec"),
            burst=burst,
            size=config.number("RateLimitSettings.MemoryStoreSize"),
        )
        call.set_header("X-RateLimit-Limit", str(burst + 1))
        call.set_header("X-RateLimit-Remaining", str(verdict.remaining))
        call.set_header("X-RateLimit-Reset", str(math.ceil(verdict.reset_s)))
        if verdict.wait_s:
            raise AppError("api.context.rate_limit.app_error", 429, "limit exceeded")

    def _key(self, call: Call) -> str:
        """Return whose allowance it is: a user's, never that of an address that many users share."""
        if call.session is not None:
            return "u:" + call.session.user_id
        config = call.services.config
        if name := config.text("RateLimitSettings.VaryByHeader"):
            return f"h:{call.address}:{call.header(name)[:100]}"
        return "a:" + call.address if config.flag("RateLimitSettings.VaryByRemoteAddr") else ""
