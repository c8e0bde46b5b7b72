"""Compression once per event: what it costs and saves, gate against gate in one process.

    python -m bench compression [--connections 1000 4000] [--pairs 9] [--events 40]

`posted` events as the API makes them, each with 800 other characters of English (bench/data/english.txt, prose from our
own documents), go one at a time to a crowd that agreed on permessage-deflate and to one that did not, in turns. Counted
is this process's CPU time for delivering and flushing an event, the compression and the sockets' share of the kernel
included; a child process reads without sleeping and counts bytes. Both ends are here: four descriptors for each of
`connections`.
"""

import argparse
import asyncio
import mmap
import os
import random
import resource
import select
import socket
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import cast

from bench.machine import ROOT, Watch, Window, conditions
from bench.pairs import INVALID, LOAD_CORE, SERVER_CORE, Pairs, Target, spread
from hotpath import Event, Gate, SlotSet
from tidewire.actions.mentions import Audience
from tidewire.actions.post_events import posted
from tidewire.actions.services import Services
from tidewire.bus.envelope import decode
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Channel, Post

MESSAGE_CHARACTERS = 800
TARGETS = {"CPU": Target(1.3, unit=" ×"), "bytes": Target(0.55, unit=" ×")}


class Messages:
    """Events with messages cut from English text, never the same twice."""

    def __init__(self) -> None:
        self._text = " ".join((ROOT / "bench" / "data" / "english.txt").read_text().split())
        self._places = random.Random(1)
        self._channel = Channel(
            new_id(), team_id=new_id(), type="O", name="town-square", display_name="Town Square"
        )
        self._author = new_id()

    def prefix(self) -> bytes:
        """Return the shared part of the next event."""
        at = self._places.randrange(len(self._text) - MESSAGE_CHARACTERS)
        message = self._text[at : at + MESSAGE_CHARACTERS]
        post = Post(new_id(), self._channel.id, self._author, now_ms(), now_ms(), message=message)
        encoded = posted(
            cast(Services, None),  # asked for what a post refers to; this one names nothing
            post,
            self._channel,
            "somebody",
            system=False,
            set_online=True,
            audience=Audience(),
            found=None,
        )
        return decode(encoded).copies[0].body


class Crowd:
    """A gate and its connected sockets, whose other ends a reader process will have."""

    def __init__(self, count: int, deflate: bool) -> None:
        self.gate = Gate(lambda *_: None, lambda *_: None, capacity=count, retain_events=1)
        self.gate.tick(1)
        self.slots = SlotSet()
        self.clients: list[socket.socket] = []
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            for _ in range(count):
                self.clients.append(socket.create_connection(listener.getsockname()))
                slot = self.gate.adopt(listener.accept()[0].detach(), deflate=deflate)
                self.gate.set_user(slot, b"u" * 26, 0)
                self.slots.add(slot)

    def send(self, prefix: bytes) -> None:
        """Send one event to everyone."""
        self.gate.deliver(Event(prefix), self.slots)
        self.gate.flush()

    @property
    def sent_bytes(self) -> int:
        """What the kernel has taken."""
        return int(self.gate.stats()["sent_bytes"])


@dataclass
class Turn:
    """One stretch of one crowd, per delivery: CPU µs, and bytes of a frame."""

    window: Window
    cost_us: float
    frame_bytes: float


def read_all(sockets: list[socket.socket], total: mmap.mmap) -> None:
    """Read for ever; keep the number of bytes in `total`."""
    epoll, buffer, count = select.epoll(), bytearray(1 << 18), 0
    by_descriptor = {sock.fileno(): sock for sock in sockets}
    for descriptor in by_descriptor:
        epoll.register(descriptor, select.EPOLLIN)
    while True:
        for descriptor, _ in epoll.poll(0, 256):
            count += by_descriptor[descriptor].recv_into(buffer)
        total[:8] = count.to_bytes(8, "little")


class Bench:
    """Both crowds and the process that reads for them."""

    def __init__(self, connections: int, events: int) -> None:
        self._connections, self._events = connections, events
        self._crowds = [Crowd(connections, deflate) for deflate in (False, True)]
        self._total = mmap.mmap(-1, 8)
        self._messages = Messages()
        self._reader = os.fork()
        if not self._reader:
            os.sched_setaffinity(0, LOAD_CORE)
            read_all([sock for crowd in self._crowds for sock in crowd.clients], self._total)

    async def turn(self, which: int) -> Turn:
        """Measure some events to one crowd: 0 the plain one, 1 the other."""
        crowd, spent_s = self._crowds[which], 0.0
        before, watch = crowd.sent_bytes, Watch(os.getpid(), [])
        for _ in range(self._events):
            prefix = self._messages.prefix()
            start = time.process_time()
            crowd.send(prefix)
            spent_s += time.process_time() - start
            while int.from_bytes(self._total[:8], "little") < sum(each.sent_bytes for each in self._crowds):
                await asyncio.sleep(0.0005)
        deliveries = self._events * self._connections
        return Turn(watch.stop(), spent_s * 1e6 / deliveries, (crowd.sent_bytes - before) / deliveries)

    def end(self) -> None:
        """End the reader."""
        os.kill(self._reader, 9)
        os.waitpid(self._reader, 0)


def report(connections: int, events: int, pairs: Pairs[Turn]) -> str:
    """Return the block of one crowd size. Pairs are (compressed, plain)."""
    lines = [f"{connections} connections, events one at a time, {events} a turn"]
    for which, name in enumerate(("permessage-deflate", "plain")):
        cost = spread(pairs.values(which, lambda turn: turn.cost_us), 2)
        size = spread(pairs.values(which, lambda turn: turn.frame_bytes), 0)
        lines.append(f"{name:20}{cost:>20} CPU µs per delivery{size:>24} bytes a frame")
    ratios = {
        "CPU": pairs.ratios(lambda turn: turn.cost_us),
        "bytes": pairs.ratios(lambda turn: turn.frame_bytes),
    }
    for name, values in ratios.items():
        lines.append(f"{name + ' ratio':20}{spread(values, 2):>20}   {TARGETS[name].line(values)}")
    return "\n  ".join([*lines, pairs.verdict()])


async def measure(connections: int, options: argparse.Namespace) -> bool:
    """Print the block of one crowd size; return whether it may be quoted."""
    bench = Bench(connections, options.events)
    pairs = Pairs[Turn](options.pairs)
    try:
        for which in (1, 0):
            await bench.turn(which)  # warm
        await pairs.take(partial(bench.turn, 1), partial(bench.turn, 0))
    finally:
        bench.end()
    print(report(connections, options.events, pairs) + "\n", flush=True)
    return pairs.valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench compression", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--pairs", type=int, default=9, help="quiet pairs to wait for")
    parser.add_argument("--events", type=int, default=40, help="of one turn")
    options = parser.parse_args(words)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("\n".join(conditions()))
    print(f"cores     gates and driver on {SERVER_CORE}, the reader on {LOAD_CORE}\n")
    os.sched_setaffinity(0, SERVER_CORE)
    valid = [asyncio.run(measure(connections, options)) for connections in options.connections]
    return 0 if all(valid) else INVALID


if __name__ == "__main__":
    sys.exit(main())
