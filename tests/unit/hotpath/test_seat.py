"""Connections and users as small objects, and the table of connection ids: both implementations."""

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath import seat as compiled
from hotpath.reference import seat as reference

BOTH = pytest.mark.parametrize("seats", [compiled, reference], ids=["compiled", "reference"])
# Some end alike, which is all that the table looks at first; some are short.
IDS = st.sampled_from(
    [f"{n}".rjust(26, "x") for n in range(40)] + [f"{n}".ljust(26, "x") for n in range(9)] + ["a", "b", ""]
)


@BOTH
def test_what_a_seat_remembers(seats):
    one = seats.Seat(7, "127.0.0.1", 8, 1.5, 100.0)
    assert (one.slot, one.remote, one.bits, one.state, one.greeted) == (7, "127.0.0.1", 8, 0, False)
    assert (one.user_id, one.session_id, one.connection_id, one.expires_at) == ("", "", "", 0)
    assert (one.seen_at, one.allowance, one.allowance_at) == (1.5, 100.0, 1.5)
    assert one.waiting is one.looks_at is one.welcome is None
    one.session_id, one.connection_id, one.user_id = "s" * 26, "short", "u"
    one.expires_at, one.greeted, one.state = 1 << 62, True, 3
    assert one.state == 3
    assert (one.session_id, one.connection_id, one.user_id) == ("s" * 26, "short", "u")
    assert (one.expires_at, one.greeted) == (1 << 62, True)
    one.waiting, one.welcome = [(b"x", True)], 0
    one.waiting.append((b"y", False))
    one.waiting, welcome = None, one.welcome
    assert (one.waiting, welcome, one.looks_at) == (None, 0, None)
    one.welcome = None
    one.session_id = "t"
    assert (one.session_id, one.welcome) == ("t", None)


@BOTH
@pytest.mark.parametrize("wrong", ["x" * 27, "a\0b", "ä"])
def test_ids_have_their_form(seats, wrong):
    one = seats.Seat(7, "", 0, 0.0, 0.0)
    one.connection_id = "before"
    for name in ("session_id", "connection_id"):
        with pytest.raises(ValueError):
            setattr(one, name, wrong)
    assert one.connection_id == "before"
    table = seats.SeatTable()
    table.add(one)
    assert table.get(wrong) is None
    assert wrong not in table


@BOTH
def test_an_owner_holds_none_one_or_many(seats):
    owner = seats.Owner("ann", "system_user", b"keys", -1)
    assert (owner.user_id, owner.roles, owner.keys, owner.n, owner.connections) == (
        "ann",
        "system_user",
        b"keys",
        -1,
        (),
    )
    some = [seats.Seat(n, "", 0, 0.0, 0.0) for n in range(3)]
    for count in (1, 3, 2, 0):
        owner.connections = tuple(some[:count])
        assert owner.connections == tuple(some[:count])
    owner.connections += (some[2],)
    assert owner.connections == (some[2],)


@given(st.lists(st.tuples(st.booleans(), IDS), max_size=120))
def test_tables_match_the_twin(steps):
    ours, twin = compiled.SeatTable(), reference.SeatTable()
    there: dict[str, tuple[object, object]] = {}
    for number, (add, name) in enumerate(steps):
        if add:
            pair = compiled.Seat(number, "", 0, 0.0, 0.0), reference.Seat(number, "", 0, 0.0, 0.0)
            for table, one in zip((ours, twin), pair, strict=True):
                one.connection_id = name
                table.add(one)
            there[name] = pair
        else:
            stranger = compiled.Seat(0, "", 0, 0.0, 0.0)
            stranger.connection_id = name
            ours.discard(stranger)  # another with the same id stays
            if name in there:
                for table, one in zip((ours, twin), there.pop(name), strict=True):
                    table.discard(one)
        assert len(ours) == len(twin) == len(there)
        assert (name in ours) == (name in twin) == (name in there)
    for name, (one, other) in there.items():
        assert ours[name] is ours.get(name) is one
        assert twin[name] is other
    for table in (ours, twin):
        with pytest.raises(KeyError):
            table["nobody"]
    assert bool(ours) == bool(there)


def test_a_table_holds_its_seats_and_lets_them_go():
    table, one = compiled.SeatTable(), compiled.Seat(1, "", 0, 0.0, 0.0)
    one.connection_id = "x"
    before = sys.getrefcount(one)
    table.add(one)
    table.add(one)
    assert sys.getrefcount(one) == before + 1
    table.discard(one)
    table.discard(one)
    assert sys.getrefcount(one) == before
    table.add(one)
    del table
    assert sys.getrefcount(one) == before


def test_the_collector_does_not_look_at_them():
    assert not gc.is_tracked(compiled.Seat(1, "", 0, 0.0, 0.0))
    assert not gc.is_tracked(compiled.Owner("", "", b"", 0))
