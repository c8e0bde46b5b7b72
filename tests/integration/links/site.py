"""A web site on this machine that notes who asks it for what; and what was announced."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.fixtures.api import Api
from tests.integration.posts.chat import Announced

Page = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes, content_type: str = "text/html; charset=utf-8", *more: str, status: str = "200 OK") -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *more]
    return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode() + body


def moved(to: str) -> bytes:
    """Return a redirect."""
    return reply(b"", "text/plain", f"Location: {to}", status="302 Found")


def described(**properties: str) -> bytes:
    """Return a page that describes itself; `image_width` is og:image:width."""
    named = {name.replace("image_", "image:"): value for name, value in properties.items()}
    tags = [f'<meta property="og:{name}" content="{value}">' for name, value in named.items()]
    return reply(f"<html><head>{''.join(tags)}</head><body>words</body></html>".encode())


class Site:
    """pages: path → what is answered; others are a 404. asked: the paths, in the order of the requests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1]
            self.asked.append(path)
            page = self.pages.get(path, reply(b"", status="404 Not Found"))
            if isinstance(page, bytes):
                writer.write(page)
            else:
                await page(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Heard(Announced):
    """Announcements, of which some may be left for the next look: put into `left`."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.left: list[dict[str, Any]] = []

    async def events(self) -> list[dict[str, Any]]:
        """Return what was left and what was announced since."""
        found, self.left = self.left + await super().events(), []
        return found


@asynccontextmanager
async def site_at(host: str) -> AsyncIterator[Site]:
    """Run a site."""
    site = Site("")
    server = await asyncio.start_server(site.serve, host, 0)
    site.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield site
    finally:
        server.close()
