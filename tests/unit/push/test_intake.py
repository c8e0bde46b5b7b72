"""Bodies that callers send, as the reference reads them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from push.intake import Refused, read_ack, read_push


def push(**fields: Any) -> bytes:
    return json.dumps({"server_id": "s", "device_id": "d", **fields}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Failed to read message body: "),
        (b"nonsense", "Failed to read message body: "),
        (b"[1]", "Failed to read message body: "),
        (b'"text"', "Failed to read message body: "),
        (push(badge="3"), "Failed to read message body: "),
        (push(badge=1.5), "Failed to read message body: "),
        (push(badge=1 << 63), "Failed to read message body: "),
        (b'{"server_id":"s","device_id":"d","badge":-99999999999999999999}', "Failed to read message body: "),
        (b'{"server_id":"s","device_id":"d","badge":NaN}', "Failed to read message body: "),
        (push(message={"a": 1}), "Failed to read message body: "),
        (push(is_id_loaded="true"), "Failed to read message body: "),
        (b'{"a":' * 50_000, "Failed to read message body: "),
        (push(sender_name="x" * 5000), "Failed to read message body: sender_name is too long"),
        (push(device_id="x" * 5000), "Failed to read message body: device_id is too long"),
        (b"{}", "Failed because of missing server Id"),
        (b"null", "Failed because of missing server Id"),
        (b'{"server_id":null}', "Failed because of missing server Id"),
        (b'{"server_id":"srv"}', "Failed because of missing device Id serverId=srv"),
    ],
)
def test_refused(body: bytes, text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_push(body)
    assert str(refused.value).startswith(text)


@pytest.mark.parametrize(
    "body",
    [
        push(),
        push(unknown={"a": [1]}, another=None),
        b'{"Server_ID":"s","DEVICE_ID":"d"}',
        b'  {"server_id":"s","device_id":"d"} and more',
        b'{"server_id":"x","server_id":"s","device_id":"d","message":null}',
    ],
)
def test_read_as_go_does(body: bytes) -> None:
    read = read_push(body)
    assert (read.server_id, read.device_id, read.message, read.badge) == ("s", "d", "", 0)


def test_halves_of_characters_become_whole_ones() -> None:
    assert read_push(b'{"server_id":"s","device_id":"d","message":"a\\ud800b"}').message == "a�b"
    assert read_push(b'{"server_id":"s","device_id":"d","message":"a\xffb"}').message == "a�b"


@pytest.mark.parametrize(("length", "kept"), [(2046, 2046), (2047, 2047), (2048, 2046), (9000, 2046)])
def test_a_long_message_is_cut(length: int, kept: int) -> None:
    assert len(read_push(push(message="x" * length)).message) == kept


def test_cuts_fall_between_characters() -> None:
    read = read_push(push(message="é" * 1500, channel_name="日" * 30))
    assert read.message == "é" * 1023 and read.channel_name == "日" * 21


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.dictionaries(
            st.sampled_from(["server_id", "device_id", "badge", "message", "x"]), inner, max_size=4
        ),
    ).map(lambda plain: json.dumps(plain).encode())
)
def test_nothing_but_refusals(body: bytes) -> None:
    for read in (read_push, read_ack):
        try:
            read(body)
        except Refused:
            continue


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"x", "Failed to read ack body: "),
        (b'{"id":1}', "Failed to read ack body: "),
        (b"{}", "Failed because of missing ack Id"),
        (b'{"id":"1"}', "Failed because of missing ack platform"),
        (b'{"id":"1","platform":"ios"}', "Failed because of missing ack type"),
    ],
)
def test_acks_that_are_refused(body: bytes, text: str) -> None:
    with pytest.raises(Refused) as refused:
        read_ack(body)
    assert str(refused.value).startswith(text)


def test_an_ack() -> None:
    ack = read_ack(
        b'{"id":"1","received_at":5,"platform":"ios","type":"message","post_id":"p","is_id_loaded":true}'
    )
    assert (ack.id, ack.received_at, ack.platform, ack.type) == ("1", 5, "ios", "message")
