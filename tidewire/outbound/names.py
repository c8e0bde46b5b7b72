"""Looks up names that strangers choose, on threads of its own. Knows no rules.

Not by the event loop: uvloop looks up two names at once, so that two whose servers do not answer hold up those of
everybody else, the database's too. A thread cannot be stopped: it ends when the resolver gives up, some 10 to 30 s
later, and keeps its place until then.
"""

import asyncio
import socket
import threading
from contextlib import suppress

# More than all that may be asked at once (64 requests), since who gave up waiting leaves his thread behind.
AT_ONCE = 128
_places = threading.BoundedSemaphore(AT_ONCE)


async def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses behind a name. Raises: OSError, UnicodeError for none; OSError where too many are asked."""
    places = _places
    if not places.acquire(blocking=False):
        raise OSError("too many names are looked up")
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str], error: Exception | None) -> None:
        if found.done():  # nobody waits any more
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(addresses)

    def look() -> None:
        addresses, error = [], None
        try:
            addresses = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as caught:
            error = caught
        finally:
            places.release()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, addresses, error)

    try:
        threading.Thread(target=look, name="look-up", daemon=True).start()
    except RuntimeError:  # no thread could be started
        places.release()
        raise OSError("no name can be looked up") from None
    return await found
