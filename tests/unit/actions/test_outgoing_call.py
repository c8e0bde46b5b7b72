"""How long the server waits for a program."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tidewire.actions import outgoing_call
from tidewire.outbound.shares import Shares
from tidewire.wire.errors import AppError


async def test_waiting_for_ones_share_of_the_places_is_part_of_the_time() -> None:
    shares = Shares(1)

    async def fetch(*given: Any, **more: Any) -> Any:
        raise AssertionError("there was no place")

    services: Any = SimpleNamespace(
        config=SimpleNamespace(number=lambda key: 0.05), outbound=SimpleNamespace(shares=shares, fetch=fetch)
    )
    async with shares.of("ann"), asyncio.timeout(30):
        with pytest.raises(AppError) as refused:
            await outgoing_call.call(services, "http://x.example/", b"", dict, "some.error", of="ann")
    assert (refused.value.status, refused.value.id) == (400, "some.error")
    assert "no answer within" in refused.value.message
    assert not shares._shares
