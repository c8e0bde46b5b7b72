"""Whom a text names: the table of cases, and that no text is slow."""

import time
from typing import Any

import pytest

from tidewire.actions.mention_text import (
    ATTACHMENTS_MAX,
    NAMES_MAX,
    TEXTS_MAX,
    find,
    names_in,
    read,
    texts_of,
)

NAMES = {name: name.upper() for name in ("bob", "eve", "bob-smith", "a.b", "under_score", "x")}
KEYWORDS = {"tide": ["K1"], "@ops": ["K2"], "潮": ["K3"], "deploy": ["K1", "K4"]}
FIRST_NAMES = {"Robert": ["F1"]}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@bob", "BOB"),
        ("hello @bob and @eve", "BOB EVE"),
        ("@BOB @Eve", "BOB EVE"),
        ("@bob. @eve, (@x)!", "BOB EVE X"),
        ("@bob... @eve-- @x_", "BOB EVE X"),
        ("@bob: and @eve's", "BOB EVE"),
        ("@bob-smith", "BOB-SMITH"),
        ("@bob-smith-", "BOB-SMITH"),
        ("@bob-jones @bob.jones", ""),
        ("@a.b. @under_score", "A.B UNDER_SCORE"),
        ("end.@bob", "BOB"),
        ("*@bob* **@eve** ~~@x~~", "BOB EVE X"),
        ("_@bob_", "BOB"),
        ("@bob\n@eve", "BOB EVE"),
        ("@bob/@eve", "BOB EVE"),
        ("@bobby bob @ @@bob", ""),
        ("@bob@eve", ""),
        ("mail bob@eve.com or me@bob, x.@bob@example.com", ""),
        (":@bob:", ""),
        ("`@bob` @eve", "EVE"),
        ("``a ` @bob`` @eve", "EVE"),
        ("`@bob @eve", "BOB EVE"),
        (r"\`@bob` @eve", "BOB EVE"),
        ("```\n@bob\n```\n@eve", "EVE"),
        ("```@bob``` @eve", "EVE"),
        ("~~~ text\n@bob\n~~~\n@eve", "EVE"),
        ("```\n@bob\n@eve", ""),
        ("````\n@bob\n```\n@eve", ""),
        ("text\n\n    @bob\n\n@eve", "EVE"),
        ("text\n    @bob", "BOB"),
        ("- item\n\n    @bob", "BOB"),
        ("`one\n\n@bob` @eve", "BOB EVE"),
        ("[@bob](http://x.y/@eve)", "BOB"),
        ("[label](@bob) @eve", "EVE"),
        ("](@bob", "BOB"),
        ("https://x.y/@bob http://x.y?a=@eve www.x.y/@x", ""),
        ("<https://x.y/@bob>@eve", "EVE"),
        ("> @bob\n# @eve", "BOB EVE"),
        ("@boB\u00a0@EVE", "BOB EVE"),
        ("@böb", ""),
        ("the Tide rises", "K1"),
        ("tides", ""),
        ("tide. tide-tide", "K1"),
        ("DEPLOY!", "K1 K4"),
        ("`tide`", ""),
        ("@ops and @OPS", "K2"),
        ("満潮です", "K3"),
        ("Robert", "F1"),
        ("Robert.", "F1"),
        ("robert", ""),
        ("", ""),
        ("...", ""),
    ],
)
def test_who_is_named(text: str, named: str) -> None:
    assert " ".join(find(read([text]), NAMES, KEYWORDS, FIRST_NAMES).user_ids) == named


@pytest.mark.parametrize(
    ("text", "everybody", "here"),
    [
        ("@all", True, False),
        ("@Channel!", True, False),
        ("@here.", False, True),
        ("@here @all", True, True),
        ("`@all`", False, False),
        ("@allison @channels @hereby all", False, False),
    ],
)
def test_everybody(text: str, everybody: bool, here: bool) -> None:
    found = find(read([text], every_word=False), NAMES)
    assert (found.everybody, found.here, list(found.user_ids)) == (everybody, here, [])


@pytest.mark.parametrize(
    "text",
    ["@bob @eve", "hi @bob", "hi @bob, me@bob.x", "(@bob) @eve", "@bob\n@eve", "@", "@@bob @eve", "@a@b -@bob",
     ":@x: @eve", " @bob", "a:@bob:b @x.", "`@bob` @eve", "@bob\u3000@eve\x1c@x"],
)  # fmt: skip
def test_words_with_an_at_are_the_same_whether_others_are_read(text: str) -> None:
    every = [word for word in read([text]).words if "@" in word]
    assert read([text], every_word=False).words == every


def test_names_to_look_up_are_all_forms_and_few() -> None:
    assert names_in(read(["@bob-smith.. me@bob x.@Eve"])) == ["bob-smith..", "bob-smith.", "bob-smith", "eve"]
    assert names_in(read(["@" + "a" * 65, "@" + "b" * 64 + "..."])) == ["b" * 64]
    assert len(names_in(read([" ".join(f"@user{i}" for i in range(2000))]))) == NAMES_MAX


@pytest.mark.parametrize(
    ("props", "texts"),
    [
        ({}, ["hi"]),
        ({"attachments": [{"pretext": "p", "text": "t"}]}, ["hi", "p", "t"]),
        ({"attachments": [{"fields": [{"value": "v"}, {"value": 3}]}]}, ["hi", "v"]),
        ({"attachments": "no"}, ["hi"]),
        ({"attachments": [None, {"text": 1, "fields": {"a": 1}}]}, ["hi"]),
    ],
)  # fmt: skip
def test_attachments_speak_too(props: dict[str, Any], texts: list[str]) -> None:
    assert texts_of("hi", props) == texts


def test_of_endless_attachments_the_beginning_is_read() -> None:
    long = {"text": "x" * TEXTS_MAX, "fields": [{"value": "y"}]}
    assert texts_of("hi", {"attachments": [long]}) == ["hi", "x" * (TEXTS_MAX - 2)]
    many = [{"text": str(i), "fields": [{"value": "f"}] * 1000} for i in range(1000)]
    found = texts_of("hi", {"attachments": many})
    assert found[:2] == ["hi", "0"] and found[-101] == str(ATTACHMENTS_MAX - 1)
    assert len(found) == 1 + ATTACHMENTS_MAX * (1 + ATTACHMENTS_MAX)


@pytest.mark.parametrize(
    "part",
    ["](", "[[[[", "*", "`", "``` ", "` `` ", "@a.", "@.", "@bob ", ".", "@", "-@", "a@", "~~~\n", "    x\n\n", "http://",
     ":a", "\\`"],
)  # fmt: skip
def test_any_text_takes_linear_time(part: str) -> None:
    """Security case G3: 16,383 characters of anything within 10 ms; ten times that allows for a busy machine."""
    text = (part * 16_383)[:16_383]
    times = []
    for _ in range(3):  # the collector may come by
        started = time.process_time()
        find(read([text]), NAMES, KEYWORDS, FIRST_NAMES)
        names_in(read([text], every_word=False))
        times.append(time.process_time() - started)
    assert min(times) < 0.1


def test_a_text_is_lowered_once_for_all_keywords_that_are_looked_for_inside() -> None:
    """A thousand members may have fifty keywords each: for 20,000, lowering was half of 0.57 s for a long text."""
    lowered = 0

    class Text(str):
        def lower(self) -> str:
            nonlocal lowered
            lowered += 1
            return super().lower()

    keywords = {f"潮{number}": [f"K{number}"] for number in range(50)}
    found = find(read([Text("満潮7です")]), {}, keywords)
    assert list(found.user_ids) == ["K7"] and lowered == 1
