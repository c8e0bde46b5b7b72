"""How many places for requests one user may hold, so that his slow servers hold up nobody else's requests. No I/O."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Share:
    def __init__(self, places: int) -> None:
        self.room = asyncio.Semaphore(places)
        self.users = 0  # who have a place or wait for one


class Shares:
    """`async with shares.of(user_id)`: waits until the user holds less than his share. "": nobody's, without limit."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._shares: dict[str, _Share] = {}

    @asynccontextmanager
    async def of(self, user_id: str) -> AsyncIterator[None]:
        """Hold one of the user's places."""
        if not user_id:
            yield
            return
        share = self._shares.get(user_id)
        if share is None:
            share = self._shares[user_id] = _Share(self._each)
        share.users += 1
        try:
            async with share.room:
                yield
        finally:
            share.users -= 1
            if not share.users:
                del self._shares[user_id]
