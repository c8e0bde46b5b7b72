"""What tests of several folders here need."""

from collections.abc import Callable
from typing import Any

import pytest

from tidewire.actions.config import Config


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Keys of the run-time configuration that are different for this test, in the API and the gateway."""
    values: dict[str, Any] = {}
    for kind in ("flag", "number", "text", "words"):
        real = getattr(Config, kind)

        def look(self: Config, name: str, real: Callable[[Config, str], Any] = real) -> Any:
            return values[name] if name in values else real(self, name)

        monkeypatch.setattr(Config, kind, look)
    return values
