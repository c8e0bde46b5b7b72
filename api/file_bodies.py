"""Files in request bodies, streamed to the disk: a multipart form, or the body as it is. Knows no rules of files."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any

import falcon
from falcon.media import MultipartFormHandler
from msgspec import Struct, field

from api.call import Call
from api.uploads import FORM_BYTES
from tidewire.actions.file_uploads import Received
from tidewire.store.incoming import Incoming
from tidewire.wire.errors import AppError

FILES = 10  # of one form, as many as a post holds
# The longest silence, and the longest upload: 100 MiB at 470 kbit/s.
IDLE_S, TOTAL_S = 30.0, 1800.0
VALUE_BYTES = 256  # of a form's text field: ids, 26 characters
_forms = MultipartFormHandler()
_forms.parse_options.max_body_part_count = 4 * FILES
_forms.parse_options.max_body_part_buffer_size = VALUE_BYTES


class TooLarge(Exception):
    """More than may be sent."""


class Cut(Exception):
    """The body ended before it was whole, or is no form."""


class Form(Struct):
    """What a form held. files: in order, with their names."""

    channel_ids: list[str] = field(default_factory=list)
    client_ids: list[str] = field(default_factory=list)
    files: list[Received] = field(default_factory=list)


def is_form(call: Call) -> bool:
    """Tell whether the body is a multipart form."""
    return call.header("Content-Type").partition(";")[0].strip().lower() == "multipart/form-data"


async def pieces(call: Call, limit: int) -> AsyncIterator[bytes]:
    """Pass the body on as it comes. Raises: TooLarge beyond the limit; Cut for one that falls silent or short."""
    length = call.req.content_length
    if length is not None and length > limit:
        raise TooLarge
    size, ends_at = 0, monotonic() + TOTAL_S
    stream = aiter(call.req.stream)
    while monotonic() < ends_at:
        try:
            async with asyncio.timeout(IDLE_S):
                piece = await anext(stream, None)
        except TimeoutError as error:
            raise Cut from error
        if piece is None:
            break
        size += len(piece)
        if size > limit:
            raise TooLarge
        yield piece
    else:
        raise Cut
    if length is not None and size < length:  # Falcon takes a client that is gone for the end
        raise Cut


async def receive_form(
    call: Call, stack: AsyncExitStack, limit: int, check_channel: Callable[[str], Awaitable[Any]]
) -> Form:
    """Read a form; its files live as long as the stack. check_channel: called with the channel's id once it has come.

    limit: of all files together. Raises: TooLarge, Cut; 400 for too many files; what check_channel raises.
    """
    form = Form()
    source: Any = pieces(call, limit + FORM_BYTES)  # Falcon takes any source of chunks, whatever its type says
    try:
        parts = await _forms.deserialize_async(source, call.header("Content-Type"), call.req.content_length)
        async for part in parts:
            if part.name == "channel_id":
                form.channel_ids.append((await part.get_data()).decode())
                if len(form.channel_ids) == 1:
                    await check_channel(form.channel_ids[0])
            elif part.name == "client_ids":
                form.client_ids.append((await part.get_data()).decode())
            elif part.filename is not None:
                if len(form.files) == FILES:
                    error_id = "api.file.upload_file.incorrect_number_of_files.app_error"
                    raise AppError(error_id, 400, f"At most {FILES} files at once.")
                file = await stack.enter_async_context(call.services.files.new_incoming())
                await _receive(file, part.stream, limit)
                form.files.append(Received(file, part.filename))
    except (falcon.HTTPError, ValueError) as error:
        raise Cut from error
    return form


async def receive_body(call: Call, file: Incoming, limit: int) -> None:
    """Read the body into a file. Raises: TooLarge; Cut, with what came before it in the file."""
    await _receive(file, pieces(call, limit), limit)


async def receive_part(call: Call, file: Incoming, limit: int) -> None:
    """Read the first file of a form. Raises: as receive_body; Cut for a form without one."""
    source: Any = pieces(call, limit + FORM_BYTES)
    try:
        async for part in await _forms.deserialize_async(source, call.header("Content-Type"), call.req.content_length):
            if part.filename is not None:
                await _receive(file, part.stream, limit)
                return
    except (falcon.HTTPError, ValueError) as error:
        raise Cut from error
    raise Cut


async def receive_fields(call: Call, name: str, file: Incoming, limit: int) -> dict[str, str]:
    """Read a form's file of that name into a file; return its other fields. Raises: as receive_body."""
    source: Any = pieces(call, limit + FORM_BYTES)
    fields: dict[str, str] = {}
    try:
        async for part in await _forms.deserialize_async(source, call.header("Content-Type"), call.req.content_length):
            if part.name == name and not file.size:
                await _receive(file, part.stream, limit)
            elif part.name:
                fields[part.name] = (await part.get_data()).decode()
    except (falcon.HTTPError, ValueError) as error:
        raise Cut from error
    return fields


async def _receive(file: Incoming, source: AsyncIterable[bytes], limit: int) -> None:
    async for piece in source:
        if file.size + len(piece) > limit:
            raise TooLarge
        await file.write(piece)
