"""Images from elsewhere through this server, so that no stranger's server learns who looks at a post.

Source: Mattermost API v4, "Get an image by url", ImageProxySettings. Clients come here for all images of other sites
while HasImageProxy is true.
"""

import asyncio
from contextlib import AsyncExitStack
from hmac import digest
from urllib.parse import urljoin

from pyreqwest.http import Url

from tidewire.actions.services import Services
from tidewire.outbound import FetchError, Incoming
from tidewire.pictures import headers
from tidewire.wire.config import is_url
from tidewire.wire.errors import AppError

IMAGE_BYTES = 25 << 20
TIMEOUT_S, HOPS = 30.0, 5
AT_ONCE = 24  # of a worker: other requests to strangers have their own places


class Image:
    """An image on its way: its media type, by its first bytes, and pieces by iteration. Close it.

    After TIMEOUT_S it closes by itself: who reads no further keeps nobody's place.
    """

    def __init__(self, media_type: str, first: bytes, incoming: Incoming, places: AsyncExitStack) -> None:
        self.media_type = media_type
        self._next = first
        self._incoming = incoming
        self._places = places
        self._left = IMAGE_BYTES
        self._closing: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(TIMEOUT_S, self._end)

    def __aiter__(self) -> "Image":
        return self

    async def __anext__(self) -> bytes:
        piece, self._next = self._next, b""
        if not piece:
            piece = await self._incoming.__anext__()
        self._left -= len(piece)
        if self._left < 0:
            raise FetchError(f"the image is longer than {IMAGE_BYTES} bytes")
        return piece

    async def close(self) -> None:
        """Give the request's places back."""
        await asyncio.wait([self._end()])

    def _end(self) -> asyncio.Task[None]:
        if self._closing is None:
            self._timer.cancel()
            self._closing = asyncio.get_running_loop().create_task(self._give_back())
        return self._closing

    async def _give_back(self) -> None:
        try:
            await self._incoming.close()
        finally:
            await self._places.aclose()


_room = asyncio.Semaphore(AT_ONCE)


async def get(services: Services, url: str, user_id: str) -> Image | str:
    """Return an image of another site, or the address at which the client finds it himself. user_id: who asks.

    Raises: 400 for what is no address; 404 where there is no image, or none that this server may fetch.
    """
    site = services.config.text("ServiceSettings.SiteURL").rstrip("/")
    if url.startswith("/") and site:
        url = urljoin(site + "/", url)
    elif url.startswith("/") and not url.startswith("//") and is_url("http://site" + url):
        return url  # the site has no address: the one that the client came by
    if not is_url(url):
        raise AppError("api.image.get.app_error", 400, "The address of the image cannot be read.")
    if not services.config.flag("ImageProxySettings.Enable") or (site and _origin(url) == _origin(site)):
        return url
    if services.config.text("ImageProxySettings.ImageProxyType") == "atmos/camo":
        return _camo(services, url)
    return await _open(services, url, user_id)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        found = Url(url)
    except ValueError:
        return "", None, None
    return found.scheme, found.host_str, found.port_or_known_default


def _camo(services: Services, url: str) -> str:
    """Return an image's address at another proxy. Source: Mattermost API v4, RemoteImageProxyOptions is the key."""
    key = services.config.text("ImageProxySettings.RemoteImageProxyOptions")
    signed = digest(key.encode(), url.encode(), "sha1").hex()
    proxy = services.config.text("ImageProxySettings.RemoteImageProxyURL").rstrip("/")
    return f"{proxy}/{signed}/{url.encode().hex()}"


async def _open(services: Services, url: str, user_id: str) -> Image:
    places = AsyncExitStack()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await places.enter_async_context(services.outbound.shares.of(user_id))
            await places.enter_async_context(_room)
    except TimeoutError:
        await places.aclose()
        raise _none() from None
    except BaseException:
        await places.aclose()
        raise
    incoming = None
    try:
        incoming = await services.outbound.open(
            "GET", url, timeout_s=TIMEOUT_S, headers={"Accept": ", ".join(headers.TYPES.values())}, hops=HOPS
        )
        first = b""
        while len(first) < headers.NEEDED and (piece := await incoming.read()) is not None:
            first += piece
        kind = headers.format_of(first)
        if not 200 <= incoming.status < 300 or not kind:
            raise FetchError("there is no image")
        return Image(headers.TYPES[kind], first, incoming, places)
    except BaseException as error:
        if incoming is not None:
            await incoming.close()
        await places.aclose()
        # The same for all reasons: nobody learns which addresses answer inside.
        raise _none() if isinstance(error, FetchError) else error from None


def _none() -> AppError:
    return AppError("api.image.get.app_error", 404, "There is no such image.")
