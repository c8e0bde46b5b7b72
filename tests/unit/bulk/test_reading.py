"""Lines of files: where they end, which are too long, which are none, and what is said of these."""

import io

import pytest

from tidewire.bulk import reading
from tidewire.bulk.decoding import BadLine, decode_line
from tidewire.bulk.lines import PostLine
from tidewire.bulk.reading import RawLine, read_lines

POST = '"team":"a","channel":"b","user":"u","message":"m","create_at":3'


class Drops(io.BytesIO):
    """Gives a byte at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(1)


@pytest.mark.parametrize("stream", [io.BytesIO, Drops])
def test_lines_are_cut_and_counted(stream: type[io.BytesIO]) -> None:
    text = b"one\n\n" + b"x" * 9 + b"\n12345\n123456\nlast"
    found = list(read_lines(stream(text), limit=5))
    assert found == [
        RawLine(1, 4, b"one"),
        RawLine(2, 5, b""),
        RawLine(3, 15, None),
        RawLine(4, 21, b"12345"),
        RawLine(5, 28, None),
        RawLine(6, 32, b"last"),
    ]


def test_reading_goes_on_behind_any_line() -> None:
    text = b"one\ntwo\n" + b"3" * 20 + b"\nfour\n"
    whole = list(read_lines(io.BytesIO(text), limit=10))
    for line in whole:
        rest = read_lines(io.BytesIO(text[line.end :]), number=line.number, offset=line.end, limit=10)
        assert list(rest) == whole[line.number :]


def test_a_line_without_end_takes_no_more_memory_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE_BYTES", 1000)
    seen: list[int] = []

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append(size or 0)
            return b"x" * 1000 if len(seen) < 10_000 else b""

    found = list(read_lines(Endless(), limit=5000))
    assert found == [RawLine(1, 9_999_000, None)]


@pytest.mark.parametrize(
    ("text", "type_", "reason"),
    [
        ('{"type":"blah","blah":{}}', "line", "its type is unknown"),
        ('{"type":"post"}', "post", "the object of its type is missing"),
        ('{"type":"post","team":{"name":"a"}}', "team", "Object missing required field"),
        ('{"type":"post","post":{"create_at":1e400}}', "post", "Number out of range"),
        (
            f'{{"type":"post","post":{{{POST},"replies":[{{"user":3}}]}}}}',
            "post",
            "Expected `str`, got `int`",
        ),
        (
            f'{{"type":"post","post":{{{POST},"replies":{{}}}}}}',
            "post",
            "Expected `array | null`, got `object`",
        ),
        ('{"type":"user","user":{"username":"\\u0000","email":"a@b"}}', "line", "a text has a NUL in it"),
        ('{"type":"user","user":{"username":"\\ud800","email":"a@b"}}', "line", "it is not JSON"),
        ('{"type":"version","version":2}', "version", "the version is not 1"),
        ("[" * 100_000, "line", "Expected `object`, got `array`"),
        (
            '{{"type":"post","post":{{{},"props":{}}}}}'.format(POST, '{"a":' * 50_000),
            "line",
            "it is nested too deeply",
        ),
        ("null", "line", "Expected `object`, got `null`"),
        ("{", "line", "it is not JSON"),
        ('{"type":"team","type":3}', "line", "Expected `str`, got `int`"),
    ],
)
def test_what_is_no_line_is_named(text: str, type_: str, reason: str) -> None:
    with pytest.raises(BadLine) as error:
        decode_line(text.encode())
    assert (error.value.type, error.value.reason[: len(reason)]) == (type_, reason)


def test_bytes_that_are_no_text_are_no_line() -> None:
    with pytest.raises(BadLine, match="it is not UTF-8"):
        decode_line(b'{"type":"team","team":{"name":"\xff"}}')


def test_unknown_members_are_left_out_and_named_wherever_they_are() -> None:
    reply = '{"user":"a","message":"","create_at":3,"likes":2,"reactions":[{"user":"a","emoji_name":"x",'
    reply += '"create_at":2,"id":1}]}'
    found = decode_line(
        (f'{{"type":"post","colour":1,"post":{{{POST},"shape":null,"replies":[{reply}]}}}}').encode()
    )
    assert found.unknown == ["colour", "post.shape", "post.replies.likes", "post.replies.reactions.id"]
    assert isinstance(found.value, PostLine)
    [reply_line] = found.value.replies or []
    [reaction] = reply_line.reactions or []
    assert reaction.emoji_name == "x"
    props = f'{{"type":"post","post":{{{POST},"props":{{"anything":{{"goes":[1]}}}}}}}}'
    assert decode_line(props.encode()).unknown == []
