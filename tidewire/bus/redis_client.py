"""Commands for limits and presence: one connection for all, opened when one is needed, and anew after a failure.

redis-py would do, but holds 7 MiB in every process.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

from tidewire.bus.resp import Link, ReplyError, Word
from tidewire.wire.errors import Unavailable

TIMEOUT_S = 1.0  # limits and presence answer at once or are done without: a request must not wait for them
REST_S = 1.0  # after a silence everybody is refused at once for so long; then one call tries, and may wait


class RedisClient:
    """Redis at a URL (see Link.open). What it cannot do at present, a command's own error included, is Unavailable."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._link: Link | None = None
        self._opening: asyncio.Task[Link] | None = None
        self._silent = False  # it was asked and did not answer in time
        self._try_at = 0.0  # when a silent one is asked again

    async def call(self, *words: Word) -> Any:
        """Send one command, return its answer. Raises: Unavailable("redis")."""
        return (await self.calls([words]))[0]

    async def calls(self, commands: Sequence[tuple[Word, ...]]) -> list[Any]:
        """Send commands in one write, return their answers in order.

        Raises: Unavailable("redis"); unknown which were carried out. At once while a silent Redis is left alone.
        """
        if self._silent:
            if monotonic() < self._try_at:
                raise Unavailable("redis")
            self._try_at = (
                monotonic() + self._timeout_s + REST_S
            )  # one tries, the others need not wait for it
        try:
            answers = await self._ask(commands)
        except Unavailable as error:
            if isinstance(error.__cause__, TimeoutError):
                self._silent, self._try_at = True, monotonic() + REST_S
            elif error.__cause__ is not None:  # it refuses, or says why not: that costs nobody time
                self._silent = False
            raise
        except asyncio.CancelledError:
            self._try_at = 0.0
            raise
        self._silent = False
        return answers

    async def _ask(self, commands: Sequence[tuple[Word, ...]]) -> list[Any]:
        link = self._link
        if link is None or link.closed:
            link = await self._open()
        try:
            return await link.calls(commands, self._timeout_s)
        except ReplyError as error:  # a replica, out of memory: another try may reach one that works
            link.close()
            raise Unavailable("redis") from error

    async def _open(self) -> Link:
        """Return a new connection; who comes meanwhile waits for the same one, and no longer than its first."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
        return await asyncio.shield(self._opening)

    async def _connect(self) -> Link:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._link = await Link.open(self._url)
                return self._link
        except TimeoutError as error:
            raise Unavailable("redis") from error
        finally:
            self._opening = None

    async def close(self) -> None:
        """Drop the connection."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._link is not None:
            self._link.close()
