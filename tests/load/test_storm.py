"""`tidewire loadtest run storm`: its figures, its targets, and what it says when something is wrong."""

import json
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loadtest.swarm.herd import raise_limit
from tests.fixtures.flaky_link import flaky_link
from tests.fixtures.serve import ROOT, Serve
from tests.load.conftest import hosts, run_suite
from tests.unit.loadtest.test_crowd import ID, answer, room, say

pytestmark = pytest.mark.alone("it compares latencies with targets")

QUICK = ["--within", "0.4", "--away", "0.2", "--settle", "0.4", "--connect-rate", "400"]
TARGETS = """
error_share = 0
[rows."WS reconnect resumed"]
p50_ms = 700
[figures]
gaps = 0
resume_back_share = 1
resumed_share = 1
afresh_all_back_s = { at_most = 20 }
"""


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "tidewire", "loadtest", "run", "storm", *map(str, words)]


def start(*words: str | Path, **options: Any) -> "subprocess.Popen[str]":
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command(*words), cwd=ROOT, text=True, **pipes)


@pytest.fixture
def files(tmp_path: Path) -> Sequence[Path]:
    """Targets and where the report goes."""
    (tmp_path / "targets.toml").write_text(TARGETS)
    return tmp_path / "targets.toml", tmp_path / "report.json"


def test_everybody_comes_back_and_locusts_figures_are_the_swarms(two_gateways: Serve, files: Sequence[Path]) -> None:
    where = ["--host", two_gateways.url, "--data-dir", two_gateways.data_dir]  # it seeds and finds the gateways
    run = start(*where, "--users", "80", *QUICK, "--rest", "8", "--targets", files[0], "--report", files[1])
    output, errors = run.communicate(timeout=90)
    assert run.returncode == 0, output + errors
    assert "7 of 7 targets met" in output
    report = json.loads(files[1].read_text())
    rows, swarm = report["rows"], report["swarm"]
    assert report["gateways"] == list(hosts(two_gateways))
    assert {name: row["count"] for name, row in rows.items() if name.startswith("WS ") and name != "WS ping"} == {
        "WS connect": 80, "WS reconnect resumed": 80, "WS reconnect afresh": 80, "WS event": swarm["counts"]["events"],
    }  # fmt: skip
    assert (swarm["counts"]["fresh"], swarm["counts"]["resumed"]) == (160, 80)
    calls = {name: row for name, row in rows.items() if "/api/v4/" in name}
    assert len(calls) + len(report["notes"]) >= 10
    assert {(row["count"], row["error_share"]) for row in calls.values()} == {(16, 0)}
    assert all(row["p99_ms"] > 0 for row in calls.values())
    assert report["figures"]["resumed_share"] == 1
    assert report["partial"] is False


async def test_a_slowed_server_misses_its_targets_which_are_named(
    two_gateways: Serve, tokens: Path, files: Sequence[Path]
) -> None:
    host, _, port = hosts(two_gateways)[0].rpartition(":")
    async with flaky_link(host, int(port)) as link:
        link.delay_s = 0.25  # a log-in waits for four of them
        words = ["--host", two_gateways.url, "--ws-host", f"127.0.0.1:{link.port}", "--tokens", tokens, "--users", "30"]
        status, output = await run_suite("storm", *words, *QUICK, "--targets", files[0], "--report", files[1])
    assert status == 3, output
    missed = [line.split("  ")[1] for line in output.splitlines() if line.startswith("MISSED")]
    assert missed == ["WS reconnect resumed p50_ms"]
    verdicts = json.loads(files[1].read_text())["targets"]
    assert [one["what"] for one in verdicts if not one["met"]] == missed


class Api(BaseHTTPRequestHandler):
    """As little of an API as the storm needs, without plugins."""

    def do_GET(self) -> None:
        missing = "/plugins/" in self.path
        body = b'{"status":"OK"}'
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(501 if missing else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@contextmanager
def small_api() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_server_that_dies_leaves_a_partial_report(tmp_path: Path, files: Sequence[Path]) -> None:
    (tmp_path / "tokens").write_text("token user name channel team\n")
    there = threading.Semaphore(0)

    def handler(socket: Any) -> None:
        say(socket, "hello", 0, connection_id=ID)
        there.release()
        answer(socket)

    with room(handler) as port:
        with small_api() as api:
            words = ["--host", f"http://127.0.0.1:{api.server_port}", "--ws-host", f"127.0.0.1:{port}", "--tokens",
                     tmp_path / "tokens", "--users", "4", "--rest", "2", "--report", files[1], "--targets", files[0],
                     "--within", "0.1", "--settle", "1", "--away", "30"]  # fmt: skip
            process = start(*words, stderr=subprocess.STDOUT)
            assert all(there.acquire(timeout=30) for _ in range(4))
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 4, output
    assert "does not answer any more" in output
    assert "broken off: " in output
    report = json.loads(files[1].read_text())
    assert report["partial"]
    assert "does not answer any more" in report["broken"]
    assert report["rows"]["WS connect"]["count"] == 4
    assert report["notes"] == ["left out of the burst, for the server answers 501: GET /plugins/webapp"]
    assert {one["what"] for one in report["targets"] if not one["met"]} >= {"resume_back_share"}


def test_what_cannot_begin_says_why_in_a_line(two_gateways: Serve, tokens: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("x" * 26 + " u n c t\n")
    url, limit = two_gateways.url, (80, 80)
    few = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit)}
    cases: list[tuple[list[str | Path], dict[str, Any], str]] = [
        (["--host", "http://127.0.0.1:9", "--tokens", tokens], {}, "http://127.0.0.1:9 does not answer"),
        (["--host", "http://nobody.invalid"], {}, "is not this machine, so its users must come from a file"),
        (["--host", url, "--tokens", foreign], {}, "does not know the first token of"),
        (["--host", url, "--tokens", tokens, "--users", "1000"], few, "1000 sockets need more descriptors"),
    ]
    assert raise_limit() > 1000
    runs = [start(*words, "--data-dir", two_gateways.data_dir, **options) for words, options, _ in cases]
    for run, (words, _, message) in zip(runs, cases, strict=True):
        output, errors = run.communicate(timeout=90)
        assert run.returncode == 1, (words, output, errors)
        assert message in errors
        assert "Traceback" not in errors
