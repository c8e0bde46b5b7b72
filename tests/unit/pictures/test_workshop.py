"""Whose picture is next. What is made of pictures: tests/integration/files."""

import asyncio
from typing import Any

import pytest

from tidewire.pictures.workshop import FILES_OF_ONE_MAX, WAITING_MAX, Workshop
from tidewire.wire.errors import Unavailable


@pytest.fixture
def made() -> list[str]:
    """The paths of what was made, in the order of that."""
    return []


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch, made: list[str]) -> Workshop:
    """A workshop without a process."""
    workshop = Workshop()

    async def run(make: Any, path: str, max_pixels: int) -> str:
        await asyncio.sleep(0)
        made.append(path)
        return path

    monkeypatch.setattr(workshop, "_run", run)
    return workshop


async def test_many_pictures_of_one_user_hold_up_nobody_else(workshop: Workshop, made: list[str]) -> None:

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


async def test_files_of_one_user_leave_room_for_the_pictures_of_people(
    workshop: Workshop, made: list[str]
) -> None:
    """Who waits for his own picture, for sixteen turns at most, is not refused for files that wait behind him."""
    await workshop._turn.acquire()
    async with asyncio.TaskGroup() as group:
        for _ in range(FILES_OF_ONE_MAX):
            group.create_task(workshop.make_previews("ann's", 1, of="ann"))
        await asyncio.sleep(0)
        for _ in range(WAITING_MAX - 1):
            group.create_task(workshop.make_square("face", 1))
        await asyncio.sleep(0)
        assert workshop._in_line == WAITING_MAX
        with pytest.raises(Unavailable):
            await workshop.make_emoji("one too many", 1)
        workshop._turn.release()
    assert made.index("face") < 3 and made.count("face") == WAITING_MAX - 1
    await workshop.make_emoji("there is room again", 1)


async def test_files_that_search_reads_have_one_place_in_the_line(workshop: Workshop, made: list[str]) -> None:
    """It fetches several at once; who sends his picture waits for one of them at most."""
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(workshop.read_text(f"{number}.pdf"))
        await asyncio.sleep(0)
        group.create_task(workshop.make_square("face", 1))
    assert made == ["0.pdf", "face", "1.pdf", "2.pdf"]
