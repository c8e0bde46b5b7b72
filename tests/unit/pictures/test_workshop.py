"""Whose picture is next. What is made of pictures: tests/integration/files."""

import asyncio
from typing import Any

import pytest

from tidewire.pictures.workshop import FILES_OF_ONE_MAX, Workshop
from tidewire.wire.errors import Unavailable


async def test_many_pictures_of_one_user_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    workshop, made = Workshop(), []

    async def run(make: Any, path: str, max_pixels: int) -> str:
        await asyncio.sleep(0)
        made.append(path)
        return path

    monkeypatch.setattr(workshop, "_run", run)

    async def send(path: str, of: str) -> None:
        await workshop.make_previews(path, 1, of=of)

    async with asyncio.TaskGroup() as group:
        for _ in range(FILES_OF_ONE_MAX):
            group.create_task(send("ann's", "ann"))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await send("one too many", "ann")
        for _ in range(2):
            group.create_task(send("bob's", "bob"))
    assert len(made) == FILES_OF_ONE_MAX + 2
    assert made[:6].count("bob's") == 2
    await send("ann's", "ann")  # there is room again
