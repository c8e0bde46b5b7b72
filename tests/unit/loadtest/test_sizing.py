"""The arithmetic of a sizing, by hand; and docs/sizing.md."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.report.processes import Use
from loadtest.sizing.command import installation, size_command
from loadtest.sizing.costs import SHIPPED, WANTED, Cost, Costs, load_costs, save_costs
from loadtest.sizing.meter import Meter, kind_of
from loadtest.sizing.model import Installation, size
from loadtest.sizing.text import inputs, lines, page
from loadtest.swarm.herd import CannotRun

MIB = 1 << 20
MACHINE = {"cpu": "C", "cores": 2, "kernel": "K", "python": "3"}
MEASURED = {"time": "then", "command": "cmd", "revision": "abc", "server": {"Version": "11"}, "machine": MACHINE}
VALUES = dict.fromkeys(WANTED, 0.0) | {
    "post_api_us": 250, "post_balancer_us": 40, "post_postgres_us": 300, "post_redis_us": 20, "post_gateway_us": 10,
    "post_gateways": 2, "post_bytes": 2000, "delivery_us": 5, "delivery_bytes": 900,
    "boot_api_us": 8000, "boot_balancer_us": 2000, "boot_postgres_us": 9000, "boot_redis_us": 100, "boot_bytes": 50_000,
    "open_api_us": 1000, "open_balancer_us": 200, "open_postgres_us": 900, "open_redis_us": 10, "open_bytes": 20_000,
    "login_gateway_us": 150, "login_postgres_us": 50, "connection_bytes": 1000, "connection_kernel_bytes": 3000,
    "connection_us_per_s": 1, "api_bytes": 60 * MIB, "gateway_bytes": 35 * MIB, "push_bytes": 45 * MIB,
    "balancer_bytes": 50 * MIB, "redis_bytes": 10 * MIB, "postgres_bytes": 200 * MIB,
}  # fmt: skip
COSTS = Costs(MEASURED, {name: Cost(value, "phase of " + name) for name, value in VALUES.items()})
# 12 posts/s, 1,200 deliveries/s, 10 channels opened/s, 1 start/s, 12 starts/s when all come back.
PLAN = Installation(
    14_400, 3_600, 20, peak_share=0.15, audience=100, opens_per_hour=10, starts_per_hour=1, return_s=300, busy=0.5,
    gateway_connections=1_000,
)  # fmt: skip


def test_the_sums_are_those_of_a_pencil():
    result = size(PLAN, COSTS)
    load = {step.what: step.value for step in result.sections[0][1]}
    assert load == {"posts": 12, "deliveries": 1200, "channels opened": 10, "starts of the web app": 1,
                    "starts while all come back": 12}  # fmt: skip
    parts = {part.name: part for part in result.parts}
    # 12 × 250 + 10 × 1000 + 12 × 8000 = 109,000 µs a second, of half a core each
    assert (parts["API"].cores, parts["API"].processes) == (pytest.approx(0.109), 1)
    assert parts["API"].memory_mib == 60
    # 3,600 connections, 1,000 each; 1200 × 5 + 12 × 150 + 3600 × 1 + 12 × 4 readers × 10 µs
    assert (parts["gateway"].processes, parts["gateway"].cores) == (4, pytest.approx(0.01188))
    assert parts["gateway"].memory_mib == pytest.approx(4 * 35 + 3600 * 4000 / MIB)
    # 12 × 300 + 10 × 900 + 12 × 9000 + 12 × 50
    assert parts["PostgreSQL"].cores == pytest.approx(0.1212)
    # four readers instead of two: 12 × 2 × 20 + 10 × 10 + 12 × 100
    assert parts["Redis"].cores == pytest.approx(0.00178)
    assert parts["balancer"].cores == pytest.approx(0.02648)  # 12 × 40 + 10 × 200 + 12 × 2000
    # 1200 × 900 + 12 × 2000 + 10 × 20,000 + 12 × 50,000 = 1,904,000 bytes a second
    assert result.network_mbit == pytest.approx(1.904 * 1.05 * 8)
    assert result.cores == 1  # 0.27034 busy ÷ 0.5
    assert result.memory_mib == pytest.approx(60 + 140 + 3600 * 4000 / MIB + 200 + 10 + 50 + 45)
    assert result.warnings == []


def test_more_than_a_process_holds_becomes_more_processes():
    busier = replace(PLAN, audience=3_600, users=1_440_000)  # 1,200 posts/s, 4,320,000 deliveries/s
    result = size(busier, COSTS)
    gateway = result.parts[1]
    # 21.6 for deliveries, 0.0018 log-ins, 0.0036 idle = 21.6054; each spends 0.012 of its 0.5 on reading
    assert gateway.processes == 45  # 44.27
    assert gateway.cores == pytest.approx(21.6054 + 45 * 0.012)
    assert gateway.cores / gateway.processes <= PLAN.busy
    assert result.warnings == ["Redis would use 0.54 of its only core: this is more than one bus carries."]
    drowned = size(replace(PLAN, users=72_000_000), COSTS)  # 60,000 posts/s × 10 µs in each gateway
    assert any("more gateways do not help" in warning for warning in drowned.warnings)


def test_a_post_is_not_heard_by_more_than_are_online():
    assert size(replace(PLAN, peak_online=10), COSTS).sections[0][1][1].value == 120


def test_each_line_can_be_done_again_from_what_stands_in_it():
    for _, steps in size(replace(PLAN, users=1_440_000), COSTS).sections:
        for step in steps:
            text = step.formula.replace(",", "").replace("/s", "").replace("10⁶", "10**6")
            if any(word in text for word in ("larger", "measurement", " for reading", "MiB")):
                continue  # words between the numbers
            text = text.replace("×", "*").replace("÷", "/")
            text = "".join(char if char in "0123456789.()+*/−" else " " for char in text).replace("−", "-")
            found = eval(" ".join(text.split()))
            if "rounded up" in step.formula:
                assert 0 <= step.value - found < 1, step
            else:
                assert found == pytest.approx(step.value, rel=2e-3, abs=2), step


def test_it_says_of_every_input_where_it_is_from():
    plan = replace(PLAN, assumed=frozenset({"audience", "busy"}))
    result = size(plan, COSTS)
    text = "\n".join(lines(plan, COSTS, result, shipped=False))
    for name in inputs(result):
        (line,) = [line for line in text.splitlines() if line.strip().startswith(f"{name} = ")]
        if name in WANTED:
            assert line.endswith(f"measured: phase of {name}")
        else:
            assert line.endswith("assumed" if name in plan.assumed else "given")
    assert set(inputs(result)) >= {*WANTED} - {"push_bytes", "postgres_bytes", "redis_bytes", "balancer_bytes"}
    for words in ("from your file, measured then", "command   cmd", "revision  abc, server 11", "machine   C, 2 cores"):
        assert words in text


def test_a_file_of_costs_is_whole_or_refused(tmp_path: Path):
    file = tmp_path / "costs.json"
    save_costs(file, COSTS)
    assert load_costs(file) == COSTS
    whole = json.loads(file.read_text())
    slips: list[tuple[dict[str, Any] | str, str]] = [
        ("{", "is no file of costs"),
        ({**whole, "more": 1}, "is no file of costs"),
        ({**whole, "costs": {k: v for k, v in whole["costs"].items() if k != "boot_bytes"}}, "lacks boot_bytes"),
        ({**whole, "costs": {**whole["costs"], "boot_bytes": {"value": -1, "from": "x"}}}, "boot_bytes: not from 0 on"),
    ]
    for slip, message in slips:
        file.write_text(slip if isinstance(slip, str) else json.dumps(slip))
        with pytest.raises(CannotRun, match=message):
            load_costs(file)
    with pytest.raises(CannotRun, match="No such file"):
        load_costs(tmp_path / "none")


@pytest.mark.parametrize(
    ("numbers", "wishes"),
    [((0, 1, 1), {}), ((5, 0, 1), {}), ((5, 501, 1), {}), ((5, 1, -1), {}), ((5, 1, 1), {"busy": 0}),
     ((5, 1, 1), {"busy": 1.1}), ((5, 1, 1), {"return_s": -3}), ((5, 1, 1), {"return_s": float("nan")})],
)  # fmt: skip
def test_what_cannot_be_sized_is_refused(numbers, wishes):
    with pytest.raises(CannotRun):
        installation(*numbers, wishes)


def test_what_nobody_gave_is_assumed():
    plan = installation(10, 5, 0, {"busy": None, "audience": 3})
    assert (plan.assumed, plan.audience, plan.busy) == (frozenset({"busy"}), 3, 0.6)


def test_the_command_prints_lines_or_json(capsys: pytest.CaptureFixture[str]):
    size_command(users=1000, peak_online=300, posts_per_user=20)
    assert "For 1,000 users, 300 online at the peak" in capsys.readouterr().out
    size_command(users=1000, peak_online=300, posts_per_user=20, as_data=True)
    found = json.loads(capsys.readouterr().out)
    assert found["cores"] >= 1 and found["steps"] and found["costs_shipped"] and found["measured"]["revision"]
    with pytest.raises(SystemExit) as refused:
        size_command(users=1000)
    assert refused.value.code == 1 and "--peak-online" in capsys.readouterr().err


def test_the_page_in_docs_is_what_the_shipped_costs_give():
    committed = SHIPPED.parents[2] / "docs" / "sizing.md"
    assert committed.read_text() == page(load_costs()), "run `make docs`"


def test_processes_are_counted_by_kind_beyond_their_rest():
    uses = {"api": Use(), "api-1": Use(1.0, 100), "api-2": Use(0.0, 50), "gateway-1": Use(), "gateway-2": Use(0, 7),
            "postgres": Use(), "valkey-server": Use(0, 9), "caddy": Use()}  # fmt: skip
    meter = Meter(lambda: uses)

    def work() -> None:
        uses["api-1"].cpu_s += 0.5
        uses["api-2"].cpu_s += 0.25
        uses["postgres"].cpu_s += 0.1

    reading = meter.during(work, {"postgres": 1e12})
    assert reading.cpu_us("api") == pytest.approx(750_000)
    assert reading.cpu_us("postgres") == 0  # less than at rest
    assert (reading.processes("api"), reading.processes("gateway"), reading.processes("redis")) == (2, 2, 1)
    memory = meter.memory()
    assert (memory["api"], memory["gateway"], memory["redis"]) == (150, 7, 9) and memory["kernel"] > 0
    assert [kind_of(name) for name in ("push-1", "redis-server", "apish", "serve")] == ["push", "redis", "", ""]
    with pytest.raises(CannotRun, match="no process of postgres, redis is seen"):
        Meter(lambda: {"api-1": Use(), "gateway-1": Use()})
