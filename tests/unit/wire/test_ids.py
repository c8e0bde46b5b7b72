"""Ids sort as their times do, and secrets are 130 random bits."""

import os

from hypothesis import given
from hypothesis import strategies as st

from tidewire.wire.ids import ALPHABET, is_id, new_id, new_token

TIMES = st.integers(1, 2**48 - 1)


@given(TIMES, TIMES)
def test_ids_sort_by_time(one: int, other: int) -> None:
    first, second = new_id(one), new_id(other)
    assert is_id(first) and set(first) <= set(ALPHABET)
    assert one == other or (first < second) == (one < other)


def test_ids_and_tokens_use_every_bit() -> None:
    for make, free in ((new_token, 26), (lambda: new_id(1), 16)):
        seen = [make() for _ in range(2000)]
        assert len(set(seen)) == 2000
        for place in range(26 - free, 26):
            assert {value[place] for value in seen} == set(ALPHABET)
    assert len({new_id(1)[9] for _ in range(200)}) == 4  # the two random bits beside the time


def test_a_forked_process_makes_ids_of_its_own() -> None:
    new_id(1)  # random bytes are in stock
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writing, new_id(1).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with open(reading) as heard:
        theirs = heard.read()
    assert is_id(theirs)
    assert theirs not in {new_id(1) for _ in range(300)}


def test_what_is_an_id() -> None:
    assert is_id("a" * 26)
    for value in ("", "a" * 25, "a" * 27, "a" * 25 + "-", "a" * 26 + "\n", 5, None, "é" * 26):
        assert not is_id(value)
