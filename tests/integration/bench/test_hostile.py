"""The bench of hostile sockets runs from end to end on a small crowd, so that it does not rot. Figures do not count."""

import subprocess
import sys

from bench.machine import ROOT
from tests.integration.bench.test_fanout import INVALID
from tests.soak.hostile import KINDS


def test_small_crowd_beside_a_small_mob() -> None:
    flags = ["--connections", "20", "--hostile", "12", "--events", "30", "--pairs", "1"]
    words = [sys.executable, "-m", "bench.hostile", *flags]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == INVALID, done.stderr
    assert "20 well-behaved sockets, 12 hostile ones" in done.stdout
    assert "gaps in seq: 0" in done.stdout
    for kind in KINDS:
        assert f"{kind.__name__} " in done.stdout
