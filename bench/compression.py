"""Compression once per event: what it costs and saves, gate against gate in one process.

    python -m bench.compression [--connections 1000 4000] [--pairs 9] [--events 40]

`posted` events as the API makes them, each with 800 other characters of English, go one at a time to a crowd that
agreed on permessage-deflate and to one that did not, in turns. Counted is this process's CPU time for delivering and
flushing an event, the compression and the sockets' share of the kernel included; a child process reads without sleeping
and counts bytes. Both ends are here: four descriptors for each of `connections`.
"""

import argparse
import mmap
import os
import random
import re
import resource
import select
import socket
import sys
import time
from statistics import median

from bench.machine import ROOT, conditions
from hotpath import Event, Gate, SlotSet
from tidewire.actions.post_events import posted
from tidewire.bus.envelope import decode
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Channel, Post

MESSAGE_CHARACTERS = 800
SEND_BUFFER = 128 * 1024
LIMITS = {"CPU": 1.3, "bytes": 0.55}


def english() -> str:
    """Return the prose of our own documents, without tables and code."""
    lines = [line for page in sorted(ROOT.glob("docs/*.md")) for line in page.read_text().splitlines()]
    prose = " ".join(line.strip("-# ") for line in lines if line and line[0] not in "|`" and "```" not in line)
    return re.sub(r"[^ -~]|[`*]", "", re.sub(r"\s+", " ", prose))


class Messages:
    """Events with messages cut from English text, never the same twice."""

    def __init__(self) -> None:
        self._text = english()
        self._places = random.Random(1)
        self._channel = Channel(new_id(), team_id=new_id(), type="O", name="town-square", display_name="Town Square")
        self._author = new_id()

    def prefix(self) -> bytes:
        """Return the shared part of the next event."""
        at = self._places.randrange(len(self._text) - MESSAGE_CHARACTERS)
        message = self._text[at : at + MESSAGE_CHARACTERS]
        post = Post(new_id(), self._channel.id, self._author, now_ms(), now_ms(), message=message)
        encoded = posted(post, self._channel, "somebody", system=False, set_online=True, mentions=())
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


def measure(connections: int, pairs: int, events: int) -> bool:
    """Print the block of one crowd size; return whether the limits are kept."""
    crowds = [Crowd(connections, deflate) for deflate in (False, True)]
    total = mmap.mmap(-1, 8)
    cores = sorted(os.sched_getaffinity(0))
    reader = os.fork()
    if not reader:
        os.sched_setaffinity(0, cores[-1:])
        read_all([sock for crowd in crowds for sock in crowd.clients], total)
    os.sched_setaffinity(0, cores[:1])
    messages, costs, sizes = Messages(), [[], []], [0, 0]
    try:
        for number in range(pairs + 1):
            for which in (0, 1) if number % 2 else (1, 0):
                crowd, spent_s, before = crowds[which], 0.0, crowds[which].sent_bytes
                for _ in range(events):
                    prefix = messages.prefix()
                    start = time.process_time()
                    crowd.send(prefix)
                    spent_s += time.process_time() - start
                    while int.from_bytes(total[:8], "little") < sum(each.sent_bytes for each in crowds):
                        time.sleep(0.0005)
                if number:  # the first pair warms up
                    costs[which].append(spent_s * 1e6 / events / connections)
                    sizes[which] += crowd.sent_bytes - before
    finally:
        os.kill(reader, 9)
        os.waitpid(reader, 0)
        os.sched_setaffinity(0, cores)
    per_event = [size / pairs / events / connections for size in sizes]
    ratios = {"CPU": [b / a for a, b in zip(*costs, strict=True)], "bytes": [per_event[1] / per_event[0]]}
    print(f"{connections} connections, {pairs} pairs of {events} events, one at a time")
    for name, cost, size in zip(("plain", "permessage-deflate"), costs, per_event, strict=True):
        print(f"  {name:20}{_spread(cost)} CPU µs per delivery {size:8.0f} bytes a frame")
    for name, values in ratios.items():
        print(f"  {name} ratio {_spread(values)}, limit {LIMITS[name]}")
    return all(median(values) <= LIMITS[name] for name, values in ratios.items())


def _spread(values: list[float]) -> str:
    return f"{median(values):6.2f} ({min(values):.2f}–{max(values):.2f})"


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the limits are kept, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.compression", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--events", type=int, default=40, help="events of one turn")
    options = parser.parse_args(words)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("\n".join(conditions()) + "\n")
    kept = [measure(connections, options.pairs, options.events) for connections in options.connections]
    return 0 if all(kept) else 3


if __name__ == "__main__":
    sys.exit(main())
