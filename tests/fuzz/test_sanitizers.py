"""hotpath's own tests on a build with sanitizers; `make sanitize` adds Autobahn's cases."""

import os

import pytest

from tests.fuzz import sanitize


@pytest.mark.skipif(os.environ.get("HOTPATH") == "python", reason="the twins are plain Python")
@pytest.mark.timeout(600)  # it may have to build first
def test_sanitizers_find_nothing() -> None:
    done = sanitize.run([], short=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    assert " passed" in done.stdout
