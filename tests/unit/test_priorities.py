"""Threads are put behind others, and their own with them; those that were known stay as they are."""

import os
import sys
import threading

import pytest

from tidewire import priorities

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="niceness of single threads is Linux's")


class Waiting:
    """A thread that waits, and starts one of its own when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.ids: list[int] = []
        self.ready = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.acquire(timeout=30)

    def run(self) -> None:
        self.ids.append(threading.get_native_id())
        self.ready.release()
        self.go.wait()
        if len(self.ids) == 1:
            child = threading.Thread(target=self.run)
            child.start()
            child.join()

    def nicenesses(self) -> list[int]:
        return [os.getpriority(os.PRIO_PROCESS, thread) for thread in self.ids]


def test_those_that_came_later_wait() -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    early = Waiting()
    known = priorities.threads()
    late = Waiting()
    try:
        assert late.ids[0] in priorities.put_behind(known)
        behind = min(own + priorities.STEPS, 19)
        assert early.nicenesses() == [own] and late.nicenesses() == [behind]
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    finally:
        early.go.set()
        late.go.set()
    early.thread.join(30)
    late.thread.join(30)
