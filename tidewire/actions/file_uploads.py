"""New files: from what was received to a row, its object and the smaller pictures of it. All of it, or nothing.

Objects are named as doomed before they are written, and spared by the transaction that writes the rows; whatever ends
an upload in between, the janitor finds.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tidewire.actions.config import Config
from tidewire.actions.file_janitor import GRACE_MS
from tidewire.actions.permissions import access_channel, channel_missing
from tidewire.actions.services import Services
from tidewire.pictures.previews import Previews
from tidewire.pictures.squares import NotAPicture, TooManyPixels
from tidewire.pictures.workshop import Workshop
from tidewire.store import files as store
from tidewire.store.db import Transaction
from tidewire.store.holds import hold
from tidewire.store.incoming import Incoming
from tidewire.store.objects import Objects
from tidewire.wire import file_types
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.files import StoredFile
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Channel, Session

NAMELESS = "unnamed"


class Received(NamedTuple):
    """A file that has come, and what its sender calls it."""

    file: Incoming
    name: str


class Prepared(NamedTuple):
    """A file's row to be, and the smaller pictures that go with it."""

    row: StoredFile
    received: Received
    previews: Previews | None


def check_enabled(services: Services) -> None:
    """Raise 403 where files are switched off."""
    if not services.config.flag("FileSettings.EnableFileAttachments"):
        raise AppError(
            "api.file.attachments.disabled.app_error", 403, "File attachments have been disabled on this server."
        )


async def access_channel_for_upload(services: Services, session: Session, channel_id: str) -> Channel:
    """Return a channel that the caller may upload to. Raises: 403, 404."""
    check_enabled(services)
    return await access_channel(services, session, channel_id, "upload_file")


def new_key(at_ms: int, file_id: str) -> str:
    """Return a new object's key; the day keeps folders small.

    It is new for each try, so that none takes another's bytes away, and ends with the file's id: the janitor asks by it
    whether there is a row for it.
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y/%m/%d}/{new_id()}{file_id}"


async def prepare(services: Services, user_id: str, channel_id: str, received: Received) -> Prepared:
    """Return what is to be stored of a file that has come.

    Raises: 400 for a picture of too many pixels; Unavailable when too many wait for theirs.
    """
    now = now_ms()
    return await describe(
        services.config,
        services.workshop,
        received,
        file_id=new_id(now),
        user_id=user_id,
        channel_id=channel_id,
        at=now,
    )


async def describe(
    config: Config,
    workshop: Workshop,
    received: Received,
    *,
    file_id: str,
    user_id: str,
    channel_id: str,
    at: int,
    post_id: str = "",
) -> Prepared:
    """Return what is to be stored of a file with an id, made at a time (ms). Raises: as prepare."""
    file = received.file
    await file.finish()
    name = file_types.clean_name(received.name) or NAMELESS
    found = await _previews(config, workshop, received, user_id) if file_types.picture_type(file.head) else None
    row = StoredFile(
        id=file_id,
        user_id=user_id,
        channel_id=channel_id,
        post_id=post_id,
        create_at=at,
        update_at=at,
        delete_at=0,
        name=name,
        extension=file_types.extension(name),
        size=file.size,
        mime_type=found.type if found else file_types.type_of_name(name),
        shown_as=found.type if found else file_types.played_type(file.head),
        width=found.width if found else 0,
        height=found.height if found else 0,
        thumbnail=found.thumbnail.type if found else "",
        preview=found.preview.type if found and found.preview else "",
        mini_preview=found.mini if found else None,
        sha256=file.digest,
        key=new_key(now_ms(), file_id),
    )
    return Prepared(row, received, found)


async def _previews(config: Config, workshop: Workshop, received: Received, user_id: str) -> Previews | None:
    limit = config.number("FileSettings.MaxImageResolution")
    try:
        return await workshop.make_previews(str(received.file.path), limit, of=user_id)
    except TooManyPixels as error:
        error_id = "api.file.upload_file.large_image_detailed.app_error"
        raise AppError(error_id, 400, "The dimensions of the picture exceed the limit.") from error
    except NotAPicture:
        return None  # it is kept as what it is: bytes


async def do_upload(
    services: Services, session: Session, channel_id: str, received: Sequence[Received]
) -> list[StoredFile]:
    """Store files that have come for a channel, from access_channel_for_upload, all or none.

    Raises: as prepare; Unavailable.
    """
    prepared = [await prepare(services, session.user_id, channel_id, one) for one in received]
    async with Putting(services, [key for one in prepared for key in one.row.keys]) as objects:
        for one in prepared:
            await put(objects, one)
        async with services.db.transaction() as tx:
            await insert(tx, prepared)
    return [one.row for one in prepared]


class Putting:
    """`async with Putting(services, keys) as objects`: if its block fails, nothing under the keys stays."""

    def __init__(self, services: Services, keys: Sequence[str]) -> None:
        self._services = services
        self._keys = keys

    async def __aenter__(self) -> Objects:
        """Name the objects as doomed, and return the store. Raises: Unavailable."""
        await store.doom(self._services.db, self._keys, now_ms() + GRACE_MS)
        return self._services.files.objects

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let the janitor have what the block did not finish."""
        if kind is None:
            return
        try:
            await store.doom(self._services.db, self._keys, 0)
            self._services.janitor.wake()
        except Unavailable:
            pass  # they are doomed already, a little later


async def put(objects: Objects, one: Prepared) -> None:
    """Store a file's objects."""
    row, found = one.row, one.previews
    if found is not None:
        await objects.put(row.thumbnail_key, found.thumbnail.data)
        if found.preview is not None:
            await objects.put(row.preview_key, found.preview.data)
    await objects.put_file(row.key, one.received.file.path)


async def insert(tx: Transaction, prepared: Sequence[Prepared]) -> None:
    """Write the rows of files whose objects are stored. Raises: Unavailable if that took too long; 404.

    Uploads are slow: their channel, or their user, may have been deleted for good meanwhile.
    """
    channels, users = ({getattr(one.row, name) for one in prepared} for name in ("channel_id", "user_id"))
    if not await hold(tx, channels=sorted(channels), users=sorted(users)):
        raise channel_missing()
    if not await store.insert(tx, [one.row for one in prepared]):
        raise Unavailable("files")
