"""What a start says while it waits: always a reason."""

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from tidewire.store import waiting
from tidewire.store.db import Database
from tidewire.store.migrate import newest
from tidewire.wire.errors import Unavailable


class Silent:
    """A database that takes a connection and says nothing, the first time."""

    url = "postgresql://ada:geheim@db.example/chat"
    asked = 0

    async def fetchval(self, query: str) -> int:
        self.asked += 1
        if self.asked == 1:
            raise Unavailable("database") from TimeoutError()
        return newest()


async def opened() -> Any:
    return "opened"


async def test_a_database_that_does_not_answer_is_a_reason_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_AGAIN_S", 0.0)
    with capture_logs() as lines:
        assert await waiting.once_there(cast(Database, Silent()), opened) == "opened"
    assert [(line["what"], line["why"]) for line in lines] == [
        ("the database chat at db.example", "no answer in time")
    ]
