"""Connect and disconnect many times in every way that clients do, and see what the gateway keeps: nothing.

    python -m tests.protocol.cycles 100000 [--warm-up 2000] [--tls]

Prints descriptors and resident memory of an echo gateway before and after; exit status 1 if it kept something.
"""

import argparse
import asyncio
import socket
import ssl
import struct
import sys
import tempfile
from pathlib import Path

from tests.fixtures.authority import authority
from tests.protocol.processes import EchoGateway, echo_gateway
from tests.protocol.raw import frame, request

AT_ONCE = 40
ADDRESSES = [f"127.0.0.{i}" for i in range(2, 10)]  # several, so that local ports do not run out
KEPT_LIMIT_BYTES = 1 << 20
HELLO = frame(1, b"hello")
ECHO = b"\x81\x05hello"
RESET = struct.pack("ii", 1, 0)


def connect(port: int, i: int, trust: ssl.SSLContext | None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(ADDRESSES[i % 8], 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if trust is not None and i % 50 == 47:         # some hang up within TLS's handshake
        sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        sock.close()
        return connect(port, i + 1, trust)
    return sock if trust is None else trust.wrap_socket(sock, server_hostname="localhost")


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        new = sock.recv(4096)
        assert new, data
        data += new
    return data


def end(sock: socket.socket, how: int) -> None:
    """End one upgraded connection in one of eight ways."""
    if how == 0:                                   # the whole closing handshake
        sock.sendall(frame(8, b"\x03\xe8"))
        while sock.recv(4096):
            pass
    elif how == 1:                                 # a reset
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    elif how == 2:                                 # in the middle of a frame
        sock.sendall(frame(2, b"x" * 3000)[:1700])
    elif how == 3:                                 # in the middle of a message
        sock.sendall(frame(1, b"x" * 500, fin=False) + frame(9, b"p"))
    elif how == 4:                                 # a broken protocol
        sock.sendall(b"\xff\xff\xff")
        while sock.recv(4096):
            pass
    elif how == 5:                                 # a close frame, then gone at once
        sock.sendall(frame(8, b"\x03\xe9"))
    elif how == 6:                                 # half closed
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass
    sock.close()                                   # 7: without a word


def cycle(port: int, trust: ssl.SSLContext | None, first: int, count: int) -> None:
    """Run `count` connections side by side."""
    socks = [connect(port, first + k, trust) for k in range(count)]
    for k, sock in enumerate(socks):
        if (first + k) % 50 == 49:                 # some never finish their handshake
            sock.sendall(request()[:60])
        elif (first + k) % 50 == 48:               # and some are gone before the 101
            sock.sendall(request())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()
        else:
            sock.sendall(request() + HELLO)
    for k, sock in enumerate(socks):
        if (first + k) % 50 < 48:
            assert read_until(sock, ECHO).startswith(b"HTTP/1.1 101 ")
            end(sock, (first + k) % 8)
        else:
            sock.close()


async def run(server: EchoGateway, trust: ssl.SSLContext | None, cycles: int) -> None:
    for first in range(0, cycles, AT_ONCE):
        await asyncio.to_thread(cycle, server.port, trust, first, min(AT_ONCE, cycles - first))


async def settled(server: EchoGateway, descriptors: int) -> None:
    """Wait until the gateway has let go of its sockets; those that linger take 2 s."""
    async with asyncio.timeout(30):
        while server.descriptors() > descriptors:
            await asyncio.sleep(0.05)              # another process's table: there is no event to wait for


async def measure(cycles: int, warm_up: int, *, tls: bool = False) -> tuple[int, int]:
    """Return how many descriptors and bytes the gateway kept of `cycles` connections after a warm-up."""
    trust = authority().trusting() if tls else None
    with tempfile.TemporaryDirectory() as folder:
        files = authority().issue(Path(folder)) if tls else None
        flags = ["--tls-cert", str(files.cert), "--tls-key", str(files.key)] if files else []
        return await _measure(cycles, warm_up, trust, flags)


async def _measure(
    cycles: int, warm_up: int, trust: ssl.SSLContext | None, flags: list[str]
) -> tuple[int, int]:
    async with echo_gateway(*flags) as server:
        idle = server.descriptors()
        await run(server, trust, warm_up)
        await settled(server, idle)
        before = server.rss_bytes()
        await run(server, trust, cycles)
        await settled(server, idle)
        return server.descriptors() - idle, server.rss_bytes() - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cycles", type=int)
    parser.add_argument("--warm-up", type=int, default=2000)
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    descriptors, kept = asyncio.run(measure(arguments.cycles, arguments.warm_up, tls=arguments.tls))
    print(f"{arguments.cycles} cycles: {descriptors:+d} descriptors, {kept / 1024:+.0f} KiB resident")
    return int(descriptors > 0 or kept >= KEPT_LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
