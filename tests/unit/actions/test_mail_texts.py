"""What e-mails say: every kind renders, values are escaped where HTML is, no value can add a header."""

import re

import pytest

from tidewire.actions.mail_texts import KINDS, render

NASTY = 'Ann <img src=x onerror="a()">\r\nBcc: everybody@example.org {{ 7 * 7 }}'


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_escapes_what_comes_in(kind: str) -> None:
    source = " ".join((KINDS[kind].subject, *KINDS[kind].paragraphs, KINDS[kind].link))
    names = set(re.findall(r"\{\{ (\w+)", source)) - {"site_name"} | {"active"}
    made = render(kind, NASTY, "https://chat.example.org", dict.fromkeys(names, NASTY))
    assert "\n" not in made.subject
    assert "\r" not in made.subject
    assert "<img" in made.plain
    assert "<img" not in made.html
    assert "&lt;img" in made.html
    assert "{{ 7 * 7 }}" in made.plain  # a value is no template
    for link in re.findall(r'href="([^"]*)"', made.html):
        assert link.startswith("https://chat.example.org")
        assert not re.search(r"[\s<>]", link)


def test_a_missing_value_is_a_bug() -> None:
    with pytest.raises(Exception, match="token"):
        render("verify", "Site", "https://chat.example.org", {"email": "a@example.org"})
