"""Files of posts: upload, download, smaller pictures, links. Rules are in tidewire.actions.files and file_uploads.

Source: Mattermost API v4, files. HEAD is routed where the contract routes it.
"""

from contextlib import AsyncExitStack

from api.call import Call
from api.downloads import send
from api.file_bodies import Cut, Form, TooLarge, is_form, receive_body, receive_form
from api.routing import Created, Raw, Stream, route
from tidewire.actions import file_uploads, files
from tidewire.actions.file_uploads import Received
from tidewire.actions.posts import access_post
from tidewire.wire.errors import AppError, url_param
from tidewire.wire.files import FileInfo, FileUploads, StoredFile
from tidewire.wire.ids import is_id

PUBLIC = "/files/{file_id}/public"  # links name it outside the API
_READ_ERROR = "api.file.upload_file.read_request.app_error"


@route("POST", "/files")
async def upload_files(call: Call) -> Created:
    """Upload files: as `files` of a multipart form with `channel_id` and maybe `client_ids`, or one as the body."""
    file_uploads.check_enabled(call.services)
    limit = call.services.config.number("FileSettings.MaxFileSize")
    async with AsyncExitStack() as stack:
        try:
            form = await (_form if is_form(call) else _body)(call, stack, limit)
        except TooLarge as error:
            error_id = "api.file.upload_file.too_large_detailed.app_error"
            raise AppError(error_id, 413, f"Files of more than {limit} bytes cannot be uploaded.") from error
        except Cut as error:
            raise AppError(_READ_ERROR, 400, "Could not read the uploaded files.") from error
        stored = await file_uploads.do_upload(call.services, call.login, form.channel_ids[0], form.files)
        return Created(_uploaded(stored, form))


def _uploaded(stored: list[StoredFile], form: Form) -> FileUploads:
    return FileUploads([file.info() for file in stored], form.client_ids)


async def _form(call: Call, stack: AsyncExitStack, limit: int) -> Form:
    async def check_channel(channel_id: str) -> None:
        if not is_id(channel_id):
            raise _wrong_channel()
        await file_uploads.access_channel_for_upload(call.services, call.login, channel_id)

    form = await receive_form(call, stack, limit, check_channel)
    if not form.channel_ids:
        raise _wrong_channel()
    if len(form.channel_ids) > 1:
        error_id = "api.file.upload_file.multiple_channel_ids.app_error"
        raise AppError(error_id, 400, "The form names several channels.")
    if not form.files:
        error_id = "api.file.upload_file.incorrect_number_of_files.app_error"
        raise AppError(error_id, 400, "The form holds no files.")
    if form.client_ids and len(form.client_ids) != len(form.files):
        error_id = "api.file.upload_file.incorrect_number_of_client_ids.app_error"
        raise AppError(error_id, 400, f"{len(form.client_ids)} client_ids for {len(form.files)} files.")
    return form


async def _body(call: Call, stack: AsyncExitStack, limit: int) -> Form:
    channel_id, name, client_id = call.query("channel_id"), call.query("filename"), call.query("client_id")
    if not is_id(channel_id):
        raise url_param("channel_id")
    if not name:
        raise url_param("filename")
    if call.req.content_length is None:
        raise AppError(_READ_ERROR, 400, "An upload without a form needs a Content-Length.")
    await file_uploads.access_channel_for_upload(call.services, call.login, channel_id)
    file = await stack.enter_async_context(call.services.files.new_incoming())
    await receive_body(call, file, limit)
    return Form([channel_id], [client_id] if client_id else [], [Received(file, name)])


def _wrong_channel() -> AppError:
    return AppError("api.file.upload_file.incorrect_channelId.app_error", 400, "Unable to upload to this channel.")


async def _file(call: Call) -> StoredFile:
    return await files.access_file(call.services, call.login, call.path_id("file_id"))


@route("HEAD", "/files/{file_id}", csrf=False)
@route("GET", "/files/{file_id}", csrf=False)
async def get_file(call: Call) -> Raw | Stream:
    """Download a file."""
    return await send(call, files.whole(await _file(call)), download=call.flag("download"))


@route("HEAD", "/files/{file_id}/thumbnail", csrf=False)
@route("GET", "/files/{file_id}/thumbnail", csrf=False)
async def get_file_thumbnail(call: Call) -> Raw | Stream:
    """Get the thumbnail of a picture."""
    return await send(call, files.thumbnail(await _file(call)), download=call.flag("download"))


@route("HEAD", "/files/{file_id}/preview", csrf=False)
@route("GET", "/files/{file_id}/preview", csrf=False)
async def get_file_preview(call: Call) -> Raw | Stream:
    """Get the preview of a picture."""
    return await send(call, files.preview(await _file(call)), download=call.flag("download"))


@route("GET", "/files/{file_id}/info")
async def get_file_info(call: Call) -> FileInfo:
    """Get what is known of a file."""
    return (await _file(call)).info()


@route("GET", "/files/{file_id}/link")
async def get_file_link(call: Call) -> dict[str, str]:
    """Get the address at which anybody can get a file."""
    file = await _file(call)
    scheme = "https" if call.https else "http"
    site = call.services.config.text("ServiceSettings.SiteURL") or f"{scheme}://{call.header('Host')}"
    return {"link": files.public_link(call.services, file, site)}


@route("GET", "/posts/{post_id}/files/info")
async def get_files_of_post(call: Call) -> list[FileInfo] | Raw:
    """Get what is known of a post's files."""
    deleted = call.flag("include_deleted")
    post, _ = await access_post(call.services, call.login, call.path_id("post_id"), deleted=deleted)
    found = await files.of_post(call.services, call.login, post, deleted=deleted)
    changed_at = max((file.update_at for file in found), default=0)
    if call.not_modified(f"{call.services.version_id}.{post.id}.{changed_at}.{len(found)}"):
        return Raw(b"", "application/json", 304)
    return found


@route("HEAD", PUBLIC, session=False)
@route("GET", PUBLIC, session=False)
async def get_public_file(call: Call) -> Raw | Stream:
    """Download a file by its public link."""
    file = await files.access_public_file(call.services, call.path_id("file_id"), call.query("h"))
    return await send(call, files.whole(file), download=call.flag("download"))
