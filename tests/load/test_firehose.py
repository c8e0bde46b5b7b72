"""Locust's suites run against the whole product, for seconds."""

import json
import subprocess
import sys
from pathlib import Path

from tests.fixtures.serve import ROOT, Serve


def test_posts_arrive_at_sampled_receivers(serve: Serve, tmp_path: Path) -> None:
    tokens, base = tmp_path / "tokens", tmp_path / "result"
    plan = ["--users", "40", "--channels", "4", "--channel-members", "10", "--data-dir", str(serve.data_dir)]
    seed = [sys.executable, "-m", "tidewire", "loadtest", "seed", *plan, "--tokens", str(tokens)]
    subprocess.run(seed, cwd=ROOT, check=True, capture_output=True, timeout=60)
    run = ["-f", "loadtest/firehose.py", "--headless", "--only-summary", "-u", "16", "-r", "16", "-t", "6s"]
    load = ["--tokens", str(tokens), "--post-rate", "40", "--authors", "12", "--receivers", "4"]
    where = ["--host", serve.url, "--json-file", str(base), "--exit-code-on-error", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "locust", *run, *load, *where], cwd=ROOT, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {row["name"]: row for row in json.loads(base.with_suffix(".json").read_text())}
    assert figures["POST /posts"]["num_requests"] >= 100
    assert figures["delivery"]["num_requests"] >= 20
    assert figures["connect"]["num_requests"] == 4
    assert not any(row["num_failures"] for row in figures.values())
