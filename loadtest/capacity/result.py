"""What a climb found: capacity.json, and capacity.html, which is made of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtest.capacity.climb import Climb, Step
from loadtest.report import machine
from loadtest.report.document import replace_file
from loadtest.report.page import Chart, template
from loadtest.report.plots import Line, figure, line_chart


def save(folder: Path, suite: str, host: str, found: Climb) -> Path:
    """Write both files; return the page. Raises: OSError."""
    data = as_json(suite, host, found)
    replace_file(folder / "capacity.json", json.dumps(data, indent=1) + "\n")
    replace_file(folder / "capacity.html", render(data))
    return folder / "capacity.html"


def as_json(suite: str, host: str, found: Climb) -> dict[str, Any]:
    """Return the result. largest_held, smallest_broke: users, 0 if none; broke: what missed its target then."""
    broke = next((step for step in found.steps if step.users == found.search.broke), None)
    return {
        "suite": suite,
        "host": host,
        "time": machine.now(),
        "largest_held": found.largest_held,
        "smallest_broke": found.search.broke,
        "broke": list(broke.broke) + ([broke.why] if broke.why else []) if broke else [],
        "load_generator_full": list(broke.full) if broke else [],
        "ended": found.ended,
        "environment": found.steps[-1].found.get("environment") if found.steps else None,
        "steps": [_step(step) for step in found.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    found = step.found
    took_s = max(1e-9, found.get("took_s", 0.0))

    def shares(processes: Any) -> dict[str, float]:
        return {one["name"]: round(one["cpu_s"] / took_s, 4) for one in processes}

    return {
        "users": step.users,
        "held": step.held,
        "broke": list(step.broke),
        "why": step.why,
        "report": step.folder,
        "requests_per_s": found.get("requests_per_s", 0.0),
        "error_share": found.get("error_share", 0.0),
        "p99_ms": {name: row["p99_ms"] for name, row in found.get("rows", {}).items() if row["max_ms"]},
        "server_cores": shares(found.get("server", {}).get("processes", ())),
        "load_cores": shares(found.get("load", ())),
    }


def render(data: Mapping[str, Any]) -> str:
    """Return the page."""
    steps = sorted(data["steps"], key=lambda step: step["users"])
    charts = [
        _chart("p99 by action", "ms, p99", steps, "p99_ms", log=True),
        _chart("Server: CPU by process", "% of a core", steps, "server_cores", factor=100),
        _chart("Load generator: CPU by process", "% of a core", steps, "load_cores", factor=100),
    ]
    return template("capacity.html").render(data=data, charts=[chart for chart in charts if chart])


def _chart(title: str, unit: str, steps: Any, what: str, *, factor: float = 1, log: bool = False) -> Chart | None:
    names = {name for step in steps for name in step[what]}
    lines = [
        Line(name, [(step["users"], step[what][name] * factor) for step in steps if name in step[what]])
        for name in names
    ]
    lines = sorted(lines, key=lambda line: (-line.most, line.label))[:8]
    if not lines:
        return None
    svg = line_chart(lines, unit, max(step["users"] for step in steps), log=log, along="users")
    return Chart(title, svg, [(f"c{number}", line.label, figure(line.most)) for number, line in enumerate(lines)])
