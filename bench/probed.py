"""A gateway whose event loop is watched: `python -m bench.probed`, configured like `tidewire gateway`.

A callback is queued anew each time it runs, so it runs once in every turn of the loop, which therefore never sleeps;
the time from one to the next is how long that turn held everything else up. For each line on standard input prints
"held MS CPU_MS TURNS": the longest turn since the last line, the CPU time of this thread in it, and how many turns
there were.
"""

import asyncio
import gc
import os
import sys
import time

import uvloop

from gateway.main import serving
from tidewire.settings import load


class Probe:
    """The longest turn of the running loop since it was last asked for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._at, self._cpu = time.perf_counter(), time.thread_time()
        self._longest = (0.0, 0.0)
        self._turns = 0
        self._loop.call_soon(self._turn)
        self._loop.add_reader(sys.stdin.fileno(), self._tell)

    def _turn(self) -> None:
        self._loop.call_soon(self._turn)
        at, cpu = time.perf_counter(), time.thread_time()
        if at - self._at > self._longest[0]:
            self._longest = at - self._at, cpu - self._cpu
        self._at, self._cpu = at, cpu
        self._turns += 1

    def _tell(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self._loop.remove_reader(sys.stdin.fileno())  # the bench has ended, and ends us
            return
        wall, cpu = self._longest
        print(f"held {wall * 1000:.3f} {cpu * 1000:.3f} {self._turns}", flush=True)
        self._longest, self._turns = (0.0, 0.0), 0
        self._at, self._cpu = time.perf_counter(), time.thread_time()


async def main() -> None:
    """Serve until killed."""
    async with serving(load()):
        Probe()
        await asyncio.Event().wait()


if __name__ == "__main__":
    gc.freeze()  # as gateway.main.run does
    uvloop.run(main())
