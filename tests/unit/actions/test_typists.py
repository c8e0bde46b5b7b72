"""Typing is coalesced by who types where, bounded by channel, and never merged. The clock is the test's."""

import random
from itertools import pairwise

from tidewire.actions.typists import Typists
from tidewire.bus.envelope import Copy, decode_copy


class Desk:
    """Typists with a clock; `told` holds what went out: when, and the copy."""

    def __init__(self, **options: int) -> None:
        self.now = 100.0
        self.told: list[tuple[float, Copy]] = []
        limits = {"min_interval_ms": 1000, "per_channel": 20} | options
        self.typists = Typists(self._publish, lambda: self.now, **limits)

    def _publish(self, copies: list[bytes]) -> None:
        self.told += [(self.now, decode_copy(data)) for data in copies]


def test_at_most_once_in_any_interval() -> None:
    """Also across the border of two intervals, where a count per interval would let two go out."""
    desk, dice = Desk(), random.Random(7)
    places = [(channel, parent, user) for channel in "xy" for parent in ("", "p") for user in ("ann", "bob")]
    for _ in range(20_000):
        desk.now += dice.random() * 0.01
        desk.typists.typing(*dice.choice(places))
    for place in places:
        mine = [at for at, copy in desk.told if _place(copy) == place]
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(mine))
        assert len(mine) >= (desk.now - 100) / 1.25  # who goes on typing is told of again soon after the interval
    assert desk.typists.dropped == 20_000 - len(desk.told)


def _place(copy: Copy) -> tuple[str, str, str]:
    (user,) = copy.omit_users
    return copy.channel_id, "p" if b'"parent_id":"p"' in copy.body else "", user


def test_a_channels_typists_are_bounded_and_each_is_an_event_of_his_own() -> None:
    desk = Desk(per_channel=3)
    for user in "abcde":
        desk.typists.typing("x", "", user)
    desk.typists.typing("y", "", "e")
    assert [_place(copy) for _, copy in desk.told] == [("x", "", "a"), ("x", "", "b"), ("x", "", "c"), ("y", "", "e")]
    assert all(copy.droppable and copy.name == "typing" for _, copy in desk.told)
    desk.now += 1
    desk.typists.typing("x", "", "e")
    assert _place(desk.told[-1][1]) == ("x", "", "e")


def test_memory_is_that_of_two_intervals() -> None:
    desk = Desk(per_channel=10_000)
    for n in range(10_000):
        desk.now += 0.01
        desk.typists.typing("x", "", f"user {n}")
    limit = desk.typists._limit
    assert len(limit._told) + len(limit._told_before) <= 202
