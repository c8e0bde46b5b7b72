"""The parser and the encoder: both implementations, at every length edge and however the bytes are cut."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hotpath import frames as compiled
from hotpath.reference import frames as reference

EDGES = [0, 1, 7, 8, 9, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537]  # payload bytes, RFC 6455 5.2
BOTH = pytest.mark.parametrize("frames", [compiled, reference], ids=["compiled", "reference"])
LIMIT = 1 << 20


def client_frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bytes = b"\x11\x22\x33\x44",
                 rsv: int = 0) -> bytes:
    size = len(payload)
    head = bytes([opcode | (0x80 if fin else 0) | rsv << 4])
    if size <= 125:
        head += bytes([0x80 | size])
    elif size <= 65535:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += b"\xff" + struct.pack(">Q", size)
    wide = int.from_bytes(mask * (size // 4) + mask[: size % 4], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ wide).to_bytes(size, "big")


def feed(frames, data, cuts=(), *, limit=LIMIT, fragments=64, deflate=False):
    parser = frames.Parser(limit, fragments, deflate)
    result, at = [], 0
    for cut in [*sorted(cuts), len(data)]:
        result += parser.feed(data[at:cut])
        at = max(at, cut)
    return result


@pytest.mark.parametrize("opcode", [1, 2, 9])
@pytest.mark.parametrize("size", EDGES)
def test_encoded_frames_are_the_same_at_every_edge(size, opcode):
    payload = b"a" * size
    frame = compiled.encode_frame(opcode, payload)
    assert frame == reference.encode_frame(opcode, payload)
    assert frame.endswith(payload)
    assert len(frame) - size == (2 if size <= 125 else 4 if size <= 65535 else 10)


@BOTH
@pytest.mark.parametrize("size", EDGES)
def test_a_message_of_every_edge_arrives_whole_and_in_two_parts(frames, size):
    payload = b"x" * size
    data = client_frame(1, payload)
    assert feed(frames, data) == [("text", payload)]
    for cut in {1, 2, 3, 9, len(data) // 2, len(data) - 1}:
        assert feed(frames, data, [cut]) == [("text", payload)]


@BOTH
def test_byte_by_byte(frames):
    data = client_frame(1, "zwölf Boxkämpfer".encode()) + client_frame(9, b"?") + client_frame(2, bytes(range(256)))
    data += client_frame(8, b"\x03\xe8bye")
    assert feed(frames, data, range(1, len(data))) == [
        ("text", "zwölf Boxkämpfer".encode()), ("ping", b"?"), ("binary", bytes(range(256))), ("close", 1000, b"bye"),
    ]


@BOTH
def test_control_frames_between_fragments(frames):
    data = client_frame(1, b"one ", fin=False) + client_frame(9, b"p") + client_frame(0, b"two", fin=False)
    data += client_frame(10, b"q") + client_frame(0, b"", fin=True)
    for cuts in ((), range(1, len(data))):
        assert feed(frames, data, cuts) == [("ping", b"p"), ("pong", b"q"), ("text", b"one two")]


BROKEN = [
    ("reserved bit", b"\xc1\x80", 1002),
    ("reserved data opcode", b"\x83\x80", 1002),
    ("reserved control opcode", b"\x8b\x80", 1002),
    ("unmasked", b"\x81\x00", 1002),
    ("fragmented ping", b"\x09\x80", 1002),
    ("long ping", b"\x89\xfe\x00\x7e", 1002),
    ("nothing to continue", b"\x80\x80", 1002),
    ("message inside a message", client_frame(1, b"a", fin=False) + b"\x81\x80", 1002),
    ("16-bit length for a short one", b"\x81\xfe\x00\x7d", 1002),
    ("64-bit length for a short one", b"\x81\xff" + struct.pack(">Q", 65535), 1002),
    ("length with the highest bit", b"\x81\xff" + struct.pack(">Q", 1 << 63), 1002),
    ("2^62 bytes announced, before the mask", b"\x81\xff" + struct.pack(">Q", 1 << 62), 1009),
    ("invalid UTF-8", client_frame(1, b"ok\xff"), 1007),
    ("UTF-8 cut at the end", client_frame(1, "ö".encode()[:1]), 1007),
    ("UTF-8 surrogate", client_frame(1, b"\xed\xa0\x80"), 1007),
    ("UTF-8 overlong", client_frame(1, b"\xc0\x80"), 1007),
    ("beyond Unicode", client_frame(1, b"\xf4\x90\x80\x80"), 1007),
    ("close of one byte", client_frame(8, b"\x03"), 1002),
    ("close reason not UTF-8", client_frame(8, b"\x03\xe8\xff"), 1007),
    *[(f"close {code}", client_frame(8, struct.pack(">H", code)), 1002)
      for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)],
]


@BOTH
@pytest.mark.parametrize(("data", "code"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_breaks_the_protocol(frames, data, code):
    for cuts in ((), range(1, len(data))):
        result = feed(frames, data, cuts)
        assert result[-1][:2] == ("error", code)
    parser = frames.Parser(LIMIT, 64)
    parser.feed(data)
    assert parser.feed(client_frame(1, b"later")) == []       # nothing follows
    assert parser.held_bytes == 0 or frames is reference


@BOTH
def test_invalid_text_is_noticed_before_the_frame_is_complete(frames):
    parser = frames.Parser(LIMIT, 64)
    assert parser.feed(client_frame(1, b"a\xff" + b"b" * 100)[:9])[0][:2] == ("error", 1007)


@BOTH
@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999])
def test_close_codes_that_may_be_sent(frames, code):
    assert feed(frames, client_frame(8, struct.pack(">H", code))) == [("close", code, b"")]


@BOTH
def test_the_message_limit_counts_all_fragments(frames):
    data = client_frame(2, b"a" * 60, fin=False) + client_frame(0, b"b" * 40, fin=False)
    assert feed(frames, data + client_frame(0, b""), limit=100) == [("binary", b"a" * 60 + b"b" * 40)]
    assert feed(frames, data + client_frame(0, b"c"), limit=100)[-1][:2] == ("error", 1009)


@BOTH
def test_the_fragment_limit(frames):
    part = client_frame(0, b"", fin=False)
    start = client_frame(1, b"", fin=False)
    assert feed(frames, start + part * 6 + client_frame(0, b""), fragments=8) == [("text", b"")]
    assert feed(frames, start + part * 7 + client_frame(0, b""), fragments=8)[-1][:2] == ("error", 1008)


def test_nothing_is_kept_of_whole_messages_and_only_what_has_come_of_others():
    parser = compiled.Parser(LIMIT, 64)
    parser.feed(client_frame(1, b"a" * 5000))
    assert parser.held_bytes == 0
    parser.feed(client_frame(1, b"a" * 500_000)[:1000])
    assert parser.held_bytes <= 2000
    parser.feed(client_frame(1, b"a" * 500_000)[1000:])
    assert parser.held_bytes == 0


frame_lists = st.lists(
    st.builds(
        client_frame,
        st.sampled_from([0, 0, 1, 1, 2, 8, 9, 10, 3]),
        st.one_of(st.binary(max_size=140), st.text(max_size=60).map(str.encode)),
        fin=st.booleans(),
        mask=st.binary(min_size=4, max_size=4),
    ),
    max_size=8,
)


@given(frame_lists, st.lists(st.integers(0, 1200), max_size=10), st.integers(1, 300), st.integers(1, 6))
@example([client_frame(1, b"a", fin=False), client_frame(0, b"")], [3], 1, 2)
def test_any_frames_in_any_cuts_match_the_twin(parts, cuts, limit, fragments):
    data = b"".join(parts)
    cuts = [cut for cut in cuts if cut < len(data)]
    expected = feed(reference, data, (), limit=limit, fragments=fragments)
    assert feed(compiled, data, (), limit=limit, fragments=fragments) == expected
    assert feed(compiled, data, cuts, limit=limit, fragments=fragments) == expected
    assert feed(reference, data, cuts, limit=limit, fragments=fragments) == expected


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_bytes_match_the_twin(data, cuts):
    cuts = [cut for cut in cuts if cut < len(data)]
    assert feed(compiled, data, cuts) == feed(reference, data)


@given(st.binary(max_size=64), st.integers(0, 64))
def test_any_text_is_judged_as_python_does(data, cut):
    try:
        data.decode()
        expected = ("text", data)
    except UnicodeDecodeError:
        expected = ("error", 1007, "not UTF-8")
    frame = client_frame(1, data)
    assert feed(compiled, frame, [min(6 + cut, len(frame) - 1)]) == [expected]
