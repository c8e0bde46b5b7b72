"""What an event costs a gateway in which nobody hears it: reading it from Redis and finding that out.

    python -m bench reader [--shards 1 8] [--rates 0 5000] [--every-ms 10] [--turns 9] [--events 50000]

Every gateway reads the whole stream, so this is what each event of the installation costs every process. The real
gateway without connections; events of 690 bytes to channels that nobody here is in, published by the real producer in
pipelines of 100 (rate 0: as fast as Redis takes them) or every some ms as many as make the rate. Counted is all CPU of
the process from the first XADD until it has read the last event and has nothing more to do. The gateway has a core of
its own; Redis and this driver are on the other.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.events import envelope, posted_prefix
from bench.machine import Watch, Window, conditions, cpu_seconds, pin
from bench.pairs import INVALID, LOAD_CORE, SERVER_CORE, Pairs, Target, cores, spread
from bench.servers import Process, Services, services
from tidewire.bus.envelope import channel_key
from tidewire.bus.redis import RedisProducer
from tidewire.wire.ids import new_id

FRAME_BYTES = 690
TARGET = Target(2, unit=" µs")
TOGETHER = 100
_REST_S = 0.1  # so long nearly no CPU is used: all is read
_RESTING = 0.02  # what the loop's own timers use at most, as a share of a core


@dataclass
class Turn:
    """One stretch."""

    window: Window
    events: int

    @property
    def cost_us(self) -> float:
        """CPU µs per event."""
        return self.window.cpu_s * 1e6 / self.events

    @property
    def rate(self) -> float:
        """Events read per second; the rest at the end does not count."""
        return self.events / (self.window.wall_s - _REST_S)


class Source:
    """Channels that nobody is in, and the events that go to them in turn."""

    def __init__(self, url: str, shards: int, keys: int) -> None:
        team_id, user_id = new_id(), new_id()
        self._bodies = []
        for _ in range(keys):
            channel_id = new_id()
            prefix = posted_prefix(channel_id, team_id, user_id, FRAME_BYTES)
            self._bodies.append((channel_key(channel_id), envelope(prefix, channel_id)))
        self._sent = 0
        self._producer = RedisProducer(url, shards=shards)

    async def open(self) -> None:
        """Connect."""
        await self._producer.connect()

    async def close(self) -> None:
        """Disconnect."""
        await self._producer.close()

    async def publish(self, events: int) -> None:
        """Publish the next events in one pipeline."""
        keys, entries = len(self._bodies), []
        for number in range(self._sent, self._sent + events):
            key, body = self._bodies[number % keys]
            entries.append((key, number // keys + 1, body))
        self._sent += events
        await self._producer.publish(entries)

    async def publish_all(self, events: int, rate: int, every_s: float) -> None:
        """Publish so many at that rate per second, some each time; 0: as fast as it goes."""
        start, sent = time.monotonic(), 0
        while sent < events:
            due = int((time.monotonic() - start) * rate) if rate else sent + TOGETHER
            if due > sent:
                await self.publish(min(due, events) - sent)
                sent = min(due, events)
            if rate:
                await asyncio.sleep(every_s)


async def turn(
    server: Process, source: Source, events: int, rate: int, every_s: float, ours: Sequence[int]
) -> Turn:
    """Measure some events. Raises: RuntimeError if the gateway did not read them all."""
    before = server.metric("tidewire_gateway_events_read_total")
    watch = Watch(server.pid, ours)
    await source.publish_all(events, rate, every_s)
    spent = cpu_seconds([server.pid])
    while True:
        await asyncio.sleep(_REST_S)
        now = cpu_seconds([server.pid])
        if now - spent < _RESTING * _REST_S:
            break
        spent = now
    window = watch.stop()
    read = server.metric("tidewire_gateway_events_read_total") - before
    if read != events:
        raise RuntimeError(f"{read:.0f} of {events} events were read")
    return Turn(window, events)


async def measure(running: Services, shards: int, options: argparse.Namespace) -> bool:
    """Print the blocks of one number of shards; return whether all of them may be quoted."""
    valid, every_s = True, options.every_ms / 1000
    with tempfile.TemporaryDirectory() as scratch:
        server = Process(running, Path(scratch), settings={"bus": {"shards": shards}})
        source = Source(running.redis.url, shards, options.keys)
        try:
            pin(server.pid, SERVER_CORE)
            await source.open()
            for rate in options.rates:
                # A slow rate needs no more than some seconds.
                events = min(options.events, 2 * rate) if rate else options.events
                pairs = Pairs[Turn](options.turns)
                one = partial(turn, server, source, events, rate, every_s, running.pids)
                await one()  # warm
                await pairs.take(one)
                costs = pairs.values(0, lambda turn: turn.cost_us)
                every = f"{rate:,}/s, every {options.every_ms:g} ms"
                pace = every if rate else f"as fast as Redis takes them, {TOGETHER} together"
                lines = [
                    f"shards: {shards}, {events:,} events of {FRAME_BYTES} bytes to {options.keys} channels, {pace}",
                    f"CPU µs per event and process {spread(costs, 2):>20}   {TARGET.line(costs)}",
                    f"events/s                     {spread(pairs.values(0, lambda turn: turn.rate), 0):>20}",
                    pairs.verdict(),
                ]
                print("\n  ".join(lines) + "\n", flush=True)
                valid = valid and pairs.valid
        finally:
            await source.close()
            server.end()
    return valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench reader", description=__doc__.split("\n")[0])
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 8])
    parser.add_argument(
        "--rates", type=int, nargs="+", default=[0, 5000], help="events per second; 0: all at once"
    )
    parser.add_argument("--every-ms", type=float, default=10, help="time between two pipelines of a rate")
    parser.add_argument("--turns", type=int, default=9, help="quiet turns to wait for")
    parser.add_argument("--events", type=int, default=50_000, help="of one turn")
    parser.add_argument("--keys", type=int, default=1000, help="channels they go to")
    options = parser.parse_args(words)
    print("\n".join([*conditions(), cores("gateway")]) + "\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    valid = True
    for shards in options.shards:
        with services() as running:
            valid &= asyncio.run(measure(running, shards, options))
    return 0 if valid else INVALID


if __name__ == "__main__":
    sys.exit(main())
