"""Password hashes: argon2id, off the event loop, with a bounded queue. Knows no users.

t=2, 19 MiB, p=1 (OWASP): 31 ms of CPU per hash here. argon2 releases the GIL, so two threads do 63 a second.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tidewire.wire.errors import Unavailable

T = TypeVar("T")
THREADS = 2  # more would take the cores from posts
QUEUE = 64  # one second of work; who comes then is told to come again

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
_pending: set["asyncio.Future[Any]"] = set()


async def _off_loop(function: Callable[[], T]) -> T:
    if len(_pending) >= QUEUE:
        raise Unavailable("password hashing")
    future = asyncio.get_running_loop().run_in_executor(_pool, function)
    _pending.add(future)
    future.add_done_callback(_pending.discard)
    return await future


@cache
def _of_nobody() -> str:
    return _hasher.hash("nobody has this password")


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored or _of_nobody(), password) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


async def hash_password(password: str) -> str:
    """Return the hash to store. Raises: Unavailable when too many wait."""
    return await _off_loop(lambda: _hasher.hash(password))


async def verify(stored: str, password: str) -> bool:
    """Tell whether the password is the stored one's. "" for nobody's takes as long as any other.

    Raises: Unavailable when too many wait.
    """
    return await _off_loop(lambda: _matches(stored, password))


def is_outdated(stored: str) -> bool:
    """Tell whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)
