"""Multipart uploads, streamed to a temporary file. Knows forms and limits; what the file is, the handlers decide."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import IO, Any

import falcon
from falcon.media import MultipartFormHandler

from api.call import Call
from tidewire.wire.errors import AppError, Unavailable

FORM_BYTES = 64 << 10  # what a form may have around the file
TIMEOUT_S = 300.0  # 100 MiB at 3 Mbit/s
_CHUNK = 64 << 10
_forms = MultipartFormHandler()
_forms.parse_options.max_body_part_count = 16


class _TooLarge(Exception):
    pass


@asynccontextmanager
async def uploaded(call: Call, field: str, family: str, *, too_large: int = 413) -> AsyncIterator[str]:
    """Give the path of the file that a form's field holds; it is gone when the context ends.

    family: first words of error ids, as in "api.team.set_team_icon"; too_large: status for a file over the limit.
    Raises: 400 for what is no form or has no such file; Unavailable for a full disk. Memory: a chunk, however large
    the file.
    """
    limit = call.services.config.number("FileSettings.MaxFileSize")
    oversize = AppError(f"{family}.too_large.app_error", too_large, "The file is too large.")
    if (call.req.content_length or 0) > limit + FORM_BYTES:
        raise oversize
    with _temporary() as file:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await _receive(call, field, file, limit)
                file.flush()
        except _TooLarge as error:
            raise oversize from error
        except (falcon.HTTPError, ValueError, TimeoutError) as error:
            raise AppError(f"{family}.parse.app_error", 400, "Could not parse the multipart form.") from error
        except OSError as error:
            raise Unavailable("files") from error
        if found is None:
            raise AppError(f"{family}.no_file.app_error", 400, f"No file under '{field}' in the request.")
        if not found:
            raise AppError(f"{family}.array.app_error", 400, f"Empty array under '{field}' in the request.")
        yield file.name


@contextmanager
def _temporary() -> Iterator[IO[bytes]]:
    """Give a file that is gone at the end. Raises: Unavailable for a full disk."""
    try:
        file = tempfile.NamedTemporaryFile(prefix="tidewire-")  # noqa: SIM115  (closed below, where a full disk is no error)
    except OSError as error:
        raise Unavailable("files") from error
    try:
        yield file
    finally:
        with suppress(OSError):  # on a full disk the buffer is tried once more, and nobody wants it
            file.close()


async def _receive(
    call: Call, field: str, file: IO[bytes], limit: int
) -> int | None:
    """Write the first file of that name; return its size, None without one. Raises: falcon.HTTPError, _TooLarge."""
    # Falcon takes any source of chunks, whatever the type of the argument says.
    body: Any = _counted(call, limit + FORM_BYTES)
    form = await _forms.deserialize_async(body, call.header("Content-Type"), call.req.content_length)
    size: int | None = None
    async for part in form:
        if part.name != field or size is not None:
            continue
        size = 0
        while chunk := await part.stream.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise _TooLarge
            file.write(chunk)
    return size


async def _counted(call: Call, limit: int) -> AsyncIterator[bytes]:
    """Pass the body on. Raises: _TooLarge."""
    size = 0
    async for chunk in call.req.stream:
        size += len(chunk)
        if size > limit:
            raise _TooLarge
        yield chunk
