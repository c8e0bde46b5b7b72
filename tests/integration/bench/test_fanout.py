"""The fan-out bench runs from end to end on a small crowd, so that it does not rot. Its figures are not looked at."""

import subprocess
import sys

from bench.machine import ROOT

# The bench ends with 3 where its figures do not count: too few pairs here, and never a quiet machine.
INVALID = 3


def test_small_crowd_in_bursts() -> None:
    flags = ["--connections", "40", "--burst", "3", "--pairs", "1", "--seconds", "0.05"]
    words = [sys.executable, "-m", "bench.fanout", *flags]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == INVALID, done.stderr
    assert "40 connections, events of 690 bytes, 3 at a time" in done.stdout
    assert "gaps in seq: 0" in done.stdout
