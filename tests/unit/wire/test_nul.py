"""What says NUL in JSON, and what only talks of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.wire.nul import has_nul


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("\0", True), ("a\\\0", True), ("\\u0000", False), ("\\\\u0000", False), ("\\u0000 \0", True), ("u0000", False)],
)
def test_escaped_backslashes_are_told_apart(text: str, wanted: bool) -> None:
    assert has_nul(json.dumps({"message": text}).encode()) is wanted


@given(st.text(alphabet='\0\\u0"é', max_size=30))
def test_any_text(text: str) -> None:
    assert has_nul(json.dumps(text).encode()) is ("\0" in text)


def test_backslashes_without_end_end() -> None:
    assert not has_nul(b"\\" * 300_000 + b"x\\\\u0000" * 10_000)
