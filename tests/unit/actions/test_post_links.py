"""Channel names and links to posts in a message, hostile ones included."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.actions.post_links import NAMES_MAX, channel_names, may_name, permalink_in

SITE = "https://chat.example.org"
ID = "abcdefghijklmnopqrstuvwxy1"
LINK = f"{SITE}/gulls/pl/{ID}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("see ~harbour", ["harbour"]),
        ("~harbour, ~Off-Topic. (~x_1) ~harbour", ["harbour", "off-topic", "x_1"]),
        ("a~b x ~~struck~~ ~-no ~", ["struck"]),
        ("`~code` ~yes\n```\n~block\n```", ["yes"]),
        (f"{SITE}/~no ~{'a' * 64} ~{'b' * 65}", ["a" * 64]),
        ("~größe", ["gr"]),
    ],
)
def test_channel_names(text: str, names: list[str]) -> None:
    assert channel_names([text]) == names


@given(st.text("~aZ5_- .`[](]\n\té", max_size=30))
def test_no_name_is_missed_by_the_first_look(text: str) -> None:
    assert may_name(text) or not channel_names([text])


@pytest.mark.parametrize("text", ["", "in a ~ b", "a~b", "~ 5", "~~~\ncode\n~~~", "~/notes", "x ~"])
def test_what_names_nothing_at_first_look(text: str) -> None:
    assert not may_name(text)


def test_no_more_names_than_the_limit() -> None:
    found = channel_names([" ".join(f"~c{i}" for i in range(1000)), "~more"])
    assert found == [f"c{i}" for i in range(NAMES_MAX)]


@pytest.mark.parametrize(
    "text",
    [
        LINK,
        f"see {LINK}.",
        f"(see {LINK})",
        f"<{LINK}>",
        f"**{LINK}**",
        f"[text](https://elsewhere.example) {LINK}",
        f"`{SITE}/x/pl/{'z' * 26}` {LINK}, then https://elsewhere.example",
    ],
)
def test_links(text: str) -> None:
    assert permalink_in(text, SITE) == (LINK, ID)


def test_links_without_a_team() -> None:
    assert permalink_in(f"{SITE}/_redirect/pl/{ID}", SITE) == (f"{SITE}/_redirect/pl/{ID}", ID)
    assert permalink_in(f"{SITE}/sub/gulls/pl/{ID}", SITE + "/sub") == (f"{SITE}/sub/gulls/pl/{ID}", ID)


@pytest.mark.parametrize(
    "text",
    [
        f"https://elsewhere.example {LINK}",  # the first link only
        f"[here]({LINK})",
        f"![picture]({LINK})",
        f"`{LINK}`",
        f"```\n{LINK}\n```",
        LINK + "x",
        LINK + "/",
        LINK + "?a=b",
        LINK[:-1],
        LINK.replace("chat", "evil"),
        f"{SITE}.evil.example/gulls/pl/{ID}",
        f"{SITE}@evil.example/gulls/pl/{ID}",
        f"{SITE}/a/b/pl/{ID}",
        f"{SITE}/Gulls/pl/{ID}",
        f"{SITE}/pl/{ID}",
        f"{SITE}/gulls/pl/{ID.upper()}",
        f"/gulls/pl/{ID}",
        LINK + ")" * 200,
    ],
)
def test_no_links(text: str) -> None:
    assert permalink_in(text, SITE) is None


def test_a_site_without_an_address_has_no_links() -> None:
    assert permalink_in(LINK, "") is None


PARTS = [LINK, SITE, "https://", "](", "`", "```\n", "~", "~~~\n", ")", "(", "<", "*", "\n", " ", "a", "é", "\0"]
hostile = st.lists(
    st.sampled_from(PARTS) | st.text(max_size=5),
    max_size=40,
).map("".join)


@given(hostile)
def test_any_text_is_read(text: str) -> None:
    found = permalink_in(text, SITE)
    if found is not None:
        assert found == (f"{SITE}/gulls/pl/{ID}", ID)
        assert found[0] in text
    names = channel_names([text])
    assert len(names) <= NAMES_MAX
    assert all(name.isascii() and name in text.lower() for name in names)


@pytest.mark.parametrize(
    "part",
    [LINK + ")", "](https://", "~a", "~", "`", "`~a` ", f"<{SITE}/", f"https://{')' * 50} ", "(" * 9, "~~~\n"],
)
def test_the_longest_messages_take_no_time(part: str) -> None:
    text = "/pl/" + part * (16_383 // len(part))
    started = time.process_time()
    permalink_in(text, SITE)
    channel_names([text])
    assert time.process_time() - started < 0.5  # a quadratic reader takes seconds
