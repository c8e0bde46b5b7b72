"""Answers with the bytes of files: ranges, HEAD, and headers that let no browser run them. Source: RFC 9110, 6266."""

from email.utils import formatdate

from api.call import Call
from api.routing import Raw, Stream
from tidewire.actions.files import Shown, missing
from tidewire.store.objects import Missing
from tidewire.wire import ranges
from tidewire.wire.file_types import disposition

# Mattermost API v4: clients keep a file for 30 days; what an id stands for never changes.
CACHE = "max-age=2592000, private"
# Whatever the bytes are, as a page they run nothing, load nothing but themselves and stand in no frame.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'; frame-ancestors 'none'; sandbox"
)


async def send(call: Call, shown: Shown, *, download: bool = False) -> Raw | Stream:
    """Return the answer with an object, or with a part of it. download: never shown in a page.

    Raises: 404 if its bytes are gone.
    """
    objects = call.services.files.objects
    etag, modified_s = f'"{shown.version}"', shown.at // 1000
    if (known := call.header("If-None-Match")) and ranges.is_known(etag, known):
        _describe(call, shown, etag, modified_s, download=download)
        return Raw(b"", shown.type, 304)
    try:
        size = await objects.size(shown.key) if shown.size is None else shown.size
        part = None
        if (wanted := call.header("Range")) and ranges.may_continue(etag, modified_s, call.header("If-Range")):
            part = ranges.parse(wanted, size)
        start, end = part or (0, size)
        if call.req.method == "HEAD" or start == end:
            if shown.size is not None:  # from a row: is it there, as GET would find it?
                await objects.size(shown.key)
            opened = None
        else:
            opened = await objects.get(shown.key, *(part or ()))
    except ranges.Unsatisfiable:
        call.set_header("Content-Range", f"bytes */{size}")
        return Raw(b"", shown.type, 416)
    except Missing:
        raise missing() from None
    # Not before: who is told that there is nothing must not keep that for a month.
    _describe(call, shown, etag, modified_s, download=download)
    call.set_header("Content-Length", str(end - start))
    if part:
        call.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
    status = 206 if part else 200
    return Raw(b"", shown.type, status) if opened is None else Stream(opened.pieces, shown.type, status)


def _describe(call: Call, shown: Shown, etag: str, modified_s: int, *, download: bool) -> None:
    call.set_header("ETag", etag)
    call.set_header("Last-Modified", formatdate(modified_s, usegmt=True))
    call.set_header("Cache-Control", CACHE)
    call.set_header("Content-Security-Policy", POLICY)
    call.set_header("X-Frame-Options", "DENY")
    call.set_header("Content-Disposition", disposition(shown.name, inline=shown.inline and not download))
    call.set_header("Accept-Ranges", "bytes")
