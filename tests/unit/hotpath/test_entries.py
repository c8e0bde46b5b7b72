"""Entries of the bus: the compiled functions do what the plain ones do, also with what no producer sends."""

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from hotpath import Entries, first_wanted, shape_streams
from hotpath.reference import entries as plain

LAYOUT = (b"HH", b"BB", b"CC", b"AA")
KEYS = ["c:" + letter * 26 for letter in "abc"] + ["c:short", "c:ü" + "a" * 24, ""]


def envelope(key: str, body: bytes, size: int, tail: bytes) -> bytes:
    head, before, to_channel, after = LAYOUT
    place = head + key.encode()[2:].ljust(28 - len(head) + 2, b".")[: 28 - len(head) + 2]
    return place + before + size.to_bytes(2) + body + to_channel + key.encode()[2:] + after + tail


@st.composite
def data(draw: st.DrawFn, key: str) -> bytes:
    """An envelope of the key or of another one, whole, cut off, or with a byte changed."""
    body = draw(st.binary(max_size=40))
    size = draw(st.sampled_from([len(body), len(body), len(body) + 1, 65_535]))
    made = bytearray(
        envelope(draw(st.sampled_from([key, key, *KEYS])), body, size, draw(st.binary(max_size=3)))
    )
    if draw(st.booleans()):
        made[draw(st.integers(0, len(made) - 1))] ^= 1
    return bytes(made[: draw(st.integers(0, len(made)))] if draw(st.booleans()) else made)


@st.composite
def entry(draw: st.DrawFn) -> tuple[str, int, bytes]:
    key = draw(st.sampled_from(KEYS))
    return key, 1, draw(data(key))


def in_an_answer(entries: list[tuple[str, int, bytes]]) -> Entries:
    """Return the same entries as Redis brings them."""
    fields = [(b"k", key.encode(), b"n", str(n).encode(), b"e", data) for key, n, data in entries]
    packed = [b"*2\r\n$3\r\n1-1\r\n" + hiredis.pack_command(some) for some in fields]
    shaped = shape_streams(b"*1\r\n*2\r\n$1\r\ns\r\n*%d\r\n" % len(packed) + b"".join(packed))
    assert shaped is not None
    return shaped[0]


keys = st.dictionaries(st.sampled_from(KEYS), st.just(1), max_size=2)


@given(st.lists(entry(), max_size=6), st.integers(-1, 7), keys, keys)
def test_the_first_that_is_wanted_is_the_plain_twins(
    entries: list[tuple[str, int, bytes]], start: int, lines: dict[str, object], heard: dict[str, int]
) -> None:
    found = first_wanted(entries, start, lines, heard, *LAYOUT)
    assert found == plain.first_wanted(entries, start, lines, heard, *LAYOUT)
    if entries and all(key.isascii() for key, _, _ in entries):
        assert first_wanted(in_an_answer(entries), start, lines, heard, *LAYOUT) == found


def test_what_has_all_the_bytes_is_passed_over_and_no_beginning_of_it() -> None:
    key = KEYS[0]
    whole = envelope(key, b"x" * 300, 300, b"")
    assert first_wanted([(key, 1, whole)] * 3, 0, {}, {}, *LAYOUT) == 3
    for end in range(len(whole)):
        assert first_wanted([(key, 1, whole[:end])], 0, {}, {}, *LAYOUT) == 0
    assert first_wanted([(KEYS[1], 1, whole)], 0, {}, {}, *LAYOUT) == 0
    assert first_wanted([(key, 1, whole)], 0, {key: 1}, {}, *LAYOUT) == 0
    assert first_wanted([(key, 1, whole)], 0, {}, {key: 1}, *LAYOUT) == 0
