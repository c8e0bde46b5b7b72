"""When the reader of the bus lets events gather."""

from tidewire.bus.redis_reader import BUSY, NOT_YET, Pace

GATHER_S = 0.001


def waits(pace: Pace, answers: list[tuple[int, float]]) -> list[float]:
    """Return the wait after each answer (entries, how long it took to come)."""
    return [pace.next_wait_s(entries, took_s) for entries, took_s in answers]


def test_a_lone_event_is_never_waited_with() -> None:
    assert not any(waits(Pace(GATHER_S), [(1, 0.01), (1, 0.0002), (40, 0.5)] * 100))


def test_a_wait_follows_several_answers_that_came_at_once() -> None:
    found = waits(Pace(GATHER_S), [(1, 0.0002)] * BUSY)
    assert found == [0.0] * (BUSY - 1) + [GATHER_S]


def test_it_goes_on_while_it_brings_several_entries_and_ends_with_the_first_answer_that_took_long() -> None:
    pace = Pace(GATHER_S)
    waits(pace, [(1, 0.0002)] * BUSY)
    assert waits(pace, [(5, 0.0001)] * 9 + [(5, 0.002), (5, 0.0001)]) == [GATHER_S] * 9 + [0.0, 0.0]


def test_a_wait_that_brings_next_to_nothing_is_not_repeated_soon() -> None:
    """One event follows the other's delivery: to wait only makes both late."""
    found = waits(Pace(GATHER_S), [(1, 0.0002)] * 1000)
    assert sum(1 for wait_s in found if wait_s) <= 1000 // (BUSY - NOT_YET) + 1


def test_none_at_all_when_it_is_turned_off() -> None:
    assert not any(waits(Pace(0), [(9, 0.0)] * 100))
