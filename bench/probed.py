"""A gateway whose event loop is watched: `python -m bench.probed`, configured like `tidewire gateway`.

A callback is queued anew each time it runs, so it runs once in every turn of the loop, which therefore never sleeps;
the time from one to the next is how long that turn held everything else up. For each line on standard input prints
"held MS CPU_MS GC_MS TURNS": since the last line the longest turn, the longest by the thread's CPU time, the longest
collection of garbage, and how many turns there were.
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
        self._collected_at = 0.0
        self._begin()
        self._loop.call_soon(self._turn)
        self._loop.add_reader(sys.stdin.fileno(), self._tell)
        gc.callbacks.append(self._on_collection)

    def _begin(self) -> None:
        self._held = self._cpu = self._collection = 0.0
        self._turns = 0
        self._at, self._cpu_at = time.perf_counter(), time.thread_time()

    def _turn(self) -> None:
        self._loop.call_soon(self._turn)
        at, cpu_at = time.perf_counter(), time.thread_time()
        self._held = max(self._held, at - self._at)
        self._cpu = max(self._cpu, cpu_at - self._cpu_at)
        self._at, self._cpu_at = at, cpu_at
        self._turns += 1

    def _on_collection(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collected_at = time.thread_time()
        else:
            self._collection = max(self._collection, time.thread_time() - self._collected_at)

    def _tell(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self._loop.remove_reader(sys.stdin.fileno())  # the bench has ended, and ends us
            return
        figures = " ".join(f"{1000 * value:.3f}" for value in (self._held, self._cpu, self._collection))
        print(f"held {figures} {self._turns}", flush=True)
        self._begin()


async def main() -> None:
    """Serve until killed."""
    async with serving(load()):
        Probe()
        await asyncio.Event().wait()


if __name__ == "__main__":
    gc.freeze()  # as gateway.main.run does
    uvloop.run(main())
