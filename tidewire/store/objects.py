"""The bytes of files, by key: on a disk or in S3, the same calls for both. Knows no rows, users or names of files.

Keys are made by the server only. What is being received is a file of this machine's disk (`incoming`) until it is put.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import obstore
from msgspec import Struct
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from tidewire.wire.config import is_url
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_id

INCOMING = "incoming"
# What one read or write of the store has in memory: a part of S3's uploads is at least 5 MiB.
READ_BYTES, PART_BYTES, PARTS_AT_ONCE = 1 << 20, 8 << 20, 2
ANSWER_TIME = timedelta(days=1)  # of S3; whoever reads one may be slow, S3 itself has `timeout_ms` for each piece


class Missing(Exception):
    """There is no such object."""


class Opened(NamedTuple):
    """An object that is being read: the size of all of it, and what was asked for, in pieces of about 1 MiB."""

    size: int
    pieces: AsyncIterator[bytes]


class Facts(NamedTuple):
    """What the store knows of an object without reading it. version: changes with its bytes; at: when it came, ms."""

    size: int
    version: str
    at: int


class Place(Struct, frozen=True):
    """Where objects are: in S3, or on the disk in `directory`, whose `incoming` is used in any case.

    endpoint: host and port, "" for Amazon's own; prefix: what all keys begin with.
    """

    directory: str
    s3: bool = False
    bucket: str = ""
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = ""
    prefix: str = ""
    tls: bool = True
    timeout_ms: int = 30_000


@contextmanager
def _asking() -> Iterator[None]:
    """Turn what the store raises into what the callers of this module know."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise Missing from error
    except (BaseError, OSError) as error:
        raise Unavailable("files") from error


class Objects:
    """Open for as long as its place does not change. Everything raises Unavailable when the store does not answer."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.incoming = Path(place.directory) / INCOMING
        self._prefix = place.prefix.strip("/") + "/" if place.prefix.strip("/") else ""
        self._store: LocalStore | S3Store
        with _asking():
            self.incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            if place.s3 and not _can_be(place):
                raise Unavailable("files")
            if place.s3:
                self._store = S3Store(place.bucket, **_s3(place))
            else:
                self._store = LocalStore(place.directory, automatic_cleanup=True)  # no empty folders stay
                self._prefix = ""

    async def put_file(self, key: str, path: Path) -> None:
        """Make a file of `incoming` an object; on a disk it is moved, else it stays where it is."""
        with _asking():
            if self._place.s3:
                await obstore.put_async(
                    self._store,
                    self._prefix + key,
                    path,
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                )
            else:
                await obstore.rename_async(self._store, f"{INCOMING}/{path.name}", key)

    async def put(self, key: str, data: bytes) -> None:
        """Store a small object."""
        with _asking():
            await obstore.put_async(self._store, self._prefix + key, data, use_multipart=False)

    async def get(self, key: str, start: int = 0, end: int | None = None) -> Opened:
        """Open an object, from start up to end. Raises: Missing."""
        options: Any = None if start == 0 and end is None else {"range": (start, end) if end else {"offset": start}}
        with _asking():
            found = await obstore.get_async(self._store, self._prefix + key, options=options)
        return Opened(found.meta["size"], self._pieces(found))

    async def size(self, key: str) -> int:
        """Return an object's size. Raises: Missing."""
        with _asking():
            return (await obstore.head_async(self._store, self._prefix + key))["size"]

    async def facts(self, key: str) -> Facts:
        """Return what is known of an object. Raises: Missing."""
        with _asking():
            meta = await obstore.head_async(self._store, self._prefix + key)
        at = int(meta["last_modified"].timestamp() * 1000)
        return Facts(meta["size"], (meta["e_tag"] or str(at)).strip('"'), at)

    async def _pieces(self, found: Any) -> AsyncIterator[bytes]:
        with _asking():
            async for piece in found.stream(min_chunk_size=READ_BYTES):
                yield bytes(piece)

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for key in keys:
            try:
                with _asking():
                    await obstore.delete_async(self._store, self._prefix + key)
            except Missing:
                pass

    async def check(self) -> None:
        """Raise Unavailable unless an object can be written and deleted."""
        key = f"check/{new_id()}"  # others may check at the same time
        await self.put(key, b"tidewire")
        await self.delete([key])

    async def keys(self, folder: str = "") -> list[str]:
        """Return the keys of all objects in a folder. Without one it reads the whole store: for tests and tools."""
        found: list[str] = []
        with _asking():
            async for some in obstore.list(self._store, self._prefix + (folder and f"{folder}/") or None):
                found += [one["path"].removeprefix(self._prefix) for one in some]
        return sorted(key for key in found if not key.startswith(INCOMING + "/"))


def _can_be(place: Place) -> bool:
    """Tell whether a place in S3 is named by what can stand in an address and a header; else the library panics."""
    host = place.endpoint or f"s3.{place.region or 'us-east-1'}.amazonaws.com"
    words = place.region + place.access_key
    parts = place.prefix.strip("/").split("/") if place.prefix.strip("/") else []
    return (
        bool(place.bucket)
        and is_url(f"http://{host}/{place.bucket}")
        and (words.isascii() and words.isprintable())
        and all(part not in ("", ".", "..") and part.isprintable() for part in parts)
    )


def _s3(place: Place) -> dict[str, Any]:
    scheme = "https" if place.tls else "http"
    patience = timedelta(milliseconds=place.timeout_ms)
    options: dict[str, Any] = {
        "region": place.region or "us-east-1",
        # `timeout` is for all of an answer, and a slow client takes his time to read one.
        "client_options": {"allow_http": not place.tls, "read_timeout": patience, "timeout": ANSWER_TIME},
        "virtual_hosted_style_request": False,
        "retry_config": {"max_retries": 3, "retry_timeout": patience},
    }
    if place.endpoint:
        options["endpoint"] = f"{scheme}://{place.endpoint}"
    if place.access_key:
        options["access_key_id"] = place.access_key
        options["secret_access_key"] = place.secret_key
    return options
