"""Requests that two servers would cut apart differently: refused, and the connection closed. Security case G5."""

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.fixtures.api import People

PING = b"GET /api/v4/system/ping HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


def request(*lines: bytes, path: bytes = b"/api/v4/users/login") -> bytes:
    """Return the head of a POST with these lines."""
    return b"\r\n".join([b"POST %s HTTP/1.1" % path, b"Host: x", *lines, b"", b""])


SMUGGLED = {
    "a length and chunks": request(b"Content-Length: 2", b"Transfer-Encoding: chunked") + CHUNKS,
    "chunks and a length": request(b"Transfer-Encoding: chunked", b"Content-Length: 60") + CHUNKS,
    "chunked twice": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKS,
    "chunked, chunked": request(b"Transfer-Encoding: chunked, chunked") + CHUNKS,
    "chunked and identity": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + CHUNKS,
    "identity and chunked": request(b"Transfer-Encoding: identity, chunked") + CHUNKS,
    "chunks behind a bare LF": request(b"Content-Length: 2", b"X-One: a\nTransfer-Encoding: chunked") + CHUNKS,
    "a coding that is none": request(b"Transfer-Encoding: xchunked") + CHUNKS,
    "two lengths": request(b"Content-Length: 2", b"Content-Length: 3") + b"{}",
    "a length with a sign": request(b"Content-Length: +2") + b"{}",
    "a length below zero": request(b"Content-Length: -2") + b"{}",
    "a length of two": request(b"Content-Length: 2, 3") + b"{}",
    "a blank before the colon": request(b"Content-Length : 2") + b"{}",
    "a folded line": request(b"X-One: a", b" Content-Length: 2") + b"{}",
    "a bare CR": request(b"X-One: a\rContent-Length: 2"),
    "NUL in a header": request(b"X-One: a\0b"),
}
# Broken after its head: Granian ends the request by an answer of its own, which says 500.
BROKEN = request(b"Transfer-Encoding: chunked") + b"0x2\r\n{}\r\n0\r\n\r\n"


async def answers(people: People, data: bytes) -> bytes:
    """Send this and another request behind it; return all that comes until the connection is closed."""
    where = urlsplit(people.api.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(data + PING)
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("data", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_ambiguous_requests_are_refused(people: People, data: bytes) -> None:
    answered = await answers(people, data)
    assert answered.count(b"HTTP/1.1 ") == 1, answered
    assert answered.startswith(b"HTTP/1.1 400 "), answered
    assert (await people.anonymous.get("/system/ping"))["status"] == "OK"


async def test_a_lone_lf_ends_a_line_and_hides_nothing(people: People) -> None:
    """RFC 9112 2.2 permits it, and Granian does so: what stands behind it counts like any other line."""
    last = PING.replace(b"Host: x", b"Host: x\nConnection: close")
    assert (await answers(people, PING.replace(b"\r\n", b"\n") + last)).count(b"HTTP/1.1 200 ") == 2
    body = b'{"login_id":"member","password":"wrong"}'
    length = request(b"X-One: a\nContent-Length: %d" % len(body)) + body
    answered = await answers(people, length + last)
    assert answered.count(b"HTTP/1.1 ") == 2 and answered.startswith(b"HTTP/1.1 401 "), answered


async def test_the_connection_is_closed_where_nothing_is(people: People) -> None:
    twice = (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")
    answered = await answers(people, request(*twice, path=b"/nowhere") + CHUNKS)
    assert answered.count(b"HTTP/1.1 ") == 1 and answered.startswith(b"HTTP/1.1 404 "), answered


async def test_nothing_is_taken_from_behind_a_broken_body(people: People) -> None:
    answered = await answers(people, BROKEN)
    assert answered.count(b"HTTP/1.1 ") == 1 and answered.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 500 ")), answered
