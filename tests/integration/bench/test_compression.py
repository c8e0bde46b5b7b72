"""The compression bench runs on a small crowd, so that it does not rot. Only its count of bytes is looked at."""

import subprocess
import sys

from bench.machine import ROOT
from bench.pairs import INVALID


def test_small_crowd() -> None:
    words = [sys.executable, "-m", "bench.compression", "--connections", "20", "--pairs", "2", "--events", "5"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, INVALID), done.stderr
    ratio = next(line for line in done.stdout.splitlines() if "bytes ratio" in line)
    assert float(ratio.split()[2]) < 0.6
