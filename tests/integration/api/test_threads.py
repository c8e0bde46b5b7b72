"""In a worker, the thread that makes answers goes before those that read and write sockets."""

import asyncio
import os
import sys

import pytest

from tests.fixtures.api import People
from tests.fixtures.doomed import doomed_beside
from tidewire.priorities import STEPS


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of single threads is Linux's")
async def test_the_server_waits_for_answers(people: People) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    async with doomed_beside(people) as api, asyncio.timeout(30):
        while True:
            nicenesses = {
                process.pid: {one.id: os.getpriority(os.PRIO_PROCESS, one.id) for one in process.threads()}
                for process in api.processes()[1:]
            }
            if any(min(own + STEPS, 19) in of_threads.values() for of_threads in nicenesses.values()):
                break
            await asyncio.sleep(0.05)
        assert all(of_threads[pid] == own for pid, of_threads in nicenesses.items())
