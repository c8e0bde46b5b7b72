"""How a swarm is split, and what is refused before anything is connected."""

import io
from pathlib import Path
from typing import Any

import pytest

from loadtest.runner import Run, where
from loadtest.swarm.child import read_tokens as tokens_of
from loadtest.swarm.herd import CannotRun, Plan, resolve, side_by_side, split
from loadtest.swarm.histogram import Histogram
from loadtest.swarm.tally import Tally
from loadtest.swarm.wire import Report, read_report, write_report
from loadtest.tokens import read_tokens


def report(pid: int, *numbers: float, **more: Any) -> Report:
    """Return a report of "storm". numbers: from wall_s to last_opened."""
    empty = {"counts": {}, "times": {}, "errors": {}, "opened": [], "marks": []}
    return Report(pid, "storm", *numbers, **(empty | more))


FRESH = {"fresh": Histogram(1, 7, 7, 7, {7: 1})}
REPORT = report(1, 1.0, 0.25, 5000, 1000, 4, 0, 9, 10.0, 12.0, counts={"frames": 5, "fresh": 1}, times=FRESH,
                errors={"lost: x": 2}, opened=[(3, 99, 7, True)], marks=[(3, 99, 8)])  # fmt: skip


def test_processes_share_connections_within_their_descriptors():
    assert split(10_000, 20_000) == [10_000]
    assert split(10_001, 5_064) == [3334, 3334, 3333]
    with pytest.raises(CannotRun, match="raise the limit"):
        split(10_000, 256)


def test_workers_side_by_side_have_every_client_once():
    plan = Plan(Path("t"), 10, ("127.0.0.1:1",))
    numbers = []
    for index in range(3):
        part = side_by_side(plan, index, 3)
        numbers += range(part.first, part.first + part.connections)
    assert numbers == list(range(10))


def test_tokens_are_read_round_and_round(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("a 1\nb 2\nc 3\n")
    assert b"".join(tokens_of(str(file), 4, 7)) == b"bcabcab"


def test_a_host_that_is_none_is_named():
    assert resolve("127.0.0.2:80") == ("127.0.0.2:80", 0x7F000002, 80)
    for host in ("127.0.0.1", "127.0.0.1:x", "no.such.host.invalid:80", "127.0.0.1:99999999999"):
        with pytest.raises(CannotRun, match=host):
            resolve(host)


def test_a_bad_tokens_file_is_named_with_its_line(tmp_path):
    file = tmp_path / "tokens"
    for text, words in (("", "no users"), ("a b c d e\nx\n", "line 2: 1 words"), ("ä b c d e", "ASCII")):
        file.write_text(text)
        with pytest.raises(CannotRun, match=words):
            read_tokens(file)
    with pytest.raises(CannotRun, match="No such file"):
        read_tokens(tmp_path / "none")
    file.write_text("t u n c m\n")
    assert read_tokens(file)[0].team_id == "m"


def test_reports_come_through_the_pipe_and_a_torn_one_ends_it():
    pipe = io.BytesIO()
    write_report(pipe, REPORT)
    write_report(pipe, REPORT)
    torn = io.BytesIO(pipe.getvalue()[:-1])
    assert read_report(torn) == REPORT
    assert read_report(torn) is None


def test_a_tally_adds_reports_of_several_processes():
    tally = Tally()
    tally.add(REPORT)
    times = {"fresh": Histogram(1, 3, 3, 3, {3: 1})}
    counts = {"frames": 1, "anew": 1}
    other = report(2, 1.0, 0.5, 3000, 1000, 2, 1, 20, 9.0, 15.0, counts=counts, times=times, errors={"lost: x": 1})
    tally.add(other)
    assert (tally.open, tally.connecting, tally.labelled("storm"), tally.labelled("x")) == (6, 1, True, False)
    assert (tally.count("frames"), tally.errors, tally.cpu_s) == (6, {"lost: x": 3}, 0.75)
    assert tally.times["fresh"].count == 2
    storm = tally.connect("storm")
    assert (storm.fresh, storm.anew, storm.opened, storm.took_s, storm.times.count) == (1, 1, 2, 6.0, 2)
    assert (tally.busiest_us, tally.busiest_share, tally.bytes_per_connection) == (20, 0.5, 1000.0)


def test_without_locust_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("loadtest.runner.find_spec", lambda name: None)
    with pytest.raises(CannotRun, match=r"Locust is not installed: .* -m pip install 'locust>=[\d.]+' "):
        where(Run("storm"), tmp_path)
