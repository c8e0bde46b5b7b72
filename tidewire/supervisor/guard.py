"""Two processes, so that nothing outlives `tidewire serve`, however it ends.

    guard (the pid that the user sees) ── supervisor (its own session) ── children (a session each)

The guard only waits and passes signals on. If it dies, the supervisor reads the end of a pipe and stops everything.
If the supervisor has not ended some time after a signal to stop, whatever holds it, the guard kills it.
If the supervisor dies, its children fall to the guard (PR_SET_CHILD_SUBREAPER), which kills them. PR_SET_PDEATHSIG
would not do: it is lost when a child changes its uid, and reaches direct children only.
"""

import contextlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from time import monotonic
from types import FrameType

from tidewire.supervisor.processes import adopt_orphans, end_strays

# Not SIGHUP: that is what a closing terminal sends, and then everything ends.
RESTART = signal.SIGUSR1
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, RESTART)
STOP_S = 8.5  # above what the supervisor's own bounds come to; 10 s are promised
STRAYS_S = 1.0


def guarded(supervise: Callable[[int], int], stop_s: float = STOP_S) -> int:
    """Run `supervise(pipe)` in a process of its own; return its exit status when nothing of it is left.

    pipe: reads as ended once the guard is dead. `supervise` starts with PASSED_ON blocked, and unblocks them when it
    can handle them. stop_s: what it may take after a signal to stop. Must be called before any thread exists.
    """
    ours, theirs = os.pipe()
    adopt_orphans()
    # No signal may fall between fork and the handlers: it would end one process and not the other.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    sys.stdout.flush()
    supervisor = os.fork()
    if supervisor == 0:
        os.close(theirs)
        os.setsid()  # Ctrl-C reaches the guard only, once
        adopt_orphans()
        status = 70
        try:
            status = supervise(ours)
        except BaseException:  # this process's edge: what ends here is our bug, and must be seen
            traceback.print_exc()
        finally:
            # Not sys.exit: what the guard's stack would clean up is the guard's.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(ours)
    status, killed = _wait(supervisor, stop_s)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    left = end_strays(known=(), patience_s=STRAYS_S)
    if killed:
        sys.stderr.write(f"tidewire: the supervisor did not stop within {stop_s:g} s\n")
    if left:
        sys.stderr.write(f"tidewire: the kernel still holds {left} processes\n")
    if os.WIFSIGNALED(status):
        sys.stderr.write(f"tidewire: the supervisor was ended by signal {os.WTERMSIG(status)}\n")
        return 1
    return os.waitstatus_to_exitcode(status)


def _wait(supervisor: int, stop_s: float) -> tuple[int, bool]:
    """Pass signals on until the supervisor has ended; return its status, and whether it had to be killed."""
    deadline = float("inf")

    def pass_on(number: int, _: FrameType | None) -> None:
        nonlocal deadline
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor, number)
        if number != RESTART:
            deadline = min(deadline, monotonic() + stop_s)

    # Signals are heard through a pipe: one that came just before a blocking waitpid() would be handled after it only.
    hear, wake = os.pipe()
    os.set_blocking(hear, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in PASSED_ON:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup wants SIGHUP ignored
            signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    while True:
        ended, status = os.waitpid(supervisor, os.WNOHANG)
        left_s = deadline - monotonic()
        if ended or left_s <= 0:
            break
        select.select([hear], [], [], min(left_s, 3600))
        with contextlib.suppress(BlockingIOError):
            os.read(hear, 4096)
    if not ended:
        os.kill(supervisor, signal.SIGKILL)
        _, status = os.waitpid(supervisor, 0)
    return status, not ended
