"""Where a moved connection goes on: places, what lies behind them, and when that cannot be told."""

from gateway import history
from gateway.history import History
from tidewire.bus.contract import Events


def batch(shard: int, *places: int, size: int = 1) -> Events:
    entries = [(f"c:{at}", at, b"x" * size) for at in places]
    return Events(entries, [(shard, len(entries))], [(at, 0) for at in places])


def numbers(past: History, *places: int) -> list[int] | None:
    found = past.since([(at, 0) for at in places])
    return None if found is None else [n for _, n, _ in found]


def make(*starts: int) -> History:
    past = History(len(starts))
    past.begin([(at, 0) for at in starts])
    return past


def test_what_has_been_applied_counts_not_what_has_been_read() -> None:
    past = make(4)
    stretch = past.add(batch(0, 5, 6, 7), 0)
    assert past.positions() == [(4, 0)]
    assert numbers(past, 4) == []
    stretch.done = 2
    assert past.positions() == [(6, 0)]
    assert past.reached([(6, 0)]) and not past.reached([(7, 0)])
    assert numbers(past, 4) == [5, 6]
    assert numbers(past, 5) == [6]
    stretch.done = 3
    past.add(batch(0, 8), 0)
    assert past.positions() == [(7, 0)]
    assert numbers(past, 5) == [6, 7]


def test_places_before_the_start_are_not_known() -> None:
    past = make(4)
    assert numbers(past, 3) is None
    past.begin([(0, 0)])  # only the first call counts
    assert numbers(past, 3) is None
    assert numbers(past, 4) == []


def test_shards_stand_for_themselves() -> None:
    past = make(0, 0)
    past.add(batch(0, 1, 2), 0).done = 2
    past.add(batch(1, 1, 2, 3), 0).done = 3
    assert numbers(past, 1, 2) == [2, 3]
    assert not past.reached([(3, 0), (3, 0)])


def test_a_batch_of_many_shards_counts_for_each_as_far_as_it_is_applied() -> None:
    past = make(0, 0, 0)
    entries = [(f"c:{n}", n, b"") for n in range(1, 6)]
    stretch = past.add(Events(entries, [(2, 2), (0, 3)], [(1, 0), (2, 0), (1, 0), (2, 0), (3, 0)]), 0)
    for done, expected in ((0, [0, 0, 0]), (1, [0, 0, 1]), (2, [0, 0, 2]), (4, [2, 0, 2]), (5, [3, 0, 2])):
        stretch.done = done
        assert past.positions() == [(at, 0) for at in expected]
    assert numbers(past, 0, 0, 1) == [3, 4, 5, 2]
    past.restart(0)
    past.add(batch(1, 1), history.KEEP_S + 1).done = 1
    assert past.positions() == [(0, 0), (1, 0), (2, 0)]
    assert numbers(past, 0, 0, 1) is None
    assert numbers(past, 3, 0, 2) == [1]


def test_the_old_goes_and_is_known_to_be_gone() -> None:
    past = make(0)
    past.add(batch(0, 1), 0).done = 1
    past.add(batch(0, 2), 1).done = 1
    past.add(batch(0, 3), history.KEEP_S + 0.5).done = 1
    assert numbers(past, 0) is None
    assert numbers(past, 1) == [2, 3]


def test_it_has_a_limit() -> None:
    past = make(0)
    for at in range(1, 6):
        past.add(batch(0, at, size=history.LIMIT_BYTES // 2), 0).done = 1
    assert numbers(past, 2) is None
    assert numbers(past, 3) == [4, 5]


def test_a_stream_that_is_read_again_tells_nothing_until_it_is_past() -> None:
    past = make(0)
    past.add(batch(0, 1, 2), 0).done = 2
    past.restart(0)
    assert past.positions() == [(0, 0)]
    assert numbers(past, 0) is None
    past.add(batch(0, 1, 2, 3), 0).done = 3
    assert past.positions() == [(3, 0)]
    assert numbers(past, 1) is None
    assert numbers(past, 2) == [3]


def test_a_repetition_is_found() -> None:
    past = make(0)
    entries = [("c:a", 1, b""), ("c:b", 1, b""), ("c:a", 1, b"")]
    past.add(Events(entries, [(0, 3)], [(1, 0), (2, 0), (3, 0)]), 0).done = 3
    assert past.had("c:a", 1, [(2, 0)])
    assert not past.had("c:b", 1, [(1, 0)])
