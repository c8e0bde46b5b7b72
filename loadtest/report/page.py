"""The page of a report: one HTML file without anything from outside, made of the report's JSON alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from loadtest.report.plots import PERCENTILES, Line, dot_chart, figure, line_chart
from loadtest.targets import HTTP

_MOST_LINES = 6  # of a chart: more could not be told apart
_MOST_ROWS = 30  # of the dots; the table has all


@dataclass(frozen=True)
class Chart:
    """A chart with its legend: (class of the colour, label, largest value)."""

    title: str
    svg: Markup
    legend: Sequence[tuple[str, str, str]]
    note: str = ""


def render(report: Mapping[str, Any]) -> str:
    """Return the page."""
    took_s = max([report["took_s"], *(moment["at_s"] for moment in report["timeline"][-1:])])
    charts = [chart for chart in _charts(_Moments(report["timeline"]), report, took_s) if chart is not None]
    timed = sorted((item for item in report["rows"].items() if item[1]["max_ms"]), key=lambda item: -item[1]["p99_ms"])
    return template("page.html").render(
        report=report,
        missed=[one for one in report["targets"] if not one["met"]],
        tiles=list(_tiles(report)),
        charts=charts,
        dots=dot_chart([(name, [row[key] for key, _ in PERCENTILES]) for name, row in timed[:_MOST_ROWS]]),
        timed=timed,
        untimed=sorted(item for item in report["rows"].items() if not item[1]["max_ms"]),
        percentiles=PERCENTILES,
    )


@cache
def template(name: str) -> Template:
    """Return a page of this folder."""
    loader = PackageLoader("loadtest.report", ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["figure"] = figure
    return environment.get_template(name)


class _Moments:
    """A timeline, read by column."""

    def __init__(self, moments: Sequence[Mapping[str, Any]]) -> None:
        self._moments = moments
        at = [0.0, *(moment["at_s"] for moment in moments)]
        self.at_s = at[1:]
        self._took_s = [max(1e-3, late - early) for early, late in pairwise(at)]

    def rows(self) -> list[str]:
        """Return the names of all rows, those with the most requests first."""
        counts: dict[str, int] = {}
        for moment in self._moments:
            for name, part in moment["rows"].items():
                counts[name] = counts.get(name, 0) + part["count"]
        return sorted(counts, key=lambda name: (-counts[name], name))

    def of_rows(self, names: Iterable[str], key: str) -> list[tuple[float, float]]:
        """Return a count of some rows together, a second."""
        wanted = set(names)
        sums = [sum(part[key] for name, part in one["rows"].items() if name in wanted) for one in self._moments]
        return [(at, total / took) for at, total, took in zip(self.at_s, sums, self._took_s, strict=True)]

    def of_row(self, name: str, key: str) -> list[tuple[float, float | None]]:
        """Return a percentile of a row; None where nothing was timed."""
        parts = (one["rows"].get(name) for one in self._moments)
        return [(at, part[key] or None if part else None) for at, part in zip(self.at_s, parts, strict=True)]

    def names(self, prefix: str) -> list[str]:
        """Return the second half of all figures' names that begin so."""
        found = {name for one in self._moments for name in one["figures"] if name.startswith(prefix + " ")}
        return sorted(name.removeprefix(prefix + " ") for name in found)

    def gauge(self, name: str) -> list[tuple[float, float]]:
        """Return a figure where it is known."""
        return [(one["at_s"], one["figures"][name]) for one in self._moments if name in one["figures"]]

    def growth(self, name: str, factor: float = 1.0) -> list[tuple[float, float]]:
        """Return how much a figure that only grows grew a second, times a factor."""
        found = [(0.0, 0.0), *self.gauge(name)]
        return [
            (late, max(0.0, factor * (high - low) / max(1e-3, late - early)))
            for (early, low), (late, high) in pairwise(found)
        ]

    def per_s(self, name: str) -> list[tuple[float, float]]:
        """Return a figure that counts what came since the moment before, a second: means of three moments, for what is
        reported once a second comes now in this moment and now in the next."""
        counts = [one["figures"].get(name, 0.0) for one in self._moments]
        spans = [(max(0, at - 1), min(len(counts), at + 2)) for at in range(len(counts))]
        means = [sum(counts[first:end]) / sum(self._took_s[first:end]) for first, end in spans]
        return list(zip(self.at_s, means, strict=True))


def _charts(moments: _Moments, report: Mapping[str, Any], took_s: float) -> Iterable[Chart | None]:
    rows = moments.rows()
    http = [name for name in rows if name.split(" ")[0] in HTTP]
    actions = [name for name in rows if name.split(" ")[0] not in {*HTTP, "WS"}]
    sockets = [name for name in rows if name.startswith("WS ") and report["rows"].get(name, {}).get("max_ms")]

    def chart(title: str, unit: str, lines: Iterable[Line], note: str = "", **options: Any) -> Chart | None:
        shown = [line for line in lines if line.points][: _MOST_LINES + 2]
        if not shown:
            return None
        legend = [(f"c{number}", line.label, figure(line.most)) for number, line in enumerate(shown)]
        return Chart(title, line_chart(shown, unit, took_s, **options), legend, note)

    if http:
        yield chart(
            "HTTP requests", "requests/s",
            [Line("requests", moments.of_rows(http, "count")), Line("failed", moments.of_rows(http, "failures"))],
        )  # fmt: skip
        yield chart(
            "Latency of the most frequent actions" if actions else "Latency of the most frequent requests", "ms, p99",
            [Line(name, moments.of_row(name, "p99_ms")) for name in (actions or http)[:_MOST_LINES]], log=True,
        )  # fmt: skip
    yield chart(
        "Latency of WebSockets: log-in, delivery, ping", "ms",
        [Line(f"{name[3:]} {label}", moments.of_row(name, key)) for name in sockets[:3]
         for key, label in (("p50_ms", "p50"), ("p99_ms", "p99"))],
        log=True,
    )  # fmt: skip
    if sockets:
        yield chart("Sockets of the swarm", "open sockets", [Line("open", moments.gauge("sockets_open"))])
        events = [Line("events", moments.per_s("events"))]
        yield chart("Events received by the swarm", "events/s, mean of 3 moments", events)
    for side, whose in (("server", "Server"), ("load", "Load generator")):
        used = sorted(moments.names(f"{side}_cpu_s"), key=lambda name: -moments.gauge(f"{side}_cpu_s {name}")[-1][1])
        note = "100 % is a full core" + ("; a generator near it measures itself." if side == "load" else ".")
        yield chart(
            f"{whose}: CPU by process", "% of a core",
            [Line(name, moments.growth(f"{side}_cpu_s {name}", 100)) for name in used], note,
        )  # fmt: skip
        yield chart(
            f"{whose}: memory by process", "MiB",
            [Line(name, moments.gauge(f"{side}_memory_mib {name}")) for name in used],
        )  # fmt: skip
    yield chart(
        "Event loop lag of the gateways", "ms, worst",
        [Line(name, moments.gauge(f"lag_ms {name}")) for name in moments.names("lag_ms")],
    )  # fmt: skip
    yield chart(
        "Queue depths", "waiting", [Line(name, moments.gauge(f"queue {name}")) for name in moments.names("queue")]
    )
    yield chart(
        "WebSockets open, as the server says", "sockets",
        [Line(name, moments.gauge(f"server_sockets {name}")) for name in moments.names("server_sockets")],
    )  # fmt: skip
    if any(value for _, value in moments.gauge("users")):
        yield chart("Simulated users", "users", [Line("users", moments.gauge("users"))])


def _tiles(report: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Yield (value, unit, what it is) of what is asked first."""
    rows, swarm = report["rows"], report["swarm"]
    timed = {name: row for name, row in rows.items() if row["max_ms"] and not name.startswith("WS ")}
    if timed:
        yield figure(report["requests_per_s"]), "requests/s", "HTTP, mean of the run"
        slow = max(timed, key=lambda name: timed[name]["p99_ms"])
        yield figure(timed[slow]["p99_ms"]), "ms p99", f"slowest action: {slow}"
    yield figure(100 * report["error_share"]), "%", "of all requests failed"
    if swarm:
        delivery = swarm["times"].get("delivery")
        if delivery:
            yield figure(delivery["p99_ms"]), "ms p99", f"to delivery, of {figure(delivery['count'])}"
        yield figure(swarm["most_open"]), "sockets", "open at once"
        yield figure(swarm["counts"].get("gaps", 0)), "gaps", "in seq"
        yield figure(swarm["cpu_us_per_frame"]), "CPU µs", "of the swarm a frame"
