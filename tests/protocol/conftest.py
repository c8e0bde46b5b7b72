"""The two transports that a gateway speaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.transport import speaking


@pytest.fixture(params=["tcp", "tls"])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Run a test over plain TCP, and once more over TLS."""
    with speaking(request.param, tmp_path) as kind:
        yield kind
