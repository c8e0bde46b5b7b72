"""Reads which rows changed, and vouches for the cache while it can. One per API worker.

A cache key is what a value is kept under: "session:<hash>", "user:<id>", "channel:<id>", "member:<channel>:<user>",
"tmember:<team>:<user>" … Whoever changes the row names the key in its announcement (envelope.invalidates).
"""

import asyncio

import structlog

from tidewire.bus.cache import Cache
from tidewire.bus.redis import ANSWER_TIMEOUT_S, INVALIDATE
from tidewire.bus.resp import Link, ReplyError
from tidewire.wire.errors import Unavailable

VOUCH_S = (
    2.5  # what a value may be out of date when Redis freezes; above the block, or an idle bus looks dead
)
BLOCK_MS = 1000
READ_TIMEOUT_S = 2.0
RETRY_S = 0.2
BATCH = 1000

log = structlog.get_logger(__name__)


class InvalidationReader:
    """Keeps one cache true. While Redis is away the cache is bypassed; after that it starts empty."""

    def __init__(self, url: str, cache: Cache) -> None:
        self._url = url
        self._cache = cache
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start reading on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop; the cache is bypassed from now on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._cache.distrust()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                link = await Link.open(self._url)
                try:
                    position = await _end(link)
                    log.info("cache in use", failures=failures)
                    failures = 0
                    while True:
                        self._cache.vouch(VOUCH_S)
                        position = await self._read(link, position)
                finally:
                    self._cache.distrust()
                    link.close()
            except (Unavailable, ReplyError) as error:
                if not failures:
                    log.warning("cache bypassed", error=repr(error.__cause__ or error))
                failures += 1
            except Exception:  # a bug of ours must not leave the cache bypassed for ever
                log.exception("cache bypassed")
            await asyncio.sleep(RETRY_S)

    async def _read(self, link: Link, position: bytes) -> bytes:
        """Drop what changed after the position; return the new one."""
        words = ("XREAD", "COUNT", BATCH, "BLOCK", BLOCK_MS, "STREAMS", INVALIDATE, position)
        answer = await link.call(*words, timeout_s=READ_TIMEOUT_S)
        for _, entries in answer or ():
            for entry, fields in entries:
                self._cache.drop(fields[1].decode().split(" "))
                position = entry
        return position


async def _end(link: Link) -> bytes:
    """Return the id of the stream's last entry."""
    last = await link.call("XREVRANGE", INVALIDATE, "+", "-", "COUNT", 1, timeout_s=ANSWER_TIMEOUT_S)
    return bytes(last[0][0]) if last else b"0-0"
