"""The ends of processes are bounded: of strays, of the supervisor itself. A child's is in tests/serve."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tidewire.supervisor import processes

GUARDED = """
import os, signal, sys, time
from tidewire.supervisor.guard import guarded

def supervise(pipe):
    {work}

sys.exit(guarded(supervise, stop_s={stop_s}))
"""


def test_strays_that_cannot_be_ended_are_left_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel holds a killed process while its disk does not answer; here the signal just does not arrive."""
    stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    known = {pid for pid in processes.children(os.getpid()) if pid != stray.pid}
    try:
        with monkeypatch.context() as patch:
            patch.setattr(processes, "_kill", lambda pid, number: None)
            assert processes.end_strays(known, 0.1) == 1
        assert processes.end_strays(known, 1000) == 0
    finally:
        stray.kill()
        stray.wait()


def guarded(work: str, stop_s: float = 0.3) -> "subprocess.Popen[str]":
    program = GUARDED.format(work=work, stop_s=stop_s)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_supervisor_that_does_not_stop_is_killed() -> None:
    guard = guarded("print(os.getpid(), flush=True); time.sleep(1000)")  # with the signals blocked, as it started
    assert guard.stdout is not None
    supervisor = int(guard.stdout.readline())
    guard.send_signal(signal.SIGINT)
    _, errors = guard.communicate(timeout=100)
    assert guard.returncode == 1
    assert "did not stop within 0.3 s" in errors
    with pytest.raises(ProcessLookupError):
        os.kill(supervisor, 0)


def test_a_restart_sets_no_limit_and_a_stop_passes_its_status_on() -> None:
    work = (
        "signal.signal(signal.SIGUSR1, lambda *_: print('again', flush=True));"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(7));"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGTERM]);"
        "print('ready', flush=True)\n    while True: time.sleep(1000)"
    )
    guard = guarded(work, stop_s=1.5)  # a busy machine takes its time for an end, too
    assert guard.stdout is not None
    assert guard.stdout.readline() == "ready\n"
    guard.send_signal(signal.SIGUSR1)
    assert guard.stdout.readline() == "again\n"
    time.sleep(1.6)  # above its limit for a stop
    assert guard.poll() is None
    guard.send_signal(signal.SIGTERM)
    _, errors = guard.communicate(timeout=100)
    assert (guard.returncode, errors) == (7, "")
