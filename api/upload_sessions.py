"""Uploads in several requests. Rules are in tidewire.actions.upload_sessions. Source: Mattermost API v4, uploads."""

from contextlib import AsyncExitStack

from api.call import Call
from api.file_bodies import Cut, TooLarge, is_form, receive_body, receive_part
from api.routing import Created, Raw, route
from tidewire.actions import upload_sessions as uploads
from tidewire.actions.upload_sessions import NewUpload
from tidewire.wire.errors import AppError
from tidewire.wire.files import FileInfo, UploadSession


@route("POST", "/uploads")
async def create_upload(call: Call) -> Created:
    """Begin an upload."""
    new: NewUpload = await call.body(NewUpload, "upload")
    return Created(await uploads.do_create(call.services, call.login, new))


@route("GET", "/uploads/{upload_id}")
async def get_upload(call: Call) -> UploadSession:
    """Get an upload: how much of it has come."""
    return await uploads.get(call.services, call.login, call.path_id("upload_id"))


@route("GET", "/users/{user_id}/uploads")
async def get_uploads_of_user(call: Call) -> list[UploadSession]:
    """Get one's open uploads."""
    return await uploads.list_of_user(call.services, call.login, call.path_id("user_id"))


@route("POST", "/uploads/{upload_id}")
async def upload_data(call: Call) -> FileInfo | Raw:
    """Go on with an upload from where it is: the body, or the first file of a form. What came before a cut is kept."""
    upload = await uploads.access_upload(call.services, call.login, call.path_id("upload_id"))
    left = upload.file_size - upload.file_offset
    async with AsyncExitStack() as stack:
        piece = await stack.enter_async_context(call.services.files.new_incoming())
        try:
            await (receive_part if is_form(call) else receive_body)(call, piece, left)
        except TooLarge as error:
            error_id = "api.file.upload_file.too_large_detailed.app_error"
            raise AppError(error_id, 413, f"Only {left} bytes are left of this upload.") from error
        except Cut as error:
            if piece.size < left:
                await uploads.do_append(call.services, upload, piece)
            error_id = "api.upload.upload_data.multipart_error"
            raise AppError(error_id, 400, "The body ended before its end.") from error
        done = await uploads.do_append(call.services, upload, piece)
        return Raw(b"", "application/json", 204) if done is None else done
