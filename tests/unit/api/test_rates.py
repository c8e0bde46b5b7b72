"""The allowance of a caller: how much at once, how fast it comes back, who is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from api.rates import Gcra

LIMITS = {"per_s": 10, "burst": 4, "size": 100}


def test_a_burst_and_then_one_by_one() -> None:
    gcra = Gcra()
    verdicts = [gcra.take("u", 100.0, **LIMITS) for _ in range(6)]
    assert [one.remaining for one in verdicts] == [4, 3, 2, 1, 0, 0]
    assert [one.wait_s > 0 for one in verdicts] == [False] * 5 + [True]
    assert round(verdicts[-1].wait_s, 6) == 0.1
    assert not gcra.take("other", 100.0, **LIMITS).wait_s
    assert gcra.take("u", 100.05, **LIMITS).wait_s > 0
    assert not gcra.take("u", 100.11, **LIMITS).wait_s
    # What is refused costs nothing: half a second later five are let through again.
    assert not any(gcra.take("u", 100.65, **LIMITS).wait_s for _ in range(5))


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_no_pattern_gets_more_than_rate_and_burst(pauses: list[float]) -> None:
    gcra, now, taken = Gcra(), 0.0, 0
    for pause in pauses:
        now += pause
        taken += not gcra.take("u", now, **LIMITS).wait_s
        assert taken <= 1 + LIMITS["burst"] + now * LIMITS["per_s"] + 1e-6


def test_the_least_recently_seen_are_forgotten_first() -> None:
    gcra = Gcra()
    limits = {"per_s": 1, "burst": 0, "size": 2}
    for name in ("a", "b", "a", "c"):
        gcra.take(name, 0.0, **limits)
    assert not gcra.take("b", 0.0, **limits).wait_s  # forgotten
    assert gcra.take("c", 0.0, **limits).wait_s
