"""What the parent of a swarm and its children say to each other. docs/loadtest.md describes both directions.

Parent to child: one JSON object a line, first a Setup, then Commands; the end of the pipe ends the child. Child to
parent: Reports, each a MessagePack array behind its length (4 bytes, the highest first).
"""

import struct
from typing import BinaryIO

import msgspec

from loadtest.swarm.histogram import Histogram

_LENGTH = struct.Struct("!I")
_encode_report = msgspec.msgpack.Encoder().encode


class Setup(msgspec.Struct):
    """What a child is. The client with number n uses line n of the tokens file, which is read round and round; the
    other fields are those of crowd.Crowd."""

    tokens: str
    first: int
    count: int
    targets: list[tuple[str, int, int]]
    path: str
    auth: str = "bearer"
    watched: int = 0
    sample_every: int = 1
    in_flight: int = 1000
    ping_s: float = 30.0
    timeout_s: float = 30.0
    retry_s: float = 0.0


class Command(msgspec.Struct, omit_defaults=True):
    """do: "connect" (the rate is this child's; label: what reports call it), "drop", or for one client "open", "cut"
    and "say" (number: among all; action: with its data)."""

    do: str
    rate: float = 0.0
    resume: bool = False
    label: str = ""
    number: int = 0
    action: dict[str, object] = {}


class Report(msgspec.Struct, array_like=True):
    """What happened in a child since its last report. Durations in µs, moments in s since 1970 (0: not yet).

    counts: the fields of Counts in shapes.pxd. times: fresh, resumed, anew (log-ins, since an attempt was due), ping,
    delivery (from a post's mark). errors: what failed, and how often. opened: (number, moment in µs, duration, resumed)
    of watched clients. marks: (number, sent at, duration) of some deliveries, which `times` has too. busiest_us:
    longest turn without a look at the sockets. label: of the last connect, to which first_attempt and last_opened
    belong.
    """

    pid: int
    label: str
    wall_s: float
    cpu_s: float
    rss_bytes: int
    base_bytes: int  # resident before the first token was read
    open: int
    connecting: int
    busiest_us: int
    first_attempt: float
    last_opened: float
    counts: dict[str, int]
    times: dict[str, Histogram]
    errors: dict[str, int]
    opened: list[tuple[int, int, int, bool]]
    marks: list[tuple[int, int, int]]


_decode_report = msgspec.msgpack.Decoder(Report).decode


def write_report(file: BinaryIO, report: Report) -> None:
    """Send a report."""
    body = _encode_report(report)
    file.write(_LENGTH.pack(len(body)) + body)
    file.flush()


def read_report(file: BinaryIO) -> Report | None:
    """Return the next report; None at the end of the pipe, also if it ends in the middle of one."""
    head = _read(file, _LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    body = _read(file, size)
    return _decode_report(body) if len(body) == size else None


def _read(file: BinaryIO, size: int) -> bytes:
    """Return so many bytes, fewer at the end. A pipe's read() may return less than it was asked for."""
    parts = b""
    while len(parts) < size:
        part = file.read(size - len(parts))
        if not part:
            break
        parts += part
    return parts
