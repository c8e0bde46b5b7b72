"""What a server's frames say, in plain Python: the twin of reading.pyx, and its documentation."""

import json
import re

BUCKETS = 1024
_MARK = re.compile(rb"tw-sent:([0-9]{16})")
_NAMES = {"hello": "hello", "posted": "posted"}


def text(data: bytes) -> tuple[str, int, bool]:
    """Read a text message of the server."""
    message = json.loads(data)
    if "event" in message:
        return _NAMES.get(message["event"], "event"), message["seq"], False
    if "seq_reply" in message:
        return "reply", message["seq_reply"], message.get("status") == "OK"
    return "unreadable", 0, False


def connection_id(data: bytes) -> bytes:
    """Return the connection id of a `hello`."""
    found: str = json.loads(data)["data"].get("connection_id", "")
    return found.encode() if len(found.encode()) == 26 else b""


def mark(data: bytes) -> int:
    """Return the µs since 1970 of the first mark, if it is whole."""
    at = data.find(b"tw-sent:")
    found = _MARK.match(data, at) if at >= 0 else None
    return int(found[1]) if found else -1


def head(data: bytes) -> tuple[int, int, bool, int] | None:
    """Read the head of a frame (RFC 6455 5.2)."""
    if len(data) < 2:
        return None
    short = data[1] & 127
    size = {126: 4, 127: 10}.get(short, 2)
    if len(data) < size:
        return None
    payload = int.from_bytes(data[2:size], "big") if size > 2 else short
    return size, data[0], bool(data[1] & 0x80), payload


def frame(opcode: int, mask: int, payload: bytes) -> bytes:
    """Return one masked frame (RFC 6455 5.3)."""
    size = len(payload)
    if size <= 125:
        start = bytes((0x80 | opcode, 0x80 | size))
    elif size <= 65535:
        start = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        start = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    key = mask.to_bytes(4, "little")
    return start + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def bucket(us: int) -> int:
    """Return the bucket of a duration: exact below 64 µs, then 32 for each doubling."""
    if us < 64:
        return us
    shift = us.bit_length() - 6
    return min((shift << 5) + (us >> shift), BUCKETS - 1)
