"""The sender of a measurement: `tidewire push`'s own, without its HTTP side, told by lines when to begin.

    python -m bench.push_sender CONFIG CA APNS_URL REDIS_URL IN_FLIGHT

Hears "run N": sends what waits until N more were taken, says "done SECONDS"; "single N": queues one push when the one
before has been taken, N times, says "single P50_MS P99_MS". Between them it takes nothing.
"""

import asyncio
import sys
from statistics import quantiles
from time import monotonic, perf_counter

import uvloop

from bench.push_jobs import TARGET, jobs
from push import tally
from push.sender import Sender, open_sender, settle
from push.start import providers_of
from push.station import Station
from tidewire import log
from tidewire.settings import Settings
from tidewire.settings.tree import Log, Push, Redis

_HOLD_S = 3_600.0


def taken() -> int:
    """Return how many pushes the provider has taken."""
    return tally.kinds["apple", "message", ""].sent


async def run(station: Station, count: int) -> None:
    """Send so many of those that wait."""
    started, goal = perf_counter(), taken() + count
    station.breaker.ok()
    station._room.set()
    while taken() < goal:
        await asyncio.sleep(0.005)
    print("done", perf_counter() - started, flush=True)


async def single(sender: Sender, station: Station, count: int) -> None:
    """Queue and send one after the other."""
    station.breaker.ok()
    station._room.set()
    took_ms: list[float] = []
    for job in jobs(count):
        started, goal = perf_counter(), taken() + 1
        await sender.add([job])
        while taken() < goal:
            await asyncio.sleep(0.0005)
        took_ms.append((perf_counter() - started) * 1000)
        await asyncio.sleep(0.01)
    cuts = quantiles(took_ms, n=100)
    print("single", cuts[49], cuts[98], flush=True)


async def main() -> None:
    """Do what standard input says."""
    config, ca_file, apns_url, redis_url, in_flight = sys.argv[1:]
    push = Push(mattermost_config=config, ca_file=ca_file, apns_url=apns_url, in_flight=int(in_flight))
    log.setup(Log(level="error"), process="push")
    providers, wrong = providers_of(push)
    assert not wrong, wrong
    loop = asyncio.get_running_loop()
    async with open_sender(Settings(redis=Redis(url=redis_url), push=push), providers) as sender:
        station = sender.stations[TARGET]
        settle()
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            word, count = line.split()
            await (run(station, int(count)) if word == "run" else single(sender, station, int(count)))
            station.breaker.pause(monotonic(), _HOLD_S)


if __name__ == "__main__":
    uvloop.run(main())
