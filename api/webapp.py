"""Serves a built web client: its page for every path that is no API path, its files below /static/.

Files are read in threads and kept while they do not change; small ones with a compressed copy. Nothing outside the
folder is served, whatever the path says and wherever links in it lead. Source: Mattermost web client 11.6.
"""

import asyncio
import gzip
import os
import re
from base64 import b64encode
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import falcon.asgi

from tidewire.actions.config import Config

LONG, CHECKED, GONE = "max-age=31556926, public", "no-cache, max-age=31556926, public", "no-cache, public"
PAGES = ("root.html", "index.html")
PLAIN = frozenset({"/unsupported_browser.js", "/favicon.ico"})  # files beside /static/
KEEP_BYTES = 4 << 20  # larger files are streamed from the disk
BUDGET_BYTES = 64 << 20  # of all that is kept; the official client's dist has some 40 MB
RECHECK_S = 1.0  # a file that was looked at this recently is not looked at again
CHUNK = 256 << 10
# Exactly these: the client takes a translation only as application/json.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
_COMPRESSED = (".css", ".html", ".js", ".json", ".map", ".svg", ".txt", ".wasm")
_SAFE_PATH = re.compile(r"(/[\w.~-]+)*", re.ASCII)
_PUBLIC_PATH = re.compile(rb'(<script id="publicPathInWindowScript"[^>]*>)[^<]*(</script>)')


@dataclass(slots=True)
class File:
    """One file as it was at a moment. data: None for a large one, which is streamed. gzip: b"" if not worth it."""

    path: Path
    etag: str
    kind: str
    size: int
    data: bytes | None
    gzip: bytes
    looked_at: float


@dataclass(frozen=True, slots=True)
class Page:
    """The root page for one site name and sub-path. policy: its Content-Security-Policy."""

    data: bytes
    gzip: bytes
    etag: str
    policy: str


def sub_path(site_url: str) -> str:
    """Return the path of the site's address, "" for none: "/chat" of https://example.org/chat/."""
    path = urlsplit(site_url).path.rstrip("/")
    return path if _SAFE_PATH.fullmatch(path) else ""  # it becomes part of a script


def may_compress(config: Config) -> bool:
    """Tell whether answers are compressed for those who take it. Source: Mattermost API v4, WebserverMode."""
    return config.text("ServiceSettings.WebserverMode") == "gzip"


def serves_pages(config: Config) -> bool:
    """Tell whether anything but the API is served. Source: as may_compress."""
    return config.text("ServiceSettings.WebserverMode") != "disabled"


class WebApp:
    """A folder with a built client. Raises: FileNotFoundError if it has no page."""

    def __init__(self, directory: str) -> None:
        self._root = Path(directory).resolve()
        self._page_name = next((name for name in PAGES if (self._root / name).is_file()), "")
        if not self._page_name:
            raise FileNotFoundError(f"web.directory: no {' or '.join(PAGES)} in {directory}")
        self._files: OrderedDict[str, File] = OrderedDict()
        self._kept_bytes = 0
        self._page: tuple[tuple[str, str, str], Page] | None = None

    async def answer(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, config: Config) -> None:
        """Answer GET or HEAD of a path that is no API path."""
        resp.delete_header("Expires")
        sub = sub_path(config.text("ServiceSettings.SiteURL"))
        path = req.path[len(sub) :] if sub and req.path.startswith(sub + "/") else req.path
        if path == "/static" or path.startswith("/static/"):
            await self._static(req, resp, config, path[len("/static/") :], sub)
        elif path in PLAIN and (file := await self._find(path[1:])) is not None:
            await self._send(req, resp, config, file, CHECKED, sub)
        else:
            await self._root_page(req, resp, config, sub)

    async def _static(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, config: Config, name: str, sub: str
    ) -> None:
        file = await self._find(name)
        if file is None:
            resp.status = 404
            resp.content_type = "text/plain; charset=utf-8"
            resp.set_header("Cache-Control", GONE)
            resp.data = b"404 page not found\n"
            return
        caching = CHECKED if name.endswith(("remote_entry.js", ".html")) else LONG
        await self._send(req, resp, config, file, caching, sub)

    async def _find(self, name: str) -> File | None:
        known = self._files.get(name)
        if known is not None and monotonic() < known.looked_at + RECHECK_S:
            self._files.move_to_end(name)
            return known
        file = await asyncio.to_thread(self._look, name, known)
        if known is not None and self._files.pop(name, None) is known:
            self._kept_bytes -= _weight(known)
        if file is not None and name not in self._files:
            self._files[name] = file
            self._kept_bytes += _weight(file)
            while self._kept_bytes > BUDGET_BYTES:
                self._kept_bytes -= _weight(self._files.popitem(last=False)[1])
        return file

    def _look(self, name: str, known: File | None) -> File | None:
        """Return the file as it is now, None if there is none in the folder. Runs in a thread."""
        if not name or name.endswith("/") or "\0" in name or "\\" in name:
            return None
        try:
            path = Path(os.path.realpath(self._root / name, strict=True))
            if not path.is_relative_to(self._root) or not path.is_file():
                return None
            stat = path.stat()
            etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
            if known is not None and known.etag == etag:
                known.looked_at = monotonic()
                return known
            data = path.read_bytes() if stat.st_size <= KEEP_BYTES else None
        except (OSError, ValueError):  # not there, or a name that no file can have
            return None
        small = gzip.compress(data, 6, mtime=0) if data and path.suffix in _COMPRESSED else b""
        packed = small if data and len(small) < 0.9 * len(data) else b""
        kind = TYPES.get(path.suffix, "application/octet-stream")
        return File(path, etag, kind, stat.st_size, data, packed, monotonic())

    async def _send(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        config: Config,
        file: File,
        caching: str,
        sub: str,
    ) -> None:
        data, packed, etag = file.data, file.gzip if may_compress(config) else b"", file.etag
        if sub and data and file.path.name.endswith((".css", "manifest.json")):
            data, packed, etag = _moved(data, sub), b"", f'{etag[:-1]}-{sub.encode().hex()}"'
        resp.set_header("Cache-Control", caching)
        resp.content_type = file.kind
        if file.kind.startswith(("text/html", "image/svg")):
            # Opened by itself it would be a page of our origin.
            resp.set_header(
                "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox"
            )
        if data is not None:
            _body(req, resp, data, packed, etag)
            return
        resp.set_header("ETag", etag)
        if _known(req, etag):
            resp.status = 304
            return
        resp.content_length = file.size
        if req.method == "GET":
            resp.stream = _read(file.path, file.size)

    async def _root_page(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, config: Config, sub: str
    ) -> None:
        page = await self._load_page(config.text("TeamSettings.SiteName"), sub)
        resp.set_header("Cache-Control", CHECKED)
        resp.set_header("X-Frame-Options", "SAMEORIGIN")
        resp.set_header("Content-Security-Policy", page.policy)
        resp.content_type = TYPES[".html"]
        _body(req, resp, page.data, page.gzip if may_compress(config) else b"", page.etag)

    async def _load_page(self, site_name: str, sub: str) -> Page:
        file = await self._find(self._page_name)
        if file is None or file.data is None:
            raise FileNotFoundError(self._page_name)
        key = (file.etag, site_name, sub)
        if self._page is None or self._page[0] != key:
            self._page = key, _make_page(file.data, site_name, sub)
        return self._page[1]


def _make_page(data: bytes, site_name: str, sub: str) -> Page:
    """Return the page with the site's name; below a sub-path with its addresses, and their script's hash."""
    title = f"<title>{escape(site_name)}</title>".encode()
    data = re.sub(rb"<title>[^<]*</title>", lambda _: title, data, count=1)
    allowed = "'self'"
    if sub:
        script = f"window.publicPath='{sub}/static/'".encode()
        data = _PUBLIC_PATH.sub(lambda found: found[1] + script + found[2], _moved(data, sub))
        allowed += f" 'sha256-{b64encode(sha256(script).digest()).decode()}'"
    etag = f'"{sha256(data).hexdigest()[:32]}"'
    return Page(data, gzip.compress(data, 6, mtime=0), etag, f"frame-ancestors 'self'; script-src {allowed}")


def _moved(data: bytes, sub: str) -> bytes:
    return data.replace(b"/static/", sub.encode() + b"/static/")


def _weight(file: File) -> int:
    return len(file.data or b"") + len(file.gzip) + 1000


def _known(req: falcon.asgi.Request, etag: str) -> bool:
    """Tell whether the client has this version (RFC 9110 13.1.2: a list, weakly compared)."""
    given = req.get_header("If-None-Match") or ""
    return etag in {one.strip().removeprefix("W/") for one in given.split(",")}


def _body(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, data: bytes, packed: bytes, etag: str
) -> None:
    """Send bytes that are in memory, compressed to those who take it."""
    resp.set_header("ETag", etag)
    if packed:
        resp.set_header("Vary", "Accept-Encoding")
    if _known(req, etag):
        resp.status = 304
        return
    if packed and "gzip" in (req.get_header("Accept-Encoding") or ""):
        resp.set_header("Content-Encoding", "gzip")
        data = packed
    resp.data = data


async def _read(path: Path, size: int) -> AsyncIterator[bytes]:
    """Yield a file in chunks, no more than was promised."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while size > 0 and (chunk := await asyncio.to_thread(file.read, min(CHUNK, size))):
            size -= len(chunk)
            yield chunk
