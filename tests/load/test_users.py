"""`tidewire loadtest run users`: small numbers of people who are quicker than people are, on the whole product."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from loadtest.people.behaviour import ACTIONS
from tests.fixtures.flaky_link import flaky_link
from tests.fixtures.serve import Serve
from tests.load.conftest import hosts, run_suite

LIMITS = """
error_share = 0.005
[figures]
gaps = 0
sockets_lost = 0
"""
QUICK = """
[rows."GET /api/v4/license/client"]
p50_ms = 250
"""


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    file = tmp_path / "limits.toml"
    file.write_text(LIMITS)
    return file


async def test_people_live_and_nothing_fails(two_gateways: Serve, limits: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ["--host", two_gateways.url, "--data-dir", two_gateways.data_dir, "--users", "12", "--time", "7s"]
    words += ["--pace", "30", "-r", "12", "--targets", limits, "--report", report]
    status, output = await run_suite("users", *words)
    assert status == 0, output
    found = json.loads(report.read_text())
    rows = found["rows"]
    actions = {name.removeprefix("action ") for name in rows if name.startswith("action ")}
    assert actions <= {action.name for action in ACTIONS} | {"boot"}
    assert len(actions) >= 6, actions
    assert rows["action boot"]["count"] >= 12
    assert rows["WS delivery"]["count"] == found["figures"]["deliveries"] > 0
    assert found["figures"]["sockets"] == 12


async def test_a_slowed_server_misses_its_targets_which_are_named(
    two_gateways: Serve, tokens: Path, limits: Path, tmp_path: Path
) -> None:
    address = urlsplit(two_gateways.url)
    async with flaky_link(str(address.hostname), address.port or 80) as link:
        limits.write_text(LIMITS + QUICK)
        link.delay_s = 0.15  # there and back
        words = ["--host", f"http://127.0.0.1:{link.port}", "--tokens", tokens, "--users", "12", "--time", "7s"]
        gateways = [word for host in hosts(two_gateways) for word in ("--ws-host", host)]
        flags = ["--pace", "10", "-r", "12", "--targets", limits, "--report", tmp_path / "report.json"]
        status, output = await run_suite("users", *words, *gateways, *flags)
    assert status == 3, output
    missed = [line.split("  ")[1] for line in output.splitlines() if line.startswith("MISSED")]
    assert missed == ["GET /api/v4/license/client p50_ms"], output
