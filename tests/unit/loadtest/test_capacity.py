"""Which numbers a search for capacity tries, and what is made of what came of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest.capacity.climb import Climb, Step
from loadtest.capacity.result import as_json, render, save
from loadtest.capacity.search import Search
from tests.unit.loadtest.test_report import EMPTY, HOSTILE, ROW, Page


def tried(search: Search, holds: Callable[[int], bool]) -> list[int]:
    numbers = []
    while users := search.next():
        numbers.append(users)
        search.note(users, holds(users))
        assert len(numbers) < 50
    return numbers


@pytest.mark.parametrize(
    ("limit", "numbers", "held", "broke"),
    [
        (450, [100, 200, 400, 800, 600, 500, 450], 450, 500),
        (99, [100, 50, 75, 87, 93], 93, 100),
        (5000, [100, 200, 400, 800, 1000], 1000, 0),
        (1000, [100, 200, 400, 800, 1000], 1000, 0),
        (0, [100, 50, 25, 12, 6, 3, 1], 0, 1),
    ],
)
def test_it_ends_at_the_limit(limit, numbers, held, broke):
    search = Search(100, 1000)
    assert tried(search, lambda users: users <= limit) == numbers
    assert (search.held, search.broke) == (held, broke)


def test_small_factors_and_precisions_still_end():
    search = Search(1, 100, factor=1.01, precision=0.001)
    tried(search, lambda users: users <= 37)
    assert (search.held, search.broke) == (37, 38)
    for wrong in ((0, 10), (11, 10), (1, 10, 1.0), (1, 10, 2.0, 0.0), (1, 10, 2.0, 1.0)):
        with pytest.raises(ValueError, match="start is"):
            Search(*wrong)


def step(users: int, broke: tuple[str, ...] = (), *, why: str = "", cpu_s: float = 1.0) -> Step:
    found: dict[str, Any] = EMPTY | {
        "rows": {"GET /x": ROW}, "load": [{"name": "locust", "pids": [1], "cpu_s": cpu_s, "memory_mib": 1}],
        "server": {"source": "/proc", "processes": [{"name": "api-1", "pids": [2], "cpu_s": 2.0}], "counters": {}},
    }  # fmt: skip
    return Step(users, 3 if broke or why else 0, broke, why, f"{users}/report.html", found)


def climbed() -> Climb:
    search = Search(100, 1000)
    for users, held in ((100, True), (200, False), (150, True)):
        search.note(users, held)
    broke = (f"p99_ms was 900, wanted ≤ {HOSTILE}",)
    return Climb(search, [step(100), step(200, broke, cpu_s=3.9), step(150)], "found")


def test_the_result_names_the_largest_that_held_and_what_broke(tmp_path: Path):
    found = as_json("users", "http://h", climbed())
    assert (found["largest_held"], found["smallest_broke"]) == (150, 200)
    assert found["broke"] == [f"p99_ms was 900, wanted ≤ {HOSTILE}"]
    assert found["load_generator_full"] == ["locust used 98% of a core"]
    assert found["steps"][0]["server_cores"] == {"api-1": 0.5}
    assert found["steps"][0]["p99_ms"] == {"GET /x": 12}
    page = Page(render(found))
    assert "150 users kept all targets" in page.text and "200 users did not" in page.text
    assert "may be the limit of the load generator" in page.text
    assert {"script", "img", "link"}.isdisjoint(page.tags) and HOSTILE in page.text
    assert [value for name, value in page.attributes if name == "href"] == [f"{n}/report.html" for n in (100, 200, 150)]
    assert save(tmp_path, "users", "http://h", climbed()).read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capacity.html", "capacity.json"]


def test_a_search_that_was_stopped_says_so():
    stopped = Climb(Search(100, 1000), [], "stopped while 100 users were tried; that step does not count")
    page = Page(render(as_json("users", "http://h", stopped)))
    assert "No number of users kept all targets" in page.text and "stopped while 100 users" in page.text


def test_a_step_is_told_in_a_line():
    assert step(100).line() == "100 users: all 0 targets held"
    assert step(200, ("gaps was 3, wanted = 0",), why="gone").line() == "200 users: gaps was 3, wanted = 0; gone"
