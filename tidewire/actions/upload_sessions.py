"""Uploads in several requests: whoever lost the connection goes on where the server stopped hearing him.

What has come lies in objects until the last piece makes one file of them. Two requests of one session may run at once,
in different processes; the one that ends first counts, the other has changed nothing.
Source: Mattermost API v4, uploads.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct, structs

from tidewire.actions import permissions, transfers
from tidewire.actions.file_uploads import NAMELESS, Putting, Received, insert, prepare, put
from tidewire.actions.services import Services
from tidewire.store import files
from tidewire.store import upload_sessions as store
from tidewire.store.db import Transaction
from tidewire.store.incoming import Incoming
from tidewire.store.objects import Missing, Objects
from tidewire.wire import file_types
from tidewire.wire.errors import AppError, Unavailable, body_param
from tidewire.wire.files import FileInfo, StoredUpload, UploadSession
from tidewire.wire.ids import is_id, new_id, now_ms
from tidewire.wire.models import Session

IMPORT = "import"  # the type of an upload that is for no channel
SESSIONS_MAX = 200  # of one user
PIECES_MAX = 1000  # of one session: each is an object
_READ_BYTES = 1 << 20


class NewUpload(Struct):
    """What a client may say of an upload to come; other members are ignored."""

    channel_id: str = ""
    filename: str = ""
    file_size: int = 0
    type: str = "attachment"


def check_enabled(services: Services) -> None:
    """Raise 501 where files are switched off."""
    if not services.config.flag("FileSettings.EnableFileAttachments"):
        raise AppError(
            "api.file.attachments.disabled.app_error", 501, "File attachments have been disabled on this server."
        )


async def do_create(services: Services, session: Session, new: NewUpload) -> UploadSession:
    """Begin an upload, for a channel or for an import. Raises: 400, 403, 413; 501 where files are switched off."""
    check_enabled(services)
    if new.type == IMPORT:
        transfers.check_may(session)
    elif new.type == "attachment":
        await _check_channel(services, session, new.channel_id)
    else:
        raise AppError("model.upload_session.is_valid.type.app_error", 400, "Invalid type.")
    if not new.filename:
        raise AppError("model.upload_session.is_valid.filename.app_error", 400, "Invalid file name.")
    if new.file_size <= 0:
        raise AppError("model.upload_session.is_valid.file_size.app_error", 400, "Invalid file size.")
    if new.file_size > services.config.number("FileSettings.MaxFileSize"):
        raise AppError("app.upload.create.upload_too_large.app_error", 413, "The file is too large.")
    if await store.count_of_user(services.db, session.user_id) >= SESSIONS_MAX:
        raise AppError("app.upload.create.save.app_error", 400, f"More than {SESSIONS_MAX} uploads are open.")
    upload = UploadSession(
        id=new_id(),
        type=new.type,
        create_at=now_ms(),
        user_id=session.user_id,
        channel_id="" if new.type == IMPORT else new.channel_id,
        filename=file_types.clean_name(new.filename) or NAMELESS,
        file_size=new.file_size,
    )
    await store.insert(services.db, upload)
    return upload


async def _check_channel(services: Services, session: Session, channel_id: str) -> None:
    if not is_id(channel_id):
        raise body_param("channel_id")
    channel = await permissions.access_channel(services, session, channel_id, "upload_file")
    if channel.delete_at:
        error_id = "app.upload.create.cannot_upload_to_deleted_channel.app_error"
        raise AppError(error_id, 400, "The channel is archived.")


async def get(services: Services, session: Session, upload_id: str) -> UploadSession:
    """Return an own upload, or as an admin any. Raises: 403, 404."""
    upload = await _find(services, upload_id)
    if upload.user_id != session.user_id and not permissions.is_admin(session):
        raise AppError("api.upload.get_upload.forbidden.app_error", 403, "You may not see this upload.")
    return _shown(upload)


async def list_of_user(services: Services, session: Session, user_id: str) -> list[UploadSession]:
    """Return the caller's open uploads. Raises: 403 for another's."""
    if user_id != session.user_id:
        raise AppError("api.user.get_uploads_for_user.forbidden.app_error", 403, "You may not see these uploads.")
    return [_shown(upload) for upload in await store.of_user(services.db, user_id)]


async def access_upload(services: Services, session: Session, upload_id: str) -> StoredUpload:
    """Return an own upload that the caller may go on with. Raises: 403, 404; 501 where files are switched off."""
    check_enabled(services)
    upload = await _find(services, upload_id)
    if upload.user_id != session.user_id:
        raise AppError("api.context.permissions.app_error", 403)
    if upload.type == IMPORT:
        transfers.check_may(session)
        return upload
    await permissions.access_channel(services, session, upload.channel_id, "upload_file")
    return upload


async def do_append(services: Services, upload: StoredUpload, piece: Incoming) -> FileInfo | None:
    """Add what has come to an upload from access_upload; return the file if that was the last of it, else None.

    Raises: 400 if another request was faster, for too many pieces or a picture of too many pixels; Unavailable.
    """
    await piece.finish()
    if upload.file_offset + piece.size == upload.file_size:
        return await _complete(services, upload, piece)
    if piece.size:
        await _keep(services, upload, piece)
    return None


async def _keep(services: Services, upload: StoredUpload, piece: Incoming) -> None:
    if len(upload.keys) >= PIECES_MAX:
        raise AppError("app.upload.upload_data.update.app_error", 400, f"More than {PIECES_MAX} pieces.")
    key = f"pieces/{upload.id}/{new_id()}"
    async with Putting(services, [key]) as objects:
        await objects.put_file(key, piece.path)
        async with services.db.transaction() as tx:
            if not await store.append(tx, upload.id, upload.file_offset, key, piece.size):
                raise _overtaken()
            if not await files.spare(tx, [key]):
                raise Unavailable("files")


async def _complete(services: Services, upload: StoredUpload, piece: Incoming) -> FileInfo:
    async with _joined(services.files.objects, upload, piece) as whole:
        if upload.type == IMPORT:
            info = await _keep_import(services, upload, whole)
        else:
            info = await _keep_file(services, upload, whole)
    services.janitor.wake()
    return info


async def _keep_file(services: Services, upload: StoredUpload, whole: Incoming) -> FileInfo:
    one = await prepare(services, upload.user_id, upload.channel_id, Received(whole, upload.filename))
    async with Putting(services, one.row.keys) as objects:
        await put(objects, one)
        async with services.db.transaction() as tx:
            await _end(tx, upload)
            await insert(tx, [one])
    return one.row.info()


async def _keep_import(services: Services, upload: StoredUpload, whole: Incoming) -> FileInfo:
    """Put a file into the folder of imports; no row stands for it, and only its name is used of what is returned."""
    await whole.finish()
    key = transfers.key("import", file_types.clean_name(f"{upload.id}_{upload.filename}"))
    async with Putting(services, [key]) as objects:
        await objects.put_file(key, whole.path)
        async with services.db.transaction() as tx:
            await _end(tx, upload)
            if not await files.spare(tx, [key]):
                raise Unavailable("files")
    now, name = now_ms(), upload.filename
    kind = file_types.extension(name), whole.size, file_types.type_of_name(name)
    return FileInfo(upload.id, upload.user_id, "", now, now, 0, name, *kind, None, "", False)


async def _end(tx: Transaction, upload: StoredUpload) -> None:
    if not await store.delete(tx, upload.id, upload.file_offset):
        raise _overtaken()
    await files.doom(tx, upload.keys, now_ms())


@asynccontextmanager
async def _joined(objects: Objects, upload: StoredUpload, last: Incoming) -> AsyncIterator[Incoming]:
    """Give all pieces as one file."""
    if not upload.keys:
        yield last
        return
    async with Incoming(objects.incoming) as whole:
        try:
            for key in upload.keys:
                async for data in (await objects.get(key)).pieces:
                    await whole.write(data)
        except Missing:  # another request was faster, and its pieces are deleted already
            raise _overtaken() from None
        async for data in _read(last.path):
            await whole.write(data)
        yield whole


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while data := await asyncio.to_thread(file.read, _READ_BYTES):
            yield data


async def _find(services: Services, upload_id: str) -> StoredUpload:
    upload = await store.find(services.db, upload_id)
    if upload is None:
        raise AppError("app.upload.get.app_error", 404, "Unable to get the upload.")
    return upload


def _shown(upload: StoredUpload) -> UploadSession:
    """Return what clients see."""
    return UploadSession(*(value for value in structs.astuple(upload)[: len(UploadSession.__struct_fields__)]))


def _overtaken() -> AppError:
    error_id = "app.upload.upload_data.concurrent.app_error"
    return AppError(error_id, 400, "Another request has gone on with this upload.")
