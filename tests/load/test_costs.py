"""`tidewire loadtest run costs` measures a real server, and `size` reckons with what it wrote."""

import json
import re
import subprocess
import sys
from pathlib import Path

from loadtest.sizing.costs import load_costs
from tests.fixtures.serve import ROOT, Serve

SMALL = ["--phase", "0.6", "--settle", "0.2", "--post-rate", "30", "--boot-rate", "6", "--open-rate", "20"]


def tidewire(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tidewire", "loadtest", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)


def test_costs_are_measured_and_used(two_gateways: Serve, tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text("error_share = 0\n[figures]\ngaps = 0\n")
    where = ["--targets", str(tmp_path / "limits.toml")]  # memory of 40 connections is lost in what the server has free
    where += ["--host", two_gateways.url, "--data-dir", str(two_gateways.data_dir), "--report", str(tmp_path / "r")]
    done = tidewire("run", "costs", "--users", "40", *where, *SMALL, "--costs", str(tmp_path / "costs.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    costs = load_costs(tmp_path / "costs.json")
    found = json.loads((tmp_path / "r" / "report.json").read_text())
    assert {name: found["figures"][name] for name in costs.costs} == {n: one.value for n, one in costs.costs.items()}
    posts, heard = map(int, re.findall(r"\d+", costs.costs["delivery_us"].from_.replace(",", "")))
    assert (posts, heard) == (18, 18 * 40)  # everybody is in the channel and has a socket
    assert found["swarm"]["counts"]["posted"] == heard
    assert found["rows"]["POST post"]["count"] == found["server"]["counters"]["mattermost_post_total"] == 36
    assert costs["post_gateways"] == 2
    for name in ("post_api_us", "post_postgres_us", "boot_api_us", "open_api_us", "login_gateway_us"):
        assert costs[name] > 10, name
    assert costs["boot_api_us"] > costs["post_api_us"]  # thirty calls and one
    assert costs["gateway_bytes"] > 10_000_000 and 500 < costs["delivery_bytes"] < 3000
    assert costs.measured["command"].startswith("tidewire loadtest run costs --phase 0.6 --sockets 40")
    sized = tidewire("size", "--users", "1000", "--peak-online", "300", "--posts-per-user", "20", "--costs",
                     str(tmp_path / "costs.json"), "--json")  # fmt: skip
    assert sized.returncode == 0, sized.stderr
    answer = json.loads(sized.stdout)
    (api,) = [step for step in answer["steps"] if (step["section"], step["what"]) == ("API", "busy at the peak")]
    loads = {step["what"]: step["value"] for step in answer["steps"] if step["section"] == "Load at the peak"}
    by_hand = (
        loads["posts"] * costs["post_api_us"]
        + loads["channels opened"] * costs["open_api_us"]
        + loads["starts of the web app"] * costs["boot_api_us"]
    ) / 1e6
    assert abs(api["value"] - by_hand) < 1e-9
    assert not answer["costs_shipped"] and answer["measured"] == costs.measured
