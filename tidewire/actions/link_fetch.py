"""Asks an address what it is: a page that describes itself, an image, or nothing that could be shown.

No more is read than tells it: the head of a page, the first bytes of an image. Addresses and servers are hostile.
Source: Mattermost API v4, link previews.
"""

import asyncio

from pyreqwest.http import Url

from tidewire.actions import link_pages
from tidewire.actions.services import Services
from tidewire.outbound import FetchError, Incoming
from tidewire.pictures import headers
from tidewire.pictures.squares import NotAPicture
from tidewire.wire.links import OpenGraph, PostImage, Target

PAGE_BYTES = 512 << 10
# The size of a JPEG stands behind its EXIF and colour blocks; a GIF's frames are counted in what is read.
IMAGE_BYTES, GIF_BYTES = 256 << 10, 1 << 20
FIRST_BYTES = 4 << 10  # most images are measured after that
HOPS = 5
NOTHING = Target()


def permits(services: Services, url: str) -> bool:
    """Tell whether the administrator lets an address be shown. Source: Mattermost API v4, RestrictLinkPreviews."""
    restricted = services.config.text("ServiceSettings.RestrictLinkPreviews")
    if not restricted:
        return True
    try:
        host = (Url(url).host_str or "").lower()
    except ValueError:
        return False
    return not any(word in host for word in restricted.lower().replace("@", " ").replace(",", " ").split())


def is_own(services: Services, url: str) -> bool:
    """Tell whether an address leads to this site, which is not asked: it would answer a stranger."""
    site = services.config.text("ServiceSettings.SiteURL").rstrip("/")
    return bool(site) and url.startswith(site + "/")


async def look(services: Services, url: str) -> Target:
    """Return what is at an address; an empty Target for nothing, for what cannot be read and for no answer."""
    try:
        incoming = await services.outbound.open(
            "GET",
            url,
            timeout_s=services.config.number("ExperimentalSettings.LinkMetadataTimeoutMilliseconds") / 1000,
            headers={
                "Accept": "image/*, text/html;q=0.8",
                "Accept-Language": services.config.text("LocalizationSettings.DefaultServerLocale"),
            },
            hops=HOPS,
            permits=lambda one: permits(services, one),
        )
    except FetchError:
        return NOTHING
    try:
        return await _read(services, incoming, url)
    except (FetchError, NotAPicture):
        return NOTHING
    finally:
        await incoming.close()


async def _read(services: Services, incoming: Incoming, asked: str) -> Target:
    kind = incoming.content_type.partition(";")[0].strip().lower()
    if not 200 <= incoming.status < 300:
        return NOTHING
    if kind in ("text/html", "application/xhtml+xml"):
        data = (await _some(incoming, PAGE_BYTES))[:PAGE_BYTES]
        # Beside the loop: a page takes 1 ms, one that was made to hurt 50.
        page = await asyncio.to_thread(_describe, data, incoming.content_type, asked, incoming.url)
        return Target(page=page)
    if kind.startswith("image/") or kind in ("", "application/octet-stream", "binary/octet-stream"):
        image = await _measure(incoming)
        most = services.config.number("FileSettings.MaxImageResolution")
        return Target(image=image if image is not None and image.width * image.height <= most else None)
    return NOTHING


async def _some(incoming: Incoming, limit: int, data: bytes = b"") -> bytes:
    """Return what was read with more of it, `limit` bytes at least or up to the end."""
    pieces, size = [data], len(data)
    while size < limit and (piece := await incoming.read()) is not None:
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


async def _measure(incoming: Incoming) -> PostImage | None:
    data, wanted = b"", FIRST_BYTES
    while wanted <= IMAGE_BYTES:
        data = await _some(incoming, wanted, data)
        image = headers.measure(data)
        if image is not None and image.format == "gif":
            return headers.measure(await _some(incoming, GIF_BYTES, data))
        if image is not None or len(data) < wanted:
            return image
        wanted *= 4
    return None


def _describe(data: bytes, content_type: str, asked: str, url: str) -> OpenGraph | None:
    base = Url(url)

    def join(address: str) -> str:
        try:
            found = base.join(address) if address else None
        except ValueError:
            return ""
        good = found is not None and found.scheme in ("http", "https") and not found.username and not found.password
        return str(found) if good and len(str(found)) <= link_pages.URL_MAX else ""

    return link_pages.open_graph(link_pages.decode(data, content_type), asked, join)
