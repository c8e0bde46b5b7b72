"""Posts at a fixed rate: all arrive at all receivers, and Locust and the server count what the swarm counted."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fixtures.serve import ROOT, Serve
from tests.load.conftest import hosts, seeded

LIMITS = """
error_share = 0
[rows."POST /api/v4/posts"]
count = 60
[figures]
gaps = 0
receivers = 30
deliveries = { at_least = 1800 }
"""


@pytest.mark.parametrize("processes", [[], ["--processes", "2"]], ids=["one process", "two workers"])
def test_posts_arrive_at_all_receivers(two_gateways: Serve, tmp_path: Path, processes: list[str]) -> None:
    # People of its own: what other tests cut waits for a resume, and hears what its channel hears.
    tokens = seeded(two_gateways, tmp_path / "tokens")
    limits, report = tmp_path / "limits.toml", tmp_path / "report.json"
    limits.write_text(LIMITS)
    load = ["--tokens", str(tokens), "--post-rate", "40", "--authors", "12", "--receivers", "30"]
    files = ["--targets", str(limits), "--report", str(report), "--headless", "--only-summary", "-t", "5s"]
    files += ["--host", two_gateways.url, "--metrics-url", two_gateways.metrics]
    files += ["--data-dir", str(two_gateways.data_dir)]
    gateways = [word for host in hosts(two_gateways) for word in ("--ws-host", host)]
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtest/firehose.py", *processes, *load, *files, *gateways],
        cwd=ROOT, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert found["rows"]["WS delivery"]["count"] == found["swarm"]["counts"]["posted"] == found["figures"]["deliveries"]
    assert found["rows"]["WS event"]["count"] == found["swarm"]["counts"]["events"]
    assert found["rows"]["WS delivery"]["p99_ms"] > 0
    check_report(found, report.with_suffix(".html").read_text())
    assert f"report: {report.with_suffix('.html')}" in done.stdout


def check_report(found: dict[str, Any], page: str) -> None:
    """The report's figures are those of Locust, the swarm and the server."""
    counts, counters, rows = found["swarm"]["counts"], found["server"]["counters"], found["rows"]
    hellos = counts["fresh"]  # events to a client, and not to the gateway's count
    assert counters["tidewire_gate_delivered_total"] == counts["events"] - hellos
    assert counters["mattermost_post_total"] == rows["POST /api/v4/posts"]["count"]
    moments = found["timeline"]
    for name in ("POST /api/v4/posts", "WS delivery", "WS event"):
        assert sum(moment["rows"].get(name, {}).get("count", 0) for moment in moments) == rows[name]["count"]
    assert sum(moment["figures"]["events"] for moment in moments) == counts["events"]
    used = {one["name"]: one for one in found["server"]["processes"]}
    assert {"api-1", "gateway-1", "gateway-2", "postgres", "valkey-server", "caddy"} <= used.keys()
    assert used["api-1"]["cpu_s"] > 0.01 and used["api-1"]["memory_mib"] > 20
    assert {one["name"] for one in found["load"]} == {"locust", "swarm"}
    last = {key: value for moment in moments for key, value in moment["figures"].items()}
    assert last["server_cpu_s api-1"] == pytest.approx(used["api-1"]["cpu_s"], abs=1e-3)
    assert last["swarm_cpu_s"] == pytest.approx(found["swarm"]["cpu_s"], abs=1e-3)
    assert {"lag_ms gateway-1", "lag_ms gateway-2", "queue announcements to publish"} <= last.keys()
    assert found["environment"]["server"]["Version"]
    row = rows["POST /api/v4/posts"]
    assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["p999_ms"] <= row["max_ms"] * 1.1
    for words in ("Event loop lag", "Queue depths", "Server: CPU by process", "CPU µs a frame", "gateway-2"):
        assert words in page


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGKILL, "the run did not come to its end"), (signal.SIGTERM, "stopped after [0-9]+ of 60 s")],
)
def test_a_run_that_is_killed_leaves_a_partial_report(
    two_gateways: Serve, tokens: Path, tmp_path: Path, number: signal.Signals, said: str
) -> None:
    words = ["--host", two_gateways.url, "--data-dir", str(two_gateways.data_dir), "--tokens", str(tokens)]
    words += ["--users", "60", "--report", str(tmp_path / "r")]
    command = [sys.executable, "-m", "tidewire", "loadtest", "run", "firehose", *words]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "r" / "report.json").exists():
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        (locust,) = psutil.Process(run.pid).children()
        (locust if number == signal.SIGKILL else run).send_signal(number)
    finally:
        output, errors = run.communicate(timeout=60)
    assert run.returncode == 4, output + errors
    assert str(tmp_path / "r" / "report.html") in output + errors
    found = json.loads((tmp_path / "r" / "report.json").read_text())
    assert found["partial"] and found["rows"]["WS connect"]["count"] == 10
    assert re.search(said, found["broken"])
    assert f"Broken off, figures are partial: {found['broken']}" in (tmp_path / "r" / "report.html").read_text()
