"""Twenty seconds of `make fuzz`: the frame parser under inputs that nobody thought of."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.build import BLIND, BUILT, LIBFUZZER, build, engine
from tests.fuzz.fuzz import run
from tests.fuzz.seeds import streams

SECONDS = 20
# The seeds alone reach some 190; less means that the parser was not what ran.
LEAST_COVERAGE = 150


@pytest.mark.timeout(600)  # where a compiler must be installed first
def test_no_input_breaks_the_parser(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    which = engine()
    if which == BLIND:
        warnings.warn("no libFuzzer on this machine: the parser's inputs were changed blindly", stacklevel=1)
    outcome = run(build(which), SECONDS, corpus=tmp_path / "corpus", seed=1)
    record_property("fuzz", str(outcome))
    assert not outcome.failed, f"{outcome}; inputs in {BUILT}\n{outcome.report[-6000:]}"
    assert outcome.runs > 10 * len(streams())
    assert which != LIBFUZZER or outcome.coverage >= LEAST_COVERAGE
