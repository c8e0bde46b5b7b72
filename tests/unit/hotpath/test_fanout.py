"""The tail of an event and the sets of slots: both implementations."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath import fanout as compiled
from hotpath.reference import fanout as reference

BOTH = pytest.mark.parametrize("fanout", [compiled, reference], ids=["compiled", "reference"])
HEADER_EDGES = [125, 126, 127, 65535, 65536, 65537]  # payload bytes, RFC 6455 5.2
USER = b"abcdefghijkmnopqrstuwxyz13"


@pytest.mark.parametrize("tails", range(8))
@pytest.mark.parametrize("size", HEADER_EDGES)
def test_frames_of_every_edge_and_tail_match_the_twin(size, tails):
    empty = len(reference.encode_event(b"", tails, USER, 7)) - 2
    frame = reference.encode_event(b"p" * max(0, size - empty), tails, USER, 7)
    assert compiled.encode_event(b"p" * max(0, size - empty), tails, USER, 7) == frame


@given(st.binary(max_size=300), st.integers(0, 7), st.binary(max_size=26), st.integers(0, 2**64 - 1))
def test_any_event_matches_the_twin(prefix, tails, user, seq):
    assert compiled.encode_event(prefix, tails, user, seq) == reference.encode_event(prefix, tails, user, seq)


@BOTH
def test_an_event_is_json_with_the_tail_inside_data(fanout):
    prefix = b'{"event":"posted","broadcast":{"channel_id":"c"},"data":{"post":"{}"'
    frame = fanout.encode_event(prefix, 7, USER, 12)
    event = json.loads(frame[4:])
    assert event["seq"] == 12
    assert event["data"]["should_ack"] is True
    assert json.loads(event["data"]["mentions"]) == json.loads(event["data"]["followers"]) == [USER.decode()]


@BOTH
def test_a_user_id_has_its_limit(fanout):
    with pytest.raises(ValueError, match="too long"):
        fanout.encode_event(b"", 1, b"u" * 33, 0)


@BOTH
def test_an_event_wants_bytes(fanout):
    with pytest.raises(TypeError):
        fanout.Event("text")
    assert fanout.Event(b"x", True).droppable is True
    assert fanout.Event(b"x\0y").prefix == b"x\0y"


@BOTH
def test_a_personal_event_is_small(fanout):
    assert fanout.Event(b"\0" * 8 + b"x" * 504, personal=True).prefix == b"\0" * 8 + b"x" * 504
    for prefix in (b"\0" * 9, b"\0" + b"x" * 512):
        with pytest.raises(ValueError, match="too large"):
            fanout.Event(prefix, personal=True)
        assert fanout.Event(prefix).prefix == prefix
    assert fanout.Event(b"x" * 600, personal=True).prefix == b"x" * 600


@pytest.mark.parametrize("start", [0, 66, 126])  # sets of up to 128 are searched through; a table goes at 64
@given(steps=st.lists(st.tuples(st.booleans(), st.one_of(st.integers(0, 140), st.integers(0, 2**31))), max_size=300))
def test_sets_match_the_twin_and_a_set(start, steps):
    ours, twin, model = compiled.SlotSet(range(start)), reference.SlotSet(range(start)), set(range(start))
    for add, slot in steps:
        for each in (ours, twin):
            (each.add if add else each.discard)(slot)
        (model.add if add else model.discard)(slot)
        assert (slot in ours) == (slot in model)
    assert list(ours) == list(twin)
    assert set(ours) == model
    assert len(ours) == len(model)
    assert all(slot in ours for slot in model)


def test_a_large_set_and_its_end():
    ours = compiled.SlotSet(range(20000))
    for slot in range(0, 20000, 2):
        ours.discard(slot)
    assert sorted(ours) == list(range(1, 20000, 2))
    for slot in range(20000):
        ours.discard(slot)
    assert list(ours) == []
    ours.add(5)
    assert list(ours) == [5]
