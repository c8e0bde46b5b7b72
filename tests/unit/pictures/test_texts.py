"""What PDFs may do to their reader: it says what it could read, or that it could not."""

from pathlib import Path
from typing import Any

import pypdf
import pytest

from tidewire.pictures.squares import NotAPicture
from tidewire.pictures.texts import read_text


class Page:
    """A page that says something, or breaks."""

    def __init__(self, text: str | Exception) -> None:
        self.text = text

    def extract_text(self) -> str:
        """Return the text."""
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


def read(monkeypatch: pytest.MonkeyPatch, *pages: str | Exception) -> str:
    """Return what a PDF of these pages says."""

    class Reader:
        def __init__(self, path: str) -> None:
            self.pages: list[Any] = [Page(page) for page in pages]

    monkeypatch.setattr(pypdf, "PdfReader", Reader)
    return read_text("x.pdf", 100)


@pytest.mark.parametrize("error", [IndexError(), ZeroDivisionError(), AssertionError(), OverflowError(), OSError()])
def test_whatever_a_reader_stumbles_over(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    assert read(monkeypatch, "first", error) == "first"
    with pytest.raises(NotAPicture):
        read(monkeypatch, error)


def test_what_is_read_can_be_stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert read(monkeypatch, "a\0b\ud800c") == "a b?c"
    plain = tmp_path / "x.txt"
    plain.write_bytes(b"\xff\xfe\x00\xd8a\x00")  # UTF-16 with half a pair
    read_text(str(plain), 100).encode()
