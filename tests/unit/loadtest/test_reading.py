"""What the swarm reads from frames, beside its plain-Python twin and Python's own JSON."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.swarm import reading, reference
from loadtest.swarm.histogram import Histogram, middle_us

HEADER_EDGES = [0, 1, 125, 126, 127, 65535, 65536, 65537]  # payload bytes, RFC 6455 5.2
values = st.text(max_size=8) | st.integers() | st.none() | st.lists(st.text(max_size=3), max_size=3)
names = st.sampled_from(["hello", "posted", "typing", "hellos", "poste", "posted_x", ""])
numbers = st.integers(0, 2**63 - 1)
# Mattermost writes blanks behind colons and commas, Tidewire none.
statuses = st.sampled_from(["OK", "FAIL"])
styles = st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 1}])


@given(names, st.dictionaries(st.text(max_size=5), values, max_size=3), numbers, styles)
def test_any_event_is_read_as_json_reads_it(name, data, seq, style):
    event = json.dumps({"event": name, "data": data, "broadcast": {"user_id": ""}, "seq": seq}, **style).encode()
    assert reading.text(event) == reference.text(event)
    assert reading.text(event)[1] == seq


@given(statuses, st.dictionaries(st.text(max_size=4), values, max_size=2), numbers, st.booleans())
def test_any_reply_is_read_as_json_reads_it(status, data, seq, seq_first):
    members = {"status": status, "seq_reply": seq, "data": data}
    reply = json.dumps(dict(reversed(members.items())) if seq_first and not data else members).encode()
    assert reading.text(reply) == reference.text(reply) == ("reply", seq, status == "OK")


@pytest.mark.parametrize("junk", [b"", b"{", b"{}", b"[]", b'{"event"', b'{"event":"x"}', b'{"event":"x","seq":}',
                                  b'{"event":"x","seq":1', b'{"event":"x","sex":1}', b'"seq":1}', b'{"seq_reply":"1"}'])
def test_what_is_neither_is_unreadable(junk):
    assert reading.text(junk)[0] == "unreadable"


@given(st.binary(max_size=60))
def test_any_bytes_are_read_within_their_bounds(data):
    for start in (b"", b'{"event":', b'{"seq_reply":', b'"connection_id":', b"tw-sent:"):
        reading.text(start + data)
        reading.connection_id(start + data)
        assert reading.mark(start + data) == reference.mark(start + data)


@given(st.text(max_size=30).filter(lambda text: "tw-sent" not in text), st.integers(0, 10**16 - 1), st.text(max_size=5))
def test_a_mark_is_found_in_any_message(before, us, after):
    text = json.dumps({"message": f"{before}tw-sent:{us:016}{after}"}).encode()
    assert reading.mark(text) == reference.mark(text) == us


def test_the_connection_id_is_the_one_that_is_not_empty():
    hello = {"event": "hello", "broadcast": {"connection_id": ""}, "data": {"connection_id": "a" * 26}, "seq": 0}
    assert reading.connection_id(json.dumps(hello).encode()) == reference.connection_id(json.dumps(hello).encode())
    assert reading.connection_id(json.dumps(hello, separators=(",", ":")).encode()) == b"a" * 26
    assert reading.connection_id(b'{"data":{"connection_id":"short"}}') == b""


@pytest.mark.parametrize("size", HEADER_EDGES)
def test_frames_at_the_edges_of_the_header(size):
    payload = bytes(range(256)) * (size // 256 + 1)
    frame = reading.frame(1, 0x12345678, payload[:size])
    assert frame == reference.frame(1, 0x12345678, payload[:size])
    assert reading.head(frame) == reference.head(frame)
    assert reading.head(frame)[3] == size
    for cut in range(min(10, len(frame))):
        assert reading.head(frame[:cut]) == reference.head(frame[:cut])


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1), st.sampled_from([1, 8, 9, 10]))
def test_any_frame_matches_the_reference(payload, mask, opcode):
    assert reading.frame(opcode, mask, payload) == reference.frame(opcode, mask, payload)


@given(st.integers(0, 2**63 - 1))
def test_any_duration_falls_into_the_right_bucket(us):
    index = reading.bucket(us)
    assert index == reference.bucket(us)
    if us < 2**36:
        assert abs(middle_us(index) - us) <= us / 32


def test_buckets_follow_one_another():
    indexes = [reading.bucket(us) for us in range(5000)]
    assert {after - before for before, after in itertools.pairwise(indexes)} == {0, 1}


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=60), st.lists(st.integers(0, 10**7), max_size=60))
def test_merged_histograms_lose_no_count_and_keep_their_percentiles(some, others):
    merged = Histogram()
    for part in (some, others):
        one = Histogram(len(part), sum(part), min(part, default=0), max(part, default=0))
        for us in part:
            one.counts[reading.bucket(us)] = one.counts.get(reading.bucket(us), 0) + 1
        merged.merge(one)
    every = sorted(some + others)
    assert merged.count == sum(merged.counts.values()) == len(every)
    assert (merged.sum_us, merged.least_us, merged.most_us) == (sum(every), every[0], every[-1])
    for share in (0.5, 0.99, 1.0):
        true = every[max(0, -(-int(share * 1000) * len(every) // 1000) - 1)]
        assert abs(merged.percentile_ms(share) * 1000 - true) <= true / 32 + 1
