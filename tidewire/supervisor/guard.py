"""Two processes, so that nothing outlives `tidewire serve`, however it ends.

    guard (the pid that the user sees) ── supervisor (its own session) ── children (a session each)

The guard only waits and passes signals on. If it dies, the supervisor reads the end of a pipe and stops everything.
If the supervisor dies, its children fall to the guard (PR_SET_CHILD_SUBREAPER), which kills them. PR_SET_PDEATHSIG
would not do: it is lost when a child changes its uid, and reaches direct children only.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

from tidewire.supervisor.processes import adopt_orphans, end_strays

# Not SIGHUP: that is what a closing terminal sends, and then everything ends.
RESTART = signal.SIGUSR1
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, RESTART)


def guarded(supervise: Callable[[int], int]) -> int:
    """Run `supervise(pipe)` in a process of its own; return its exit status when nothing of it is left.

    pipe: reads as ended once the guard is dead. `supervise` starts with PASSED_ON blocked, and unblocks them when it
    can handle them. Must be called before any thread exists.
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

    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(supervisor, number)

    for number in PASSED_ON:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup wants SIGHUP ignored
            signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    _, status = os.waitpid(supervisor, 0)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    end_strays(known=())
    if os.WIFSIGNALED(status):
        sys.stderr.write(f"tidewire: the supervisor was ended by signal {os.WTERMSIG(status)}\n")
        return 1
    return os.waitstatus_to_exitcode(status)
