"""Failed logins per address and account name, over all nodes: in Redis, in each process while Redis is down.

Counts failures only, so that many people behind one address are no problem. HTTP logins and WebSocket challenges
share it; `take` counts other things in the same way.
"""

import time
from typing import TYPE_CHECKING

from tidewire.wire.errors import AppError, Unavailable

if TYPE_CHECKING:
    from tidewire.bus.redis_client import RedisClient
    from tidewire.settings.tree import Limits

ADDRESS_WINDOW_S = 60  # the setting's unit: logins_per_minute
ACCOUNT_WINDOW_S = 3600  # for names without an account; a real one keeps its count in its row
_LOCAL_KEYS = 10_000  # bound of the local table; above it the oldest go

def too_many() -> AppError:
    """Return the 401 of an account with too many failed logins."""
    return AppError("api.user.check_user_login_attempts.too_many.app_error", 401)


class Throttle:
    """The counts of one process: Redis', and its own for as long as Redis does not answer."""

    def __init__(self, redis: "RedisClient") -> None:
        self._redis = redis
        self._local: dict[str, tuple[int, float]] = {}  # key → count, end of its window

    async def check(self, limits: "Limits", address: str, login: str = "", *, attempts: int = 0) -> None:
        """Raise 429 when the address, 401 when the account name has had too many failures. attempts: 0 is no limit."""
        if limits.logins_per_minute:
            failures = await self._count(_address_key(address), ADDRESS_WINDOW_S, 0)
            if failures >= limits.logins_per_minute:
                raise AppError("api.context.rate_limit.app_error", 429, "limit exceeded")
        if login and attempts and await self._count(_account_key(login), ACCOUNT_WINDOW_S, 0) >= attempts:
            raise too_many()

    async def note_failure(self, limits: "Limits", address: str, login: str = "") -> None:
        """Count one failure of an address, and of the account name where one is given."""
        if limits.logins_per_minute:
            await self._count(_address_key(address), ADDRESS_WINDOW_S, 1)
        if login:
            await self._count(_account_key(login), ACCOUNT_WINDOW_S, 1)

    async def take(self, key: str, window_s: int, most: int, uses: int = 1) -> bool:
        """Count uses of something; False when there were too many in the present window, these among them."""
        return await self._count("tw:limit:" + key, window_s, uses) <= most

    async def _count(self, key: str, window_s: int, add: int) -> int:
        """Return the failures under a key in the present window, after adding some."""
        try:
            if not add:
                return max(int(await self._redis.call("GET", key) or 0), self._count_here(key, window_s, 0))
            start = ("SET", key, 0, "EX", window_s, "NX")
            *_, (_, count) = await self._redis.calls([("MULTI",), start, ("INCRBY", key, add), ("EXEC",)])
            return int(count)
        except Unavailable:
            # Not swallowed: the limit holds in this process, and whoever needs Redis itself reports it.
            return self._count_here(key, window_s, add)

    def _count_here(self, key: str, window_s: int, add: int) -> int:
        count, until = self._local.pop(key, (0, 0.0))
        now = time.monotonic()
        if until < now:
            count, until = 0, now + window_s
        if count + add:
            self._local[key] = (count + add, until)
            while len(self._local) > _LOCAL_KEYS:
                del self._local[next(iter(self._local))]
        return count + add


def _address_key(address: str) -> str:
    return "tw:login:address:" + address


def _account_key(login: str) -> str:
    return "tw:login:account:" + login
