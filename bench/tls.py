"""What TLS in the gateway costs: memory and CPU per socket, beside plain TCP.

    python -m bench.tls [--connections 1000] [--events 100] [--pairs 7]

The real door and room, without log-ins. Each turn starts a server of its own, plain or with TLS (an ECDSA P-256
certificate), connects a crowd, and sends events to all of it, one at a time: the next when everybody has the last, so
that each delivery is a send of its own. The two kinds take turns in pairs; those in which other processes were busy do
not count. CPU is the server's whole process; memory its growth, kernel not counted. The server runs on one core, the
crowd on another.
"""

import argparse
import asyncio
import os
import select
import socket
import ssl
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trustme
import uvloop

from bench.machine import Watch, Window, conditions, pin, rss_kib
from bench.pairs import INVALID, LOAD_CORE, SERVER_CORE, Pairs, cores, spread
from bench.programs import Program
from gateway.door import Door
from gateway.handshake import Upgrade
from gateway.room import Room
from gateway.tls import server_context
from hotpath import Event, SlotSet
from tidewire.settings import Settings

FRAME_BYTES = 690
_REQUEST = (
    b"GET /api/v4/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_GO = b"\x81\x82\0\0\0\0go"  # a masked text frame


@dataclass
class Turn:
    """One server: connects, then events."""

    window: Window  # of the events
    connections: int
    events: int
    connect_cpu_s: float
    kib: float  # per socket

    @property
    def connect_us(self) -> float:
        """CPU per connect, handshakes included."""
        return self.connect_cpu_s * 1e6 / self.connections

    @property
    def delivery_us(self) -> float:
        """CPU per event and socket."""
        return self.window.cpu_s * 1e6 / self.connections / self.events


class _Server:
    """Sends an event to everybody whenever somebody says something."""

    def __init__(self, room: Room) -> None:
        self.room, self.slots = room, SlotSet()
        self.body = b'{"event":"posted","broadcast":{},"data":{"x":"' + b"x" * (FRAME_BYTES - 60) + b'"'

    def admit(self, upgrade: Upgrade) -> tuple[int, str] | None:
        return None

    def on_adopted(self, slot: int, upgrade: Upgrade) -> None:
        self.slots.add(slot)

    def on_message(self, slot: int, data: bytes, text: bool) -> None:
        self.room.deliver(Event(self.body), self.slots)

    def on_closed(self, slot: int, code: int, why: str) -> None:
        self.slots.discard(slot)
        if why != "local":
            self.room.release(slot)


async def _serve(cert: str, key: str) -> None:
    room = Room.of(Settings())
    door = Door(room, _Server(room), tls=server_context(cert, key) if cert else None)
    print("port", await door.start("127.0.0.1"), flush=True)
    await asyncio.Event().wait()


def _crowd(port: int, count: int, authority: str) -> None:
    """Connect; then for each line of input start an event and say when everybody has it."""
    trust = ssl.create_default_context(cafile=authority) if authority else None
    poll, sockets = select.epoll(), {}
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        if trust is not None:
            sock = trust.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(_REQUEST)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(answer.decode())
        sock.setblocking(False)
        sockets[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    print("ready", flush=True)
    first = next(iter(sockets.values()))
    for _ in sys.stdin:
        first.send(_GO)
        left = count
        while left:
            for descriptor, _mask in poll.poll():
                try:
                    left -= sockets[descriptor].recv(65536).count(b'"seq":')
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
        print("done", flush=True)


def _turn(options: argparse.Namespace, certificate: tuple[str, str, str]) -> Turn:
    words = [sys.executable, "-m", "bench.tls"]
    cert, key, authority = certificate
    server = Program([*words, "--serve", cert, key])
    programs = [server]
    try:
        port = server.hear("port")[0]
        pin(server.pid, SERVER_CORE)
        time.sleep(options.settle_s)
        before, watch = rss_kib([server.pid]), Watch(server.pid, [])
        crowd = Program([*words, "--crowd", port, str(options.connections), authority])
        programs.append(crowd)
        crowd.hear("ready")
        connect_cpu_s = watch.stop().cpu_s
        time.sleep(options.settle_s)
        kib = (rss_kib([server.pid]) - before) / options.connections
        watch = Watch(server.pid, [crowd.pid])
        for _ in range(options.events):
            crowd.say("event")
            crowd.hear("done")
        return Turn(watch.stop(), options.connections, options.events, connect_cpu_s, kib)
    finally:
        for program in programs:
            program.end()


def _certificate(folder: Path) -> tuple[str, str, str]:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    cert, key, root = (str(folder / name) for name in ("cert.pem", "key.pem", "ca.pem"))
    leaf.private_key_pem.write_to_path(key)
    Path(cert).write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    authority.cert_pem.write_to_path(root)
    return cert, key, root


def report(pairs: Pairs[Turn]) -> str:
    """Return the block that is printed."""
    lines = [f"{'':6}{'CPU µs per connect':>28}{'KiB per socket':>26}{'CPU µs per delivery':>28}"]
    figures = ((lambda turn: turn.connect_us, 0), (lambda turn: turn.kib, 1), (lambda turn: turn.delivery_us, 2))
    for which, name in enumerate(("plain", "TLS")):
        connect, kib, delivery = (spread(pairs.values(which, value), digits) for value, digits in figures)
        lines.append(f"{name:6}{connect:>28}{kib:>26}{delivery:>28}")
    return "\n".join("  " + line for line in [*lines, pairs.verdict()])


async def _measure(options: argparse.Namespace, certificate: tuple[str, str, str]) -> Pairs[Turn]:
    pairs = Pairs[Turn](options.pairs)

    async def turn(files: tuple[str, str, str]) -> Turn:
        return _turn(options, files)

    await pairs.take(partial(turn, ("", "", "")), partial(turn, certificate))
    return pairs


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.tls", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--events", type=int, default=100, help="of one turn")
    parser.add_argument("--settle-s", type=float, default=0.5, help="before memory is looked at")
    parser.add_argument("--pairs", type=int, default=7, help="quiet pairs to wait for")
    parser.add_argument("--serve", nargs=2, metavar=("CERT", "KEY"), help=argparse.SUPPRESS)
    parser.add_argument("--crowd", nargs=3, metavar=("PORT", "COUNT", "CA"), help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.serve:
        uvloop.run(_serve(*options.serve))
    elif options.crowd:
        port, count, authority = options.crowd
        _crowd(int(port), int(count), authority)
    else:
        print("\n".join(conditions()))
        print(cores("server"))
        os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
        with tempfile.TemporaryDirectory() as folder:
            pairs = asyncio.run(_measure(options, _certificate(Path(folder))))
        print(
            f"{ssl.OPENSSL_VERSION}, TLS 1.3; {options.connections} sockets,"
            f" {options.events} events of {FRAME_BYTES} bytes"
        )
        print(report(pairs), flush=True)
        return 0 if pairs.valid else INVALID
    return 0


if __name__ == "__main__":
    sys.exit(main())
