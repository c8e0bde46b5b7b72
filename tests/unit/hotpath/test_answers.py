"""Answers of Redis: the compiled reader of the bus cuts and shapes like the plain one and like hiredis."""

from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath import Answers, first_wanted, index_of, shape_streams
from hotpath.reference import answers as plain


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


def array(*members: bytes) -> bytes:
    return b"*%d\r\n" % len(members) + b"".join(members)


def entry(place: bytes, *fields: bytes) -> bytes:
    return array(bulk(place), array(*map(bulk, fields)))


def event(n: int) -> bytes:
    return entry(b"5-%d" % n, b"k", b"c:%d" % n, b"n", b"%d" % n, b"e", b"\x94body\r\n" * n)


values = st.recursive(
    st.one_of(
        st.binary(max_size=30).map(bulk),
        st.sampled_from([b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b":12\r\n", b"+OK\r\n", b"-ERR no\r\n"]),
    ),
    lambda inner: st.lists(inner, max_size=4).map(lambda members: array(*members)),
    max_leaves=12,
)
fields = st.one_of(
    st.just((b"k", b"c:1", b"n", b"7", b"e", b"x")),
    st.just((b"c", b"copy")),
    st.lists(st.sampled_from([b"", b"k", b"1", b"-3", b"12x", b" 1", b"9" * 18, b"9" * 19]), max_size=7).map(tuple),
)
places = st.one_of(
    st.sampled_from([b"5-0", b"1790000000000-12", b"9" * 18 + b"-" + b"9" * 18]),
    st.sampled_from([b"", b"5", b"5-", b"-5", b"5-5-5", b"5-5 ", b"x-1", b"1-" + b"9" * 19, b"9" * 19 + b"-1"]),
)
streams = st.lists(
    st.tuples(st.binary(max_size=5), st.lists(st.tuples(places, fields), max_size=4)), max_size=3
).map(lambda all_: array(*[array(bulk(name), array(*[entry(p, *f) for p, f in some])) for name, some in all_]))


@given(st.lists(st.one_of(values, streams), max_size=5), st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_answers_are_cut_where_hiredis_cuts_them(whole: list[bytes], cuts: list[int]) -> None:
    data, ours, theirs = b"".join(whole), Answers(), plain.Answers()
    found, expected = [], []
    for size in [*cuts, len(data)]:
        piece, data = data[:size], data[size:]
        for answers, got in ((ours, found), (theirs, expected)):
            answers.feed(piece)
            while (one := answers.next()) is not None:
                got.append(one)
    assert found == expected == whole
    parser = hiredis.Reader()
    for one in found:
        parser.feed(one)
        assert parser.gets() is not False
        assert parser.gets() is False


def test_answers_are_the_same_wherever_they_are_split() -> None:
    xread = array(
        array(bulk(b"events"), array(event(1), event(2))),
        array(bulk(b"copies"), array(entry(b"7-0", b"c", b"copy"))),
    )
    whole = [b"+OK\r\n", xread, b"*-1\r\n", bulk(b"a\r\nb"), xread]
    data = b"".join(whole)
    pieces = [[data[:at], data[at:]] for at in range(len(data) + 1)]
    for some in [*pieces, [data[at : at + 1] for at in range(len(data))]]:
        for answers in (Answers(), plain.Answers()):
            found = []
            for piece in some:
                answers.feed(piece)
                while (one := answers.next()) is not None:
                    found.append(one)
            assert found == whole
    assert spelled_out(shape_streams(xread)) == spelled_out(plain.shape_streams(xread)) is not None
    for at in range(len(xread)):
        assert shape_streams(xread[:at]) is None
        assert plain.shape_streams(xread[:at]) is None


def spelled_out(shaped: Any) -> Any:
    """Return what Entries hold, as plain objects, before and after the last stream is taken out."""
    if shaped is None:
        return None
    some, found = shaped
    whole = list(some), [some.place(at) for at in range(len(some))], some.size_bytes
    return whole, found, some.take_copies(found[-1][1]), list(some), some.size_bytes


@given(st.one_of(values, streams, st.binary(max_size=40)))
def test_shapes_are_the_plain_twins(raw: bytes) -> None:
    assert spelled_out(shape_streams(raw)) == spelled_out(plain.shape_streams(raw))


def test_what_was_read_in_place_is_what_was_fed() -> None:
    """Small answers, some that are larger than the buffer was, one after which it is given back."""
    small, large = bulk(b"x"), bulk(b"y" * 300_000)
    huge = bulk(b"z" * 2_500_000)
    data = small + large + small + large + huge + small + small[:3]
    for answers in (Answers(), plain.Answers()):
        left, got = data, []
        while left:
            room = answers.get_buffer(65536)
            size = min(len(room), len(left))
            assert size
            room[:size] = left[:size]
            left = left[size:]
            answers.buffer_updated(size)
            while (one := answers.next()) is not None:
                got.append(one)
        assert got == [small, large, small, large, huge, small]
        answers.feed(small[3:])
        assert answers.next() == small
        with pytest.raises(ValueError):
            answers.buffer_updated(1 << 30)


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=20))
def test_garbage_is_refused_alike(data: bytes, cuts: list[int]) -> None:
    ends = []
    for answers in (Answers(), plain.Answers()):
        rest, got = data, []
        try:
            for size in [*cuts, len(data)]:
                piece, rest = rest[:size], rest[size:]
                answers.feed(piece)
                while (one := answers.next()) is not None:
                    got.append(one)
        except ValueError:
            got.append(None)
        ends.append(got)
    assert ends[0] == ends[1]


def test_entries_of_events_and_copies() -> None:
    raw = array(
        array(bulk(b"events"), array(event(1), event(2))),
        array(bulk(b"copies"), array(entry(b"7-0", b"c", b"first"), entry(b"7-1", b"c", b"second"))),
    )
    shaped = shape_streams(raw)
    assert shaped is not None
    events, (first, second) = shaped
    both = [("c:1", 1, b"\x94body\r\n"), ("c:2", 2, b"\x94body\r\n" * 2)]
    fields = b"k", b"c:2", b"n", b"2", b"e", b"\x94body\r\n" * 2
    assert first == (b"events", 2, b"5-2", array(*map(bulk, fields)))
    assert second == (b"copies", 2, b"7-1", array(bulk(b"c"), bulk(b"second")))
    assert (len(events), events.place(3)) == (4, (7, 1))
    with pytest.raises(IndexError):
        events.take_copies(5)
    assert events.take_copies(2) == [b"first", b"second"]
    assert events == both
    assert (events[0], events[-1], events[:5], events[1:]) == (both[0], both[1], both, both[1:])
    assert [events.place(0), events.place(1)] == [(5, 1), (5, 2)]
    for index in (2, -3):
        with pytest.raises(IndexError):
            events[index]
    with pytest.raises(IndexError):
        events.place(2)


def test_entries_are_searched_like_a_list_of_them() -> None:
    shaped = shape_streams(array(array(bulk(b"s"), array(*[event(n) for n in (3, 1, 2, 1)]))))
    assert shaped is not None
    some, layout = shaped[0], (b"H", b"B", b"C", b"A")
    for key, n in (("c:1", 1), ("c:2", 2), ("c:2", 1), ("c:12", 1), ("", 0)):
        assert index_of(some, key, n) == index_of(list(some), key, n)
    assert index_of(some, "c:1", 1) == 1
    assert first_wanted(some, 0, {}, {}, *layout) == first_wanted(list(some), 0, {}, {}, *layout) == 0
    assert first_wanted(some, 4, {}, {}, *layout) == 4


def test_other_answers_are_left_to_the_general_parser() -> None:
    for raw in (b"*-1\r\n", b"*0\r\n", b"+OK\r\n", b"-ERR x\r\n", array(event(1)), array(array(bulk(b"e"), b"*0\r\n"))):
        assert shape_streams(raw) is None
    assert shape_streams(array(array(bulk(b"e"), array(event(1)))) + b"+OK\r\n") is None


def test_a_key_that_is_no_ascii_is_none_of_ours() -> None:
    assert shape_streams(array(array(bulk(b"e"), array(entry(b"1-1", b"k", b"\xff", b"n", b"1", b"e", b"x"))))) is None
