"""Password hashes: argon2id, off the event loop, with a bounded queue. Knows no users.

t=2, 19 MiB, p=1 (OWASP): 31 ms of CPU per hash here. argon2 releases the GIL, so two threads do 63 a second. Hashes of
imported accounts (`imported_hashes`) are checked too; the first login replaces them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from tidewire.actions import imported_hashes
from tidewire.wire.errors import Unavailable

T = TypeVar("T")
THREADS = 2  # more would take the cores from posts
MAX_PASSES, MAX_KIB = 10, 1 << 18  # of an argon2 hash from elsewhere: each login costs that
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
    if imported_hashes.is_one(stored):
        return imported_hashes.matches(stored, password)
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
    return imported_hashes.is_one(stored) or _hasher.check_needs_rehash(stored)


def is_hash(text: str) -> bool:
    """Tell whether a text is a hash that `verify` can check."""
    if imported_hashes.is_one(text):
        return True
    try:
        parameters = extract_parameters(text)
    except InvalidHashError:
        return False
    return parameters.time_cost <= MAX_PASSES and parameters.memory_cost <= MAX_KIB and parameters.parallelism <= 8
