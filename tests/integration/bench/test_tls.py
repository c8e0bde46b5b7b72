"""The bench of TLS runs from end to end on a small crowd, so that it does not rot. Figures do not count."""

import subprocess
import sys

from bench.machine import ROOT
from tests.integration.bench.test_fanout import INVALID


def test_small_crowds() -> None:
    flags = ["--connections", "10", "--events", "3", "--pairs", "1", "--settle-s", "0"]
    words = [sys.executable, "-m", "bench.tls", *flags]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == INVALID, done.stderr
    for word in ("plain", "TLS", "CPU µs per delivery"):
        assert word in done.stdout
