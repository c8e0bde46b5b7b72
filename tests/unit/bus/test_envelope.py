"""The bytes of an announcement: they come back as they went, and old readers survive new fields."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.bus import envelope as ev

ids = st.text("13456789abcdefghijkmnopqrstuwxyz", min_size=26, max_size=26)
effects = st.one_of(
    st.builds(ev.JoinChannel, ids, ids),
    st.builds(ev.LeaveChannel, ids, ids),
    st.builds(ev.JoinTeam, ids, ids),
    st.builds(ev.LeaveTeam, ids, ids),
    st.builds(ev.EndSessions, ids, st.lists(ids, max_size=3)),
    st.builds(ev.Roles, ids, st.text()),
    st.builds(ev.After, ids, st.integers(0, 2**53)),
)
copies = st.builds(
    ev.Copy,
    body=st.binary(),
    user_id=ids,
    channel_id=ids,
    team_id=ids,
    everyone=st.booleans(),
    omit_users=st.lists(ids, max_size=2),
    only=st.sampled_from(ev.Only),
    connection_id=ids,
    omit_connection_id=ids,
    mentions=st.lists(ids, max_size=2),
    followers=st.lists(ids, max_size=2),
    ack_author=ids,
    droppable=st.booleans(),
    name=st.text(),
)
envelopes = st.builds(
    ev.Envelope,
    key=st.text(),
    effects=st.lists(effects, max_size=4),
    copies=st.lists(copies, max_size=4),
    at=st.integers(0, 2**53),
    invalidates=st.lists(st.text(), max_size=3),
    push=st.none()
    | st.builds(ev.PostPush, ids, every_push=st.none() | st.lists(ids, max_size=2))
    | st.builds(ev.ReadPush, ids, ids, st.lists(ids, max_size=2), st.lists(ids, max_size=2), st.text(max_size=3))
    | st.builds(ev.BadgePush, ids),
)


@given(envelopes)
def test_an_envelope_comes_back(envelope: ev.Envelope) -> None:
    assert ev.decode(ev.encode(envelope)) == envelope


keys = st.lists(st.text(st.characters(max_codepoint=127), max_size=40), max_size=3)


@given(envelopes, keys)
def test_what_looks_as_if_it_were_for_gateways_only_is(envelope: ev.Envelope, invalidates: list[str]) -> None:
    envelope = msgspec.structs.replace(envelope, invalidates=invalidates)
    if ev.is_for_gateways_only(ev.encode(envelope)):
        assert not envelope.invalidates and envelope.push is None


def test_an_ordinary_post_is_for_gateways_only() -> None:
    at = 1_790_000_000_000
    for push, expected in ((None, True), (ev.PostPush("3" * 26), False)):
        data = ev.encode(ev.Envelope("c:x", copies=[ev.Copy(b"{")], at=at, push=push))
        assert ev.is_for_gateways_only(data) is expected
    assert not ev.is_for_gateways_only(ev.encode(ev.Envelope("c:x", at=at, invalidates=["user:x"])))


def test_a_reader_ignores_fields_it_does_not_know() -> None:
    envelope = ev.Envelope("c:x", copies=[ev.Copy(b"{", channel_id="x")])
    fields = msgspec.msgpack.decode(ev.encode(envelope))
    assert ev.decode(msgspec.msgpack.encode([*fields, "a later field"])) == envelope


def test_a_reader_fills_fields_an_older_producer_did_not_send() -> None:
    assert ev.decode(msgspec.msgpack.encode(["c:x"])) == ev.Envelope("c:x")


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", msgspec.msgpack.encode({"key": "c:x"}), msgspec.msgpack.encode([1])]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        ev.decode(data)


def test_a_decision_on_a_post_has_the_mentions_of_its_copy() -> None:
    copy = ev.Copy(b"{", channel_id="x", mentions=["ann", "bob"], name="posted")
    data = ev.encode_decision(ev.Envelope("c:x", copies=[copy], at=7, push=ev.PostPush("p", every_push=["cat"])))
    assert data is not None
    assert ev.decode_decision(data) == ev.Decision(7, ev.PostPush("p", ["ann", "bob"], ["cat"]))


def test_other_decisions_stay_as_they_are() -> None:
    push = ev.ReadPush("ann", "s", ["c"], root_id="r")
    data = ev.encode_decision(ev.Envelope("u:ann", at=7, push=push))
    assert data is not None
    assert ev.decode_decision(data) == ev.Decision(7, push)
    assert ev.encode_decision(ev.Envelope("u:ann")) is None


def test_keys_spread_over_shards() -> None:
    shards = {ev.shard_of(ev.channel_key(f"channel{i}"), 8) for i in range(200)}
    assert shards == set(range(8))
    assert ev.shard_of("c:anything", 1) == 0


CHANNEL = "c" * 26
OTHER = "d" * 26
plain_copies = st.builds(
    ev.Copy,
    body=st.binary(min_size=256, max_size=700),
    channel_id=st.sampled_from([CHANNEL, OTHER, ""]),
    user_id=st.sampled_from(["", "", OTHER]),
    team_id=st.sampled_from(["", "", OTHER]),
    everyone=st.sampled_from([False, False, True]),
    omit_users=st.sampled_from([[], [], [OTHER]]),
    only=st.sampled_from([ev.Only.ANY, ev.Only.ANY, ev.Only.ADMINS]),
    connection_id=st.sampled_from(["", "", OTHER]),
    omit_connection_id=st.sampled_from(["", OTHER]),
    mentions=st.lists(ids, max_size=1),
    name=st.text(max_size=9),
)


@given(
    st.lists(plain_copies, max_size=2), st.lists(effects, max_size=1), st.sampled_from([CHANNEL, OTHER, "x"])
)
def test_only_what_goes_to_its_channel_alone_is_said_to(
    copies: list[ev.Copy], effects: list[ev.Effect], key_id: str
) -> None:
    key = ev.channel_key(key_id)
    data = ev.encode(ev.Envelope(key, effects, copies))
    if ev.goes_to_key_only(key, data):
        assert not effects
        (copy,) = copies
        assert copy.channel_id == key_id
        assert not (copy.user_id or copy.team_id or copy.everyone or copy.omit_users or copy.connection_id)


@pytest.mark.parametrize("size", [256, 700, 65_535])
def test_an_ordinary_event_is_known_by_a_few_bytes(size: int) -> None:
    key = ev.channel_key(CHANNEL)
    copy = ev.Copy(b"x" * size, channel_id=CHANNEL, mentions=[OTHER], name="posted")
    data = ev.encode(ev.Envelope(key, copies=[copy], at=1))
    assert ev.goes_to_key_only(key, data)
    assert not ev.goes_to_key_only(ev.channel_key(OTHER), data)
    assert not any(ev.goes_to_key_only(key, data[:end]) for end in range(71))
