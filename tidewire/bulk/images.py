"""Pictures that lines name by path: profile pictures and emojis, made anew by the workshop from hostile bytes."""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tidewire.actions import emojis
from tidewire.bulk.archive import BadArchive, NoFile
from tidewire.bulk.kit import Item, Kit
from tidewire.bulk.lines import EmojiLine
from tidewire.bulk.reading import PIECE_BYTES
from tidewire.bulk.streams import READ_ERRORS
from tidewire.pictures.previews import Small
from tidewire.pictures.squares import NotAPicture, TooManyPixels
from tidewire.store import emojis as emoji_store
from tidewire.store import imports as store
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Emoji

T = TypeVar("T")
PROFILE_BYTES = (
    50 << 20
)  # Mattermost API v4: what a picture may have is MaxFileSize; no profile picture is that large


async def square_of(kit: Kit, line: int, type_: str, path: str) -> bytes | None:
    """Return the PNG of a profile picture; None, and a word in the report, for what is none."""
    pixels = kit.config.number("FileSettings.MaxImageResolution")
    return await _made(
        kit, line, type_, path, PROFILE_BYTES, lambda file: kit.workshop.make_square(file, pixels)
    )


async def _made(
    kit: Kit, line: int, type_: str, path: str, limit: int, make: Callable[[str], Awaitable[T]]
) -> T | None:
    """Return what the workshop makes of a file, or None."""
    try:
        with kit.source.open_file(path) as opened, tempfile.NamedTemporaryFile(prefix="tidewire-") as copy:
            if opened.size > limit:
                raise NoFile("the picture is too large")
            if kit.dry:
                return None
            while piece := opened.stream.read(PIECE_BYTES):
                copy.write(piece)
            copy.flush()
            return await make(str(Path(copy.name)))
    except (NoFile, BadArchive) as error:
        kit.report.part(line, type_, f"picture: {error}", path)
    except TooManyPixels:
        kit.report.part(line, type_, "picture: it has too many pixels", path)
    except (NotAPicture, *READ_ERRORS):
        kit.report.part(line, type_, "picture: it cannot be read", path)
    return None


class Emojis:
    """Lines of custom emojis; each name once. A known one gets the picture of its line."""

    def __init__(self, kit: Kit, items: list[Item[EmojiLine]]) -> None:
        self._kit, self._items = kit, items
        self._made: list[tuple[Emoji, str, bytes]] = []

    async def prepare(self) -> None:
        """Make the pictures."""
        kit = self._kit
        for line, value in self._items:
            try:
                emojis.check_name(value.name)
                emojis.check_no_system_name(value.name)
            except AppError as error:
                kit.report.skip(line, "emoji", error.message, value.name)
                continue
            image = await _made(kit, line, "emoji", value.image, emojis.IMAGE_BYTES, self._make)
            if image is None:
                if not kit.dry:
                    kit.report.skip(line, "emoji", "it has no picture", value.name)
                continue
            rows = await store.fetch(kit.db, "emoji_image", value.name)
            if rows and rows[0]["data"] == image.data:
                kit.report.count("same", "emoji")
                continue
            kit.report.count("changed" if rows else "made", "emoji")
            emoji = Emoji(new_id(), kit.at, kit.at, 0, "", value.name)
            self._made.append((emoji, image.type, image.data))

    async def _make(self, file: str) -> Small:
        return await self._kit.workshop.make_emoji(file, emojis.SIDE_MAX * emojis.SIDE_MAX)

    async def write(self, tx: Transaction) -> set[str]:
        """Write emojis with their pictures."""
        for emoji, type_, data in self._made:
            await store.put(tx, "drop_emoji", emoji.name, now_ms())
            await emoji_store.insert(tx, emoji, type_, data)
        return set()

    async def close(self) -> None:
        """Nothing is held."""
