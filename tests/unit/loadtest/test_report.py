"""The page of a report, and what it is made of."""

import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from loadtest.report import document, machine
from loadtest.report.page import render
from loadtest.report.plots import Line, dot_chart, line_chart, linear, logarithmic
from loadtest.report.processes import Watch, listening, serving
from loadtest.report.reporter import errors
from loadtest.report.scrape import COUNTERS, metrics_url, parse
from loadtest.timeline import Moment, Slice, merged
from tidewire.wire.ids import new_id

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'
ROW = {"count": 10, "error_share": 0.1, "p50_ms": 3, "p90_ms": 5, "p99_ms": 12, "p999_ms": 80, "max_ms": 81}
EMPTY: dict[str, Any] = {
    "suite": "firehose", "host": "http://h", "took_s": 4.0, "partial": False, "broken": "", "notes": [], "targets": [],
    "environment": {"command": "c", "time": "now", "machine": machine.machine(), "suite": {}, "server": {}},
    "topology": {}, "error_share": 0.0, "requests_per_s": 0.0, "rows": {}, "figures": {}, "errors": {}, "swarm": None,
    "server": {"source": "", "processes": [], "counters": {}}, "load": [], "timeline": [],
}  # fmt: skip
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting, and keeps tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def full(name: str) -> dict[str, Any]:
    """A report in which everything that has a name has this one."""
    figures = {f"{what} {name}": 1.5 for what in ("server_cpu_s", "server_memory_mib", "load_cpu_s", "load_memory_mib",
                                                  "lag_ms", "queue", "server_sockets")}  # fmt: skip
    figures |= {"users": 3, "sockets_open": 4, "events": 7}
    part = {"count": 5, "failures": 1, "p50_ms": 3.0, "p99_ms": 12.0, "most_ms": 81.0}
    use = {"name": name, "pids": [1, 2], "cpu_s": 1.0, "memory_mib": 3.0}
    swarm = {"times": {"delivery": {"count": 3.0, "p99_ms": 5.0}}, "most_open": 4, "counts": {"frames": 9, "gaps": 0},
             "cpu_us_per_frame": 0.61, "cpu_s": 1.0, "processes": 1, "busiest_share_of_a_core": 0.2,
             "bytes_per_connection": 130}  # fmt: skip
    environment = EMPTY["environment"] | {"command": name, "suite": {"locust": name}, "server": {"Version": name}}
    return EMPTY | {
        "suite": name, "host": name, "partial": True, "broken": name, "notes": [name], "environment": environment,
        "targets": [{"what": name, "limit": "≤ 1", "found": None, "met": False}],
        "topology": {"host": name, "gateways": [name], "server_processes": {name: [1, 2]}},
        "rows": {name: ROW, f"WS {name}": ROW, "WS event": ROW | {"max_ms": 0.0}}, "errors": {name: 2}, "swarm": swarm,
        "server": {"source": "/proc", "processes": [use], "counters": {name: 7.0}}, "load": [use],
        "timeline": [{"at_s": at, "rows": {name: part, f"WS {name}": part}, "figures": figures} for at in (1.0, 2.1)],
    }  # fmt: skip


def test_hostile_names_are_text_and_nothing_else():
    html = render(full(HOSTILE))
    page = Page(html)
    assert {"script", "img"}.isdisjoint(page.tags)
    assert page.text.count(HOSTILE) >= 10  # legends, tables, charts
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_page_needs_nothing_from_outside():
    html = render(full("GET /api/v4/users/me"))
    page = Page(html)
    assert {"script", "link", "img", "iframe", "object", "a"}.isdisjoint(page.tags)
    assert not [name for name, _ in page.attributes if name in {"src", "href", "xlink:href", "srcset", "style"}]
    assert not re.search(r"https?://|url\(|@import", html)
    for words in ("1 of 1 targets missed", "Broken off", "0.61 CPU µs a frame", "Event loop lag", "Queue depths",
                  "Server: CPU by process", "nothing measured"):  # fmt: skip
        assert words in page.text


def test_a_report_of_nothing_is_a_page_too():
    page = Page(render(EMPTY))
    assert "All 0 targets met" in page.text
    assert "Nothing is known of the server's processes" in page.text


def test_axes_end_at_round_numbers_and_hold_all_values():
    assert linear(107).ticks == (0, 25, 50, 75, 100, 125)
    assert linear(0).high > 0
    assert ">1<" in line_chart([Line("nothing", [(1, 0), (2, 0)])], "ms", 2)
    axis = logarithmic([3, 80, 0])
    assert (axis.low, axis.high) == (2, 100)
    assert axis.place(2) == 0 and axis.place(100) == 1 and 0 < axis.place(3) < axis.place(80) < 1
    assert logarithmic([5]).high >= 50
    assert logarithmic([]).ticks


def test_a_line_is_broken_where_nothing_was_measured():
    svg = line_chart([Line("a<b", [(1, 1), (2, 2), (3, None), (4, 1), (5, float("nan")), (6, 2), (7, 2)])], "ms", 7)
    assert svg.count("<polyline") == 2 and svg.count("<circle") == 1  # two stretches and a lone point
    long = line_chart([Line("x", [(60, 1), (1200, 2)])], "ms", 1200)
    assert ">minutes<" in long and ">seconds<" not in long
    dots = dot_chart([("a<b", [1, 2, 3, 4])])
    assert dots.count("<circle") == 4 and "a&lt;b" in dots and "a<b" not in dots
    long_name = "GET /api/v4/users/{user_id}/teams/{team_id}/channels/categories/and/more"
    assert ">GET /api…" in dot_chart([(long_name, [1, 2, 3, 4])])


def test_two_moments_as_one_keep_counts_and_the_worst():
    early = Moment(1, {"a": Slice(3, 1, 5, 9, 9), "b": Slice(1, 0, 1, 1, 1)}, {"events": 3, "lag_ms x": 8, "users": 1})
    late = Moment(2, {"a": Slice(2, 0, 7, 8, 8)}, {"events": 4, "users": 2, "server_cpu_s x": 3})
    assert merged(early, late) == Moment(
        2, {"a": Slice(5, 1, 7, 9, 9), "b": Slice(1, 0, 1, 1, 1)},
        {"events": 7, "lag_ms x": 8, "users": 2, "server_cpu_s x": 3},
    )  # fmt: skip


METRICS = """# HELP tidewire_bus_waiting x
tidewire_bus_waiting{process="api-1"} 3
tidewire_bus_waiting{process="api-2"} 4.0
mattermost_http_requests_total 12
tidewire_push_waiting{process="push-1",target="a,b}\\"x"} 2
tidewire_push_waiting{process="push-1",target="c"} 5
mattermost_api_time_sum{handler="x"} 9
process_cpu_seconds_total nonsense
"""


def test_rows_of_metrics_are_summed_by_process():
    assert parse(METRICS, "h:1") == {
        ("tidewire_bus_waiting", "api-1"): 3, ("tidewire_bus_waiting", "api-2"): 4,
        ("mattermost_http_requests_total", "h:1"): 12, ("tidewire_push_waiting", "push-1"): 7,
    }  # fmt: skip
    assert "mattermost_http_requests_total" in COUNTERS


@pytest.mark.parametrize(
    ("given", "asked"),
    [("h:8067", "http://h:8067/metrics"), ("http://h/", "http://h/metrics"), ("https://h/own/path", "https://h/own/path")],
)
def test_a_metrics_address_may_be_short(given, asked):
    assert metrics_url(given) == asked


def test_a_process_is_watched_with_its_children_and_keeps_what_it_used():
    burn = "import sys, time; a = time.process_time()\nwhile time.process_time() < a + 0.2: pass\nsys.stdin.read()"
    watch = Watch([])
    child = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE)
    try:
        watch = Watch([child.pid])
        deadline = time.monotonic() + 20
        while sum(use.cpu_s for use in watch.look().values()) < 0.15:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (use,) = watch.uses.values()
        assert use.pids == [child.pid] and use.memory_bytes > 1_000_000
    finally:
        child.communicate()
    assert watch.look() == watch.uses and use.cpu_s >= 0.15
    assert (use.memory_bytes, use.most_bytes > 1_000_000) == (0, True)


def test_who_listens_is_found_and_who_serves_a_folder(tmp_path: Path):
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert listening([int(child.stdout.readline())]) == [child.pid]
        assert serving(tmp_path) == []
        (tmp_path / "serve.lock").write_text(f"{child.pid}\n")
        assert serving(tmp_path) == []  # another program has that number now
    finally:
        child.communicate("\n")


def test_what_follows_a_flag_of_secrets_is_not_shown():
    words = ["locust", "--tokens", "FILE", "--password", "hush", "--push-key=hush", "--users", "3"]
    assert machine.shown(words) == "locust --tokens FILE --password … --push-key=… --users 3"


def test_a_report_that_was_left_half_way_gets_its_page(tmp_path: Path):
    assert document.finish(tmp_path) is None
    assert document.save(tmp_path / "a", EMPTY, page=False) == tmp_path / "a" / "report.json"
    assert document.finish(tmp_path / "a") == tmp_path / "a" / "report.html"
    assert document.finish(tmp_path / "a") is None
    assert document.save(tmp_path / "b.json", EMPTY) == tmp_path / "b.html"
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["b.html", "b.json", "report.html", "report.json"]


def test_failures_are_told_by_kind():
    class Error:
        method, name = "POST", "/posts"

        def __init__(self, error: str, occurrences: int) -> None:
            self.error, self.occurrences = error, occurrences

    found: Any = [Error(f"400 request {new_id()} of {number % 2}", 2) for number in range(6)]
    assert errors(found) == {"POST /posts: 400 request … of 0": 6, "POST /posts: 400 request … of 1": 6}
    found = [Error("often", 5), *(Error(f"kind {number}", 1) for number in range(60))]
    told = errors(found)
    assert (next(iter(told)), len(told), told["of other kinds"]) == ("POST /posts: often", 51, 11)
