"""Sockets that mean no good, each kind as wicked as the protocol and the settings allow, again and again.

    python -m tests.soak.hostile PORT TOKENS_FILE COUNT

says "ready", then answers the lines it reads: "on" when every socket has begun, "off ATTACKS …" when all are gone. Runs
with what CPU others leave over. Inside a test: `async with Mob(port, tokens, count) as mob`.
"""

import asyncio
import os
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import cycle

from tests.protocol.raw import frame, request

PATH = "/api/v4/websocket"
PAUSE_S = 0.5  # before one that was thrown out comes again
PING = frame(1, b'{"seq":1,"action":"ping"}')
PONG = frame(10)
FRAGMENT = frame(0, b"x", fin=False)


class Peer:
    """One TCP connection of a hostile client."""

    def __init__(self, port: int, token: str, number: int, *, receive_bytes: int = 0) -> None:
        self.port, self.token, self.number = port, token, number
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.bind((f"127.0.3.{1 + number % 200}", 0))
        if receive_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._loop = asyncio.get_running_loop()

    async def connect(self) -> None:
        await self._loop.sock_connect(self.sock, ("127.0.0.1", self.port))

    async def log_in(self) -> None:
        """Connect and upgrade with a token; return when the 101 is there. Raises: ConnectionError."""
        await self.connect()
        await self.send(request(PATH, Authorization=f"Bearer {self.token}"))
        head = b""
        while b"\r\n\r\n" not in head:
            new = await self._loop.sock_recv(self.sock, 256)
            if not new:
                raise ConnectionError(head)
            head += new
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head)

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    def skim(self) -> None:
        """Throw away what has come. Raises: ConnectionError if the server has ended it."""
        try:
            while True:
                if not self.sock.recv(65536):
                    raise ConnectionError("closed")
        except BlockingIOError:
            return

    async def until_thrown_out(self) -> None:
        while await self._loop.sock_recv(self.sock, 65536):
            pass


async def never_reads(peer: Peer) -> None:
    """Log in, never read. Pongs keep the timer content and tell when the server has given up."""
    await peer.log_in()
    while True:
        await asyncio.sleep(0.5)
        await peer.send(PONG)


async def byte_by_byte(peer: Peer) -> None:
    """Send proper requests, each byte in a segment of its own."""
    await peer.log_in()
    while True:
        for byte in PING:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.02)
        peer.skim()


async def half_open(peer: Peer) -> None:
    """Stop in the middle of getting in: before the request, inside it, or before the log-in."""
    await peer.connect()
    words = request(PATH)
    await peer.send((b"", words[:70], words)[peer.number // 6 % 3])
    await peer.until_thrown_out()


async def endless_fragments(peer: Peer) -> None:
    """Begin a message and never end it."""
    await peer.log_in()
    await peer.send(frame(1, b"x", fin=False))
    while True:
        await peer.send(FRAGMENT * 8)
        peer.skim()
        await asyncio.sleep(0.01)


async def huge_lengths(peer: Peer) -> None:
    """Announce 2^62 bytes; or the most that is allowed, send all but one of them, and wait."""
    await peer.log_in()
    if peer.number // 6 % 2:
        await peer.send(b"\x82\xff" + struct.pack(">Q", 1 << 62) + b"mask")
        await peer.until_thrown_out()
    await peer.send(frame(1, b"x" * 8192)[:-1])
    for _ in range(20):
        await asyncio.sleep(0.2)
        peer.skim()


async def flood(peer: Peer) -> None:
    """Ask as fast as the socket takes it, in requests and in control frames."""
    await peer.log_in()
    while True:
        await peer.send((PING + frame(9, b"p")) * 100)
        peer.skim()
        await asyncio.sleep(0.01)


KINDS: tuple[Callable[[Peer], Awaitable[None]], ...] = (
    never_reads, byte_by_byte, half_open, endless_fragments, huge_lengths, flood)


class Mob:
    """Many hostile sockets at once. attacks: how often each kind began anew."""

    def __init__(self, port: int, tokens: list[str], count: int) -> None:
        self._port, self._tokens, self._count = port, cycle(tokens), count
        self.attacks: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Mob":
        begun = [asyncio.Event() for _ in range(self._count)]
        self._tasks = [asyncio.create_task(self._attack(number, event)) for number, event in enumerate(begun)]
        for event in begun:
            await event.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _attack(self, number: int, begun: asyncio.Event) -> None:
        kind = KINDS[number % len(KINDS)]
        token = next(self._tokens)
        while True:
            peer = Peer(self._port, token, number, receive_bytes=4096 if kind is never_reads else 0)
            try:
                self.attacks[kind.__name__] += 1
                begun.set()
                await kind(peer)
            except OSError:
                pass  # thrown out, which is what it deserves
            finally:
                peer.sock.close()
            await asyncio.sleep(PAUSE_S)


async def obey(port: int, tokens: list[str], count: int) -> None:
    """Follow the commands on standard input."""
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while (await commands.readline()) == b"on\n":
        async with Mob(port, tokens, count) as mob:
            print("on", flush=True)
            await commands.readline()
        print("off", *(f"{name}={attacks}" for name, attacks in mob.attacks.items()), flush=True)


def main() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    port, tokens_file, count = sys.argv[1:]
    with open(tokens_file) as lines:
        tokens = [line.split()[0] for line in lines]
    asyncio.run(obey(int(port), tokens, int(count)))


if __name__ == "__main__":
    main()
