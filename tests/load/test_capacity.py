"""`tidewire loadtest capacity` finds the number of users at which a target breaks, and stops when it is asked to."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.serve import ROOT, Serve

# 50 of the users write, the others listen: 90 users are the most that keep this.
LIMITS = """
error_share = 0
[figures]
gaps = 0
receivers = { at_most = 40 }
"""


def start(server: Serve, folder: Path, *words: str) -> "subprocess.Popen[str]":
    (folder / "limits.toml").write_text(LIMITS)
    where = ["--data-dir", str(server.data_dir), "--targets", str(folder / "limits.toml")]
    flags = ["--most", "120", "--time", "1s", "--report", str(folder / "report"), *words]
    flags += ["--post-rate", "20", "--authors", "5"]
    command = [sys.executable, "-m", "tidewire", "loadtest", "capacity", "firehose", *where, *flags]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_it_finds_the_largest_number_that_holds(two_gateways: Serve, tmp_path: Path) -> None:
    run = start(two_gateways, tmp_path, "--host", two_gateways.url, "--start", "60", "--precision", "0.3")
    output, errors = run.communicate(timeout=150)
    assert run.returncode == 0, output + errors
    report = tmp_path / "report"
    found = json.loads((report / "capacity.json").read_text())
    assert [(step["users"], step["held"]) for step in found["steps"]] == [(60, True), (120, False), (90, True)]
    assert (found["largest_held"], found["smallest_broke"], found["ended"]) == (90, 120, "found")
    assert found["broke"] == ["receivers was 70, wanted ≤ 40"]
    assert "90 users held; broke at 120 users: receivers was 70, wanted ≤ 40" in output
    assert "60 users: all 3 targets held" in output  # how far it is, as it goes
    for step in found["steps"]:
        assert (report / step["report"]).exists()
        assert step["server_cores"]["api-1"] > 0 and step["requests_per_s"] > 5
    assert "90 users kept all targets" in (report / "capacity.html").read_text()


def test_ctrl_c_leaves_what_was_found(two_gateways: Serve, tmp_path: Path) -> None:
    run = start(two_gateways, tmp_path, "--host", two_gateways.url, "--start", "60")
    assert run.stdout is not None
    for line in run.stdout:
        if line.startswith("120 users …"):
            break
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 4, output + errors
    found = json.loads((tmp_path / "report" / "capacity.json").read_text())
    assert [(step["users"], step["held"]) for step in found["steps"]] == [(60, True)]
    assert found["ended"] == "stopped while 120 users were tried; that step does not count"
    assert "60 users held; stopped while 120 users were tried" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--start", "0"], "start is 1 to most"),
        (["--host", "http://127.0.0.1:9", "--tokens", "{here}"], "http://127.0.0.1:9 does not answer"),
    ],
)
def test_what_cannot_begin_says_why(two_gateways: Serve, tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "tokens").write_bytes(b"\xff\n")
    run = start(two_gateways, tmp_path, *(word.format(here=tmp_path / "tokens") for word in words))
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 1, output
    assert message in errors
    assert "Traceback" not in errors
