"""What pushes say, for each row of the contract's table "text"."""

import time
from typing import Any

import pytest
from markdown_it.helpers import parseLinkDestination

from tidewire.actions import push_text
from tidewire.actions.push_text import (
    MESSAGE_BYTES,
    READ_RUNES,
    Named,
    cut,
    display_name,
    full_text,
    plain,
    text,
    title,
)

ANN = Named("ann", "Ann", "Lee", "Annie")


@pytest.mark.parametrize(
    ("person", "how", "expected"),
    [
        (ANN, "username", "@ann"),
        (ANN, "full_name", "Ann Lee"),
        (ANN, "nickname_full_name", "Annie"),
        (Named("ann", "", "Lee"), "nickname_full_name", "Lee"),
        (Named("ann"), "full_name", "@ann"),
        (Named("ann"), "nickname_full_name", "@ann"),
        (ANN, "", "@ann"),
    ],
)
def test_names(person: Named, how: str, expected: str) -> None:
    assert display_name(person, how) == expected


@pytest.mark.parametrize(
    ("kind", "reply", "named", "expected"),
    [
        ("O", False, True, "Harbour"),
        ("O", False, False, ""),
        ("O", True, True, "Reply in Harbour"),
        ("O", True, False, ""),
        ("G", False, True, "@bob, @cid"),
        ("G", True, True, "Reply in @bob, @cid"),
        ("D", False, True, "@ann"),
        ("D", False, False, "@ann"),
        ("D", True, True, "Reply in a direct message"),
    ],
)
def test_titles(kind: str, reply: bool, named: bool, expected: str) -> None:
    assert title(kind, "Harbour", "@ann", ["@cid", "@bob"], reply=reply, named=named) == expected


@pytest.mark.parametrize(
    ("contents", "direct", "reply", "kind", "expected"),
    [
        ("full", True, False, "post", "low tide"),
        ("full", True, True, "post", "@ann: low tide"),
        ("full", False, False, "named", "@ann: low tide"),
        ("generic", True, False, "post", "Sent you a message."),
        ("generic", True, True, "post", "@ann replied in a thread."),
        ("generic", False, True, "named", "@ann replied in a thread that you follow."),
        ("generic", False, False, "channel", "@ann notified the channel."),
        ("generic", False, False, "named", "@ann mentioned you."),
        ("generic", False, False, "own_post", "@ann commented on your post."),
        ("generic", False, False, "own_thread", "@ann commented in a thread that you took part in."),
        ("generic", False, False, "post", "@ann posted a message."),
        ("generic_no_channel", False, False, "named", "@ann mentioned you."),
        ("id_loaded", False, False, "named", "You have a new message."),
    ],
)
def test_texts(contents: str, direct: bool, reply: bool, kind: str, expected: str) -> None:
    how: Any = {"contents": contents, "direct": direct, "reply": reply, "kind": kind}
    assert text(sender="@ann", message="low tide", has_files=True, **how) == expected


@pytest.mark.parametrize("contents", ["full", "generic", "generic_no_channel"])
def test_files_without_text(contents: str) -> None:
    how: Any = {"contents": contents, "reply": False, "kind": "post", "sender": "@ann", "message": ""}
    assert text(direct=True, has_files=True, **how) == "Attached a file."
    assert text(direct=False, has_files=True, **how) == "@ann attached a file."


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("no marks: here", "no marks: here"),
        ("**bold** _and_ ~~gone~~ `code`", "bold and gone code"),
        ("[a link](https://example.org) ![a picture](https://example.org/x.png)", "a link a picture"),
        ("# head\n\n> said\n> so\n\n- one\n- two\n\n3. three", "head\nsaid\nso\none\ntwo\nthree"),
        ("```py\nx = 1\n```", "x = 1"),
        ("| a | b |\n|---|---|\n| 1 | *2* |", "a b\n1 2"),
        ("hello <mention>@bob</mention>", "hello @bob"),
        ("2 * 3 < 7 &amp; true", "2 * 3 < 7 & true"),
        ("\\*kept\\*", "*kept*"),
        ("  around  ", "around"),
        ("", ""),
    ],
)
def test_markdown_is_stripped(source: str, expected: str) -> None:
    assert plain(source) == expected


def test_attachments_add_their_fallback() -> None:
    props = {"attachments": [{"fallback": "*first*"}, {"text": "none"}, "?", {"fallback": 7}, {"fallback": "b"}]}
    assert full_text("hi", props) == "hi\nfirst\nb"
    assert full_text("", props) == "first\nb"
    assert full_text("hi", {"attachments": {"fallback": "no list"}}) == "hi"


def test_a_text_is_cut_between_characters() -> None:
    assert cut("é" * 2_000) == "é" * (MESSAGE_BYTES // 2)
    assert cut("x" * MESSAGE_BYTES) == "x" * MESSAGE_BYTES


def test_no_more_is_parsed_than_a_phone_can_show() -> None:
    assert plain("x" * 16_383) == "x" * READ_RUNES
    assert plain("*" + "x" * 16_383) == "*" + "x" * (READ_RUNES - 1)


@pytest.mark.parametrize(
    "part",
    [
        "![", "[", "[a](", "![a](", "[](", "](", "`", "``` ", "` `` ", "*", "_*", "~~", "> ", "<", "&", "\\`", "|-|\n",
        "    x\n\n",
    ],
)
def test_any_text_takes_linear_time(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security case G3: 10 ms for what is read of a text; eight times as much shows what grows faster."""
    monkeypatch.setattr(push_text, "READ_RUNES", 8 * READ_RUNES)
    given, times = (part * 16_383)[:16_383], []
    for _ in range(2):  # the collector may come by
        started = time.process_time()
        plain(given)
        times.append(time.process_time() - started)
    assert min(times) < 0.8


@pytest.mark.parametrize("part", ["[a](", "![a](", "[]("])
def test_not_every_bracket_is_asked_where_it_leads(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is followed through 32 others: 18 ms for what is read of a text."""
    asked = []

    def destination(source: str, start: int, end: int) -> Any:
        asked.append(end > start)
        return parseLinkDestination(source, start, end)

    monkeypatch.setattr(push_text, "parseLinkDestination", destination)
    assert plain(part * 600)[:3] == (part * 600)[:3]
    assert asked[0] and sum(asked) <= push_text.UNCLOSED + 1 < len(asked)
    assert plain("[a](" * 10 + " [b](http://c) ![d](http://e)") == "[a](" * 10 + " b d"
    assert plain("[b](http://c)") == "b"  # each text has its own count


def test_links_beside_open_brackets_are_read() -> None:
    assert plain("[" * 10 + " [a](http://b) ![c](http://d) - [ ] e") == "[" * 10 + " a c - [ ] e"
