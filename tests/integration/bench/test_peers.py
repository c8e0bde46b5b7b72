"""The bench beside other servers runs from end to end on a small crowd; a peer that is not installed is named."""

import subprocess
import sys

from bench.machine import ROOT
from bench.pairs import INVALID


def test_small_crowd_beside_those_that_are_installed() -> None:
    flags = ["--connections", "20", "--pairs", "1", "--seconds", "0.05"]
    words = [sys.executable, "-m", "bench", "peers", *flags]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, INVALID), done.stderr
    for name in ("nchan", "uWebSockets"):
        if f"{name}: left out, it is not installed. To have it: " in done.stdout:
            continue
        for burst in (1, 8):
            block = done.stdout.split(f"20 connections, events of 690 bytes, {burst} at a time")
            assert any(part.rstrip().rpartition("\n")[2].startswith(name) for part in block[:-1])
    assert done.stdout.count("gaps in seq: 0") == done.stdout.count("at a time")
