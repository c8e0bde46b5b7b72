"""Slack's markup becomes Markdown, whatever else a program sends."""

import pytest

from tidewire.actions.integration_text import to_markdown, user_ids_in

ANN = "a" * 26


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<http://x.example|it>", "[it](http://x.example)"),
        ("see <https://x.example/?a=1&b=2>.", "see https://x.example/?a=1&b=2."),
        ("<mailto:a@x.example|mail me> <tel:+1|call>", "[mail me](mailto:a@x.example) [call](tel:+1)"),
        ("<http://x.example|>", "[](http://x.example)"),
        ("<!channel> <!here|here> <!everyone> <!all>", "@channel @here @all @all"),
        (f"<@{ANN}> <@{ANN}|Ann>", "@ann @ann"),
        (f"<@{'b' * 26}> <@U012AB3CD>", f"<@{'b' * 26}> <@U012AB3CD>"),  # nobody here
        ("<javascript:x|y> a < b > c <b>", "<javascript:x|y> a < b > c <b>"),
        ("<http://x\n|y> <http://x", "<http://x\n|y> <http://x"),
        ("<<http://x|y>>", "<[y](http://x)>"),
    ],
)
def test_markup(text: str, wanted: str) -> None:
    assert to_markdown(text, {ANN: "ann"}) == wanted


def test_without_names_nothing_changes() -> None:
    assert to_markdown("<http://x|y>", None) == "<http://x|y>"


@pytest.mark.parametrize("piece", ["<http:a", "<http:a|", "<!channel|", "<mailto:", f"<@{ANN}|", "<", "<http:a|b"])
def test_what_never_ends_is_read_once(piece: str) -> None:
    """If each beginning were read to the end of the text, one of these would take a minute."""
    text = piece * (190_000 // len(piece))
    assert to_markdown(text, {ANN: "ann"}) == text
    user_ids_in(text)
