"""Which threads of a process go first when there is work for several and one core for all. Linux; elsewhere nothing.

Knows threads by their ids; knows nothing of what they do.
"""

import os
import sys
from contextlib import suppress

# Steps of niceness. A thread that reads a socket has used little of its share, so the kernel lets it interrupt the one
# that makes answers, 3.7 times for each post. With 5 it is 3.1 times and `posts --mix` has 10 % more posts a second (12
# pairs of turns of one process, niceness changed between them: 11 were faster); 15 gained no more.
STEPS = 5
_NICEST = 19


def threads() -> frozenset[int]:
    """Return the ids of this process's threads."""
    return frozenset(map(int, os.listdir("/proc/self/task"))) if sys.platform == "linux" else frozenset()


def put_behind(known: frozenset[int]) -> list[int]:
    """Let all threads but the known ones wait for these, and return their ids; what they start will wait too."""
    later = sorted(threads() - known)
    for thread in later:
        with suppress(ProcessLookupError):  # it has ended
            niceness = os.getpriority(os.PRIO_PROCESS, 0) + STEPS
            os.setpriority(os.PRIO_PROCESS, thread, min(niceness, _NICEST))
    return later
