"""What a run must keep, and what it is told when it does not."""

import pytest

from loadtest.runner import SUITES
from loadtest.swarm.herd import CannotRun
from loadtest.targets import FOLDER, Measured, Row, check, load_targets, table

FILE = """
error_share = 0.01
requests_per_s = 50
[rows."POST /posts"]
p50_ms = 20
p99_ms = 100
error_share = 0
count = 10
[figures]
gaps = 0
resumed_share = { at_least = 0.9, at_most = 1 }
"""


@pytest.fixture
def targets(tmp_path):
    (tmp_path / "t.toml").write_text(FILE)
    return load_targets(tmp_path / "t.toml")


def test_a_run_that_keeps_everything_meets_everything(targets):
    rows = {"POST /posts": Row(10, 0.0, 20, 100)}
    verdicts = check(targets, Measured(0.01, 50, rows, {"gaps": 0, "resumed_share": 0.95}))
    assert len(verdicts) == 9
    assert all(one.met for one in verdicts)
    assert table(verdicts).endswith("9 of 9 targets met")


@pytest.mark.parametrize(
    ("measured", "missed"),
    [
        ({"error_share": 0.02}, {"error share"}),
        ({"requests_per_s": 49}, {"requests/s"}),
        ({"rows": {"POST /posts": Row(10, 0.1, 21, 101)}},
         {"POST /posts p50_ms", "POST /posts p99_ms", "POST /posts error_share"}),
        ({"rows": {"POST /posts": Row(9, 0, 1, 1)}}, {"POST /posts count"}),
        ({"rows": {}}, {f"POST /posts {key}" for key in ("p50_ms", "p99_ms", "error_share", "count")}),
        ({"figures": {"gaps": 1, "resumed_share": 0.8}}, {"gaps", "resumed_share"}),
        ({"figures": {}}, {"gaps", "resumed_share"}),
    ],
)  # fmt: skip
def test_what_falls_short_is_named(targets, measured, missed):
    good = {"error_share": 0.0, "requests_per_s": 60, "rows": {"POST /posts": Row(10, 0.0, 1, 2)},
            "figures": {"gaps": 0, "resumed_share": 1}}  # fmt: skip
    verdicts = check(targets, Measured(**(good | measured)))
    assert {one.what for one in verdicts if not one.met} == missed
    words = [line.split()[0] for line in table(verdicts).splitlines()[:-1]]
    assert words == sorted(words, key=lambda word: word == "met")  # what fell short comes first
    assert words.count("MISSED") == sum(not one.met for one in verdicts)


def test_a_file_with_a_slip_is_refused(tmp_path):
    file = tmp_path / "t.toml"
    for text in ("eror_share = 0", "[rows.x]\np98_ms = 1", "[figures]\nx = 'much'", "= 1"):
        file.write_text(text)
        with pytest.raises(CannotRun, match=r"t\.toml is no file of targets"):
            load_targets(file)
    with pytest.raises(CannotRun, match="No such file"):
        load_targets(tmp_path / "none")


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_every_suite_has_targets_that_can_be_read(suite):
    assert check(load_targets(FOLDER / f"{suite}.toml"), Measured())
