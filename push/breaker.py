"""When to leave a provider alone: closed, open for a while, then one probe. No I/O, no clock: pass `now` in seconds."""

TRIP_AFTER = 10  # failures in a row; an in-flight window that is cut at once opens it, one bad push does not
FIRST_REST_S = 1.0
LONGEST_REST_S = 30.0
PAUSE_S = 60.0  # after "an operator must act": nothing changes by itself before


class Breaker:
    """Of one target. `room()` before, `ok()` or `failed()` after each attempt."""

    def __init__(self) -> None:
        self._failures = 0
        self._rest_s = FIRST_REST_S
        self._open_until = 0.0
        self._tripped = False

    @property
    def closed(self) -> bool:
        """True while pushes go out freely."""
        return not self._tripped

    def wait_s(self, now: float) -> float:
        """Return how long nothing may be sent."""
        return max(0.0, self._open_until - now) if self._tripped else 0.0

    def room(self, now: float, in_flight: int, limit: int) -> int:
        """Return how many pushes may start: all, none, or one that probes."""
        if not self._tripped:
            return max(0, limit - in_flight)
        return 1 if now >= self._open_until and in_flight == 0 else 0

    def ok(self) -> bool:
        """Note an answer of a healthy provider. Returns True if that closed the breaker."""
        self._failures = 0
        self._rest_s = FIRST_REST_S
        closed, self._tripped = self._tripped, False
        return closed

    def failed(self, now: float) -> bool:
        """Note that the provider is ill. Returns True if that opened the breaker, or kept it open after a probe."""
        self._failures += 1
        if self._tripped:
            if now < self._open_until:
                return False  # started before it opened
            self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)
        elif self._failures < TRIP_AFTER:
            return False
        self._tripped = True
        self._open_until = now + self._rest_s
        return True

    def pause(self, now: float, seconds: float = PAUSE_S) -> bool:
        """Open at once. Returns True if it was closed, or its rest was over."""
        news = now >= self._open_until
        self._tripped = True
        self._open_until = max(self._open_until, now + seconds)
        return news
