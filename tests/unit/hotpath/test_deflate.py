"""permessage-deflate without context: what clients inflate is what went in, however it is cut, resumed or refused."""

import random
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotpath import deflate
from hotpath import fanout as compiled
from hotpath import frames as compiled_frames
from hotpath.reference import fanout as reference
from hotpath.reference import frames as reference_frames
from tests.unit.hotpath.crowd import USER, deflated, inflated
from tests.unit.hotpath.test_frames import client_frame, feed

BOTH = pytest.mark.parametrize("fanout", [compiled, reference], ids=["compiled", "reference"])
BOTH_FRAMES = pytest.mark.parametrize("frames", [compiled_frames, reference_frames], ids=["compiled", "reference"])
SEQ_EDGES = [10**n - 1 for n in range(20)] + [10**n for n in range(20)] + [2**32, 2**63, 2**64 - 1]
WORDS = b"the outbox of a slow reader is bounded and every post of the channel is announced once ".split()


def prose(size: int) -> bytes:
    """Return English-like text, the same for the same size."""
    words = random.Random(size)
    text = b""
    while len(text) < size:
        text += words.choice(WORDS) + b" "
    return text[:size]


def payload(frame: bytes) -> bytes:
    """Return what a client makes of a frame, compressed or not."""
    skip = 2 if frame[1] < 126 else 4 if frame[1] == 126 else 10
    assert frame[0] in (0x81, 0xC1)
    return inflated(frame[skip:]) if frame[0] == 0xC1 else frame[skip:]


@BOTH
@pytest.mark.parametrize("tails", range(8))
@pytest.mark.parametrize("id_size", [0, 1, 25, 26])
def test_every_tail_and_every_width_of_seq(fanout, tails, id_size):
    prefix = b'{"event":"posted","data":{"post":"' + prose(600) + b'"'
    for seq in SEQ_EDGES:
        frame = fanout.encode_event(prefix, tails, b"u" * id_size, seq, deflate=True)
        assert frame[0] == 0xC1
        assert payload(frame) == payload(fanout.encode_event(prefix, tails, b"u" * id_size, seq))


@given(st.one_of(st.binary(max_size=2000), st.integers(0, 70_000).map(prose)), st.integers(0, 7),
       st.binary(max_size=26), st.integers(0, 2**64 - 1))
@example(prose(255), 0, b"", 0)
@example(prose(256), 0, b"", 0)
@example(prose(4096), 7, USER, 9)
@example(prose(4097), 7, USER, 9)
@example(random.Random(1).randbytes(300_000), 7, USER, 9)
@example(b"\0" * 300_000, 7, USER, 9)
def test_any_event_inflates_to_itself_and_matches_the_twin(prefix, tails, user, seq):
    frame = compiled.encode_event(prefix, tails, user, seq, deflate=True)
    plain = compiled.encode_event(prefix, tails, user, seq)
    assert frame == reference.encode_event(prefix, tails, user, seq, deflate=True)
    assert payload(frame) == payload(plain)
    assert len(frame) <= len(plain)
    assert (frame == plain) == (frame[0] == 0x81)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65534, 65535])
def test_the_end_at_the_borders_of_a_stored_block(size):
    assert inflated(deflate.pack(prose(1000)) + deflate.end_of(b"x" * size)) == prose(1000) + b"x" * size


@given(st.binary(max_size=5000), st.integers(0, 9), st.integers(1, 9), st.booleans())
def test_what_clients_compress(message, level, memory, text):
    try:
        message.decode()
    except UnicodeDecodeError:
        text = False
    data = deflated(message, level=level, memLevel=memory)
    assert deflate.inflate(data, len(message), text) == message
    if message:
        with pytest.raises(deflate.BadMessage) as bad:
            deflate.inflate(data, len(message) - 1, text)
        assert bad.value.code == 1009


def test_a_message_with_a_last_block():
    """RFC 7692 7.2.3.4 and 7.2.3.5: BFINAL, and more than one block."""
    assert deflate.inflate(bytes.fromhex("f348cdc9c9070000"), 5, True) == b"Hello"
    assert deflate.inflate(bytes.fromhex("f248050000 00ffff cac9c90700"), 5, True) == b"Hello"
    assert deflate.inflate(bytes.fromhex("00 0500 faff 48656c6c6f 00"), 5, True) == b"Hello"
    assert deflate.inflate(b"\0", 5, True) == b""


@pytest.mark.parametrize("data", [
    b"", b"\xff", b"\x07", deflated(prose(500))[:-5], bytes.fromhex("00 0500 faff 48656c"),
    bytes.fromhex("f348cdc9c9070000") + b"more", deflated(b"x" * 100)[1:],
], ids=["empty", "rubbish", "reserved block", "cut", "cut stored block", "behind the end", "without its head"])
def test_no_whole_stream(data):
    with pytest.raises(deflate.BadMessage) as bad:
        deflate.inflate(data, 10_000, False)
    assert bad.value.code == 1007


@given(st.binary(max_size=300))
def test_any_bytes_inflate_within_the_limit_or_are_refused(data):
    try:
        assert len(deflate.inflate(data, 1000, False)) <= 1000
    except deflate.BadMessage as bad:
        assert bad.code in (1007, 1009)


@BOTH_FRAMES
def test_the_first_frame_of_a_message_says_that_it_is_compressed(frames):
    data = deflated(b"\xff not UTF-8 \xff" + prose(200))
    ping = client_frame(9, b"p")
    parts = client_frame(2, data[:9], fin=False, rsv=4) + ping + client_frame(0, data[9:]) + client_frame(1, b"plain")
    expected = [("ping", b"p"), ("packed binary", data), ("text", b"plain")]
    assert feed(frames, parts, deflate=True) == expected
    assert feed(frames, parts, range(len(parts)), deflate=True) == expected
    assert feed(frames, client_frame(1, b"\xff", rsv=4), deflate=True) == [("packed text", b"\xff")]


@BOTH_FRAMES
@pytest.mark.parametrize(("data", "deflate"), [
    (client_frame(1, b"x", rsv=4), False),
    *((client_frame(opcode, b"x", rsv=4), True) for opcode in (8, 9, 10)),
    *((client_frame(1, b"x", rsv=rsv), True) for rsv in (1, 2, 3, 5, 6, 7)),
    (client_frame(1, b"x", fin=False, rsv=4) + client_frame(0, b"x", rsv=4), True),
    (client_frame(1, b"x", fin=False) + client_frame(0, b"x", rsv=4), True),
])
def test_reserved_bits_elsewhere(frames, data, deflate):
    assert feed(frames, data, deflate=deflate) == [("error", 1002, "reserved bit")]


@BOTH_FRAMES
def test_compressed_bytes_have_a_limit_too(frames):
    most = 800 + 100 + 64
    message = client_frame(2, b"x" * most, rsv=4)
    assert feed(frames, message, deflate=True, limit=800) == [("packed binary", b"x" * most)]
    over = [("error", 1009, "message too big")]
    assert feed(frames, client_frame(2, b"x" * (most + 1), rsv=4), deflate=True, limit=800) == over
    parts = client_frame(2, b"x" * most, fin=False, rsv=4)
    assert feed(frames, parts + client_frame(0, b"x"), deflate=True, limit=800) == over
    assert feed(frames, parts + client_frame(0, b""), deflate=True, limit=800) == [("packed binary", b"x" * most)]
    assert feed(frames, client_frame(2, b"x" * 801), deflate=True, limit=800) == over


def test_events_go_out_compressed_where_it_was_agreed_on(crowd):
    c = crowd()
    plain, first = c.join()
    packed, second = c.join(deflate=True)
    c.post([plain, packed], 0, size=900, tails={plain: 3, packed: 3})
    c.post([plain, packed], 1)                     # too small
    c.gate.reply(packed, b"reply")
    c.turn()
    assert first.texts() == [text for text in second.texts() if text != b"reply"]
    assert second.got[0] == 0xC1
    assert len(second.got) < len(first.got) // 2
    assert second.events() == [(0, 0), (1, 1)]


def test_compressed_messages_come_in(crowd):
    c = crowd(max_message=1000)
    slot, peer = c.join(deflate=True)
    peer.send(1, deflated(prose(1000)), rsv=4)
    peer.send(2, deflated(b"\xff"), rsv=4)
    peer.send(1, b"plain")
    c.turn()
    assert c.messages == [(slot, prose(1000), True), (slot, b"\xff", False), (slot, b"plain", True)]


@pytest.mark.parametrize(("data", "code"), [
    (deflated(b"x" * 1001), 1009), (deflated(b"x" * (1 << 20)), 1009), (deflated(b"\xff"), 1007), (b"\xff", 1007),
])
def test_bombs_and_nonsense_end_the_connection(crowd, data, code):
    c = crowd(max_message=1000)
    slot, peer = c.join(deflate=True)
    peer.send(1, data, rsv=4)
    peer.send(1, b"behind")
    c.turn()
    assert c.messages == []
    assert c.closed == [(slot, code, "protocol")]
    assert peer.closes() == [code]


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("read", [0, 1, 700, 3000])
def test_a_resume_between_sockets_that_agreed_on_different_things(crowd, before, after, read):
    """An event is replayed as the new socket takes it, and one partly out is not changed under way."""
    c = crowd(send_buffer=4608)
    old, peer = c.join(deflate=before)
    events = [c.event(n, size=900 + 1500 * n) for n in range(8)]
    for event in events:
        c.gate.deliver(event, [old])
    c.turn()
    peer.read(read)
    c.turn()
    new, fresh = c.join(deflate=after)
    assert c.gate.take_over(old, new, 0)
    c.gate.flush()
    third, _ = c.join(deflate=True)
    for event in events:
        c.gate.deliver(event, [third])             # only now some of them get a compressed form
    for _ in range(40):
        c.turn()
        fresh.read()
    assert fresh.events() == [(n, n) for n in range(8)]
    assert (b"\xc1" in {fresh.got[:1]}) == (before and after)


def test_compressed_forms_count_in_the_budget(crowd):
    c = crowd()
    plain, _ = c.join()
    packed, peer = c.join(deflate=True)
    event = c.event(0, size=900)
    c.gate.deliver(event, [plain])
    before = c.gate.stats()["retained_bytes"] - c.gate.stats()["ring_bytes"]
    c.gate.deliver(event, [packed])
    c.turn()
    after = c.gate.stats()["retained_bytes"] - c.gate.stats()["ring_bytes"]
    assert after - before == len(deflate.pack(event.prefix))
    assert peer.events() == [(0, 0)]
    c.gate.release(plain)
    c.gate.release(packed)
    assert c.gate.stats()["retained_bytes"] == 0


def test_zlib_itself_agrees_on_the_format():
    stream = deflate.pack(prose(700)) + deflate.end_of(b"tail") + b"\0\0\xff\xff" + b"\x03\0"
    assert zlib.decompress(stream, -15) == prose(700) + b"tail"
