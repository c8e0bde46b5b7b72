"""Posts at a fixed rate: all arrive at all receivers, and Locust counts what the swarm counted."""

import json
import subprocess
import sys
from pathlib import Path

from tests.fixtures.serve import ROOT, Serve
from tests.load.conftest import hosts

LIMITS = """
error_share = 0
[rows."POST /api/v4/posts"]
count = 60
[figures]
gaps = 0
receivers = 30
deliveries = { at_least = 1800 }
"""


def test_posts_arrive_at_all_receivers(two_gateways: Serve, tokens: Path, tmp_path: Path) -> None:
    limits, report = tmp_path / "limits.toml", tmp_path / "report.json"
    limits.write_text(LIMITS)
    load = ["--tokens", str(tokens), "--post-rate", "40", "--authors", "12", "--receivers", "30"]
    files = ["--targets", str(limits), "--report", str(report), "--headless", "--only-summary", "-t", "5s"]
    files += ["--host", two_gateways.url]
    gateways = [word for host in hosts(two_gateways) for word in ("--ws-host", host)]
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtest/firehose.py", *load, *files, *gateways],
        cwd=ROOT, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["rows"]["WS delivery"]["count"] == found["swarm"]["counts"]["posted"] == found["figures"]["deliveries"]
    assert found["rows"]["WS event"]["count"] == found["swarm"]["counts"]["events"]
    assert found["rows"]["WS delivery"]["p99_ms"] > 0
