"""Every command explains itself: its line in the list above it, each of its flags, defaults that mean something."""

import re
from collections.abc import Iterator

import pytest
from cyclopts import App
from rich.console import Console

from tidewire.cli import app

WIDE = 400  # so that no line is folded


def commands(of: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*words, name))


ALL = list(commands(app))


def shown(words: tuple[str, ...]) -> str:
    console = Console(width=WIDE, color_system=None, force_terminal=False)
    with console.capture() as captured:
        app.help_print([*words], console=console)
    return captured.get()


def test_the_commands_are_there() -> None:
    assert {("serve",), ("push", "dead", "replay"), ("loadtest", "run"), ("import",)} <= set(ALL)


@pytest.mark.parametrize("words", ALL, ids=lambda words: " ".join(words) or "tidewire")
def test_each_line_of_help_says_something(words: tuple[str, ...]) -> None:
    text = shown(words)
    rows = [line.strip("│ ") for line in text.splitlines() if line.startswith("│")]
    assert rows, text
    for row in rows:
        assert re.search(r"\S {2,}\S", row), f"{row!r} is not explained"
    assert "--empty-" not in text and "[default: ]" not in text and "default: None" not in text
