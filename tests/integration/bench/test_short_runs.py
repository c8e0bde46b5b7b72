"""The other benches of the fan-out run from end to end on small crowds. Their figures do not count."""

import subprocess
import sys

import pytest

from bench.machine import ROOT
from bench.pairs import INVALID

RUNS = {
    "bystanders": ("--others 30 3 --pairs 1 --seconds 0.05", ["beside 30 others", "gaps in seq: 0"]),
    "crowd": (
        "--connections 60 --gateways 2 --members 20 --seconds 1 --to-channels 30",
        ["events at clients: 660 of 660; 11 to 11 at one client", "gaps in seq: 0: complete"],
    ),
    "latency": ("--connections 20 --pairs 1 --seconds 0.2", ["p99, target", "gaps in seq: 0"]),
    "reader": (
        "--shards 3 --turns 1 --events 300 --rates 0 500",
        ["shards: 3, 300 events", "as fast as Redis takes them", "500/s", "CPU µs per event and process"],
    ),
    "stall": (
        "--connections 30 --turns 1 --rounds 2",
        ["1 at a time", "8 at a time", "longest turn", "gaps in seq: 0"],
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_short_run(name: str) -> None:
    flags, lines = RUNS[name]
    words = [sys.executable, "-m", "bench", name, *flags.split()]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, INVALID), done.stderr
    for line in lines:
        assert line in done.stdout
