"""Bytes in which one server may find another request than the next one does: a POST hidden behind, or inside, a first.

Every form ends with a request that asks for the end of the connection: who reads to the end has counted all answers.
"""

import base64

FIRST = "/api/v4/users/login"
LAST = "/api/v4/system/ping?last"
LAST_REQUEST = f"GET {LAST} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
_CHUNKED = b"Transfer-Encoding: chunked"
_NO_CHUNKS = b"0\r\n\r\n"


def refused(hidden: bytes) -> dict[str, bytes]:
    """Return forms that nobody may take for two requests. hidden: the request that must not be seen."""
    length = b"Content-Length: %d" % len(hidden)
    longer = b"Content-Length: %d" % (len(_NO_CHUNKS) + len(hidden))
    behind = _NO_CHUNKS + hidden
    one_chunk = b"%x\r\n%s\r\n" % (len(hidden), hidden) + _NO_CHUNKS
    codings = {
        "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "chunked, then identity": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "a list that ends with identity": b"Transfer-Encoding: chunked, identity",
        "a list that begins with identity": b"Transfer-Encoding: identity, chunked",
        "a coding that is none": b"Transfer-Encoding: xchunked",
        "chunked behind a control character": b"Transfer-Encoding: \x0bchunked",
    }
    lengths = {
        "a length with a sign": b"Content-Length: +%d" % len(hidden),
        "a length below zero": b"Content-Length: -2",
        "two lengths": b"Content-Length: 0\r\n" + length,
        "a list of lengths": b"Content-Length: 0, %d" % len(hidden),
        "a blank before the colon": b"Content-Length : %d" % len(hidden),
        "a bare CR": b"X-One: a\r" + length,
        "NUL in a header": b"X-One: a\0b\r\n" + length,
    }
    forms = {
        "a length and chunks": _post(longer, _CHUNKED) + behind,
        "chunks and a length": _post(_CHUNKED, b"Content-Length: 4") + one_chunk,
        "a length and chunks after a bare LF": _post(longer, b"X-One: a\n" + _CHUNKED) + behind,
        "a length and chunks, a blank before the colon": _post(longer, b"Transfer-Encoding : chunked") + behind,
        "a length and chunks in a folded line": _post(longer, b"Transfer-Encoding:\r\n chunked") + behind,
        "chunks in HTTP/1.0": _post(longer, _CHUNKED, b"Connection: keep-alive", version=b"1.0") + behind,
        "a chunk's size with a prefix": _post(_CHUNKED) + b"0x2\r\n{}\r\n" + behind,
        "a chunk's extension after a bare LF": _post(_CHUNKED)
        + b"2;\nxx\r\n%x\r\n" % len(hidden) + _NO_CHUNKS + hidden + b"\r\n" + _NO_CHUNKS,
    }  # fmt: skip
    forms |= {name: _post(line) + behind for name, line in codings.items()}
    forms |= {f"{name}, and a length": _post(line, longer) + behind for name, line in codings.items()}
    forms |= {name: _post(line) + hidden for name, line in lengths.items()}
    return {name: data + LAST_REQUEST for name, data in forms.items()}


def whole(hidden: bytes) -> dict[str, bytes]:
    """Return forms that may be refused, or taken for one request with all of `hidden` as its body."""
    length = b"Content-Length: %d" % len(hidden)
    forms = {
        "a length twice": _post(length, length) + hidden,
        "a length after a bare LF": _post(b"X-One: a\n" + length) + hidden,
        "bare LF everywhere": _post(length).replace(b"\r\n", b"\n") + hidden,
        "bare LF at the end of the head": _post(length).removesuffix(b"\r\n\r\n") + b"\n\n" + hidden,
        "a length that is named as the hop's": _post(b"Connection: Content-Length", length) + hidden,
        "chunks in another header's folded line": _post(length, b"X-One: a\r\n Transfer-Encoding: chunked") + hidden,
    }
    return {name: data + LAST_REQUEST for name, data in forms.items()}


def upgrades(hidden: bytes) -> dict[str, bytes]:
    """Return questions for a WebSocket, with a request behind that the client did not wait to send."""
    length = b"Content-Length: %d\r\n" % len(hidden)
    forms = {
        "an upgrade": _upgrade() + hidden,
        "an upgrade to a version that is none": _upgrade(version=777) + hidden,
        "an upgrade to HTTP/2": _upgrade(to=b"h2c") + hidden,
        "an upgrade with a body": _upgrade(length) + hidden,
        "an upgrade with chunks": _upgrade(_CHUNKED + b"\r\n") + _NO_CHUNKS + hidden,
        "an upgrade with a body, to a version that is none": _upgrade(length, version=777) + hidden,
        "an upgrade by POST": _upgrade(length).replace(b"GET", b"POST") + hidden,
    }
    return {name: data + LAST_REQUEST for name, data in forms.items()}


def plain_upgrades(hidden: bytes) -> dict[str, bytes]:
    """Return questions for an upgrade where there is none: just requests, one after another."""
    ping = b"/api/v4/system/ping"
    settings = b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    forms = {
        "HTTP/2": _upgrade(settings, path=ping, to=b"h2c").replace(b"Upgrade\r\n", b"Upgrade, HTTP2-Settings\r\n"),
        "a WebSocket": _upgrade(path=ping),
    }
    return {name: data + hidden + LAST_REQUEST for name, data in forms.items()}


def _post(*lines: bytes, version: bytes = b"1.1") -> bytes:
    """Return the head of a POST with these lines."""
    return b"\r\n".join([b"POST %s HTTP/%s" % (FIRST.encode(), version), b"Host: x", *lines, b"", b""])


def _upgrade(
    more: bytes = b"", *, path: bytes = b"/api/v4/websocket", to: bytes = b"websocket", version: int = 13
) -> bytes:
    """Return a GET that asks for an upgrade. more: further lines."""
    key = base64.b64encode(b"0123456789abcdef")
    return (
        b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n" % (path, to)
        + b"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: %d\r\n%s\r\n" % (key, version, more)
    )
