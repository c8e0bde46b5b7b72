"""A small world whose server may call programs on this machine, and such a program."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest_asyncio

from tests.fixtures.api import People, settled
from tests.fixtures.postgres import Postgres
from tests.fixtures.redis import Redis
from tests.integration.posts.chat import Announced


@dataclass
class Told:
    """One request that the program got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Program:
    """An HTTP server that notes what it is told and answers what it is given."""

    url: str = ""
    told: list[Told] = field(default_factory=list)
    answer: Any = field(default_factory=dict)
    raw: bytes = b""  # a whole answer instead of that
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = lines[0].split()
            self.told.append(Told(method, path, headers, body))
            self.news.set()
            text = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
            kind = "text/plain" if isinstance(self.answer, bytes) else "application/json"
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n"
            writer.write(self.raw or head.encode() + b"Connection: close\r\n\r\n" + text)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def next(self) -> Told:
        """Return the next request, when it has come."""
        async with asyncio.timeout(30):
            while not self.told:
                self.news.clear()
                await self.news.wait()
        return self.told.pop(0)

    def expect(self, answer: Any = None, raw: bytes = b"") -> None:
        """Forget what was told, and answer this from now on."""
        self.told.clear()
        self.answer, self.raw = {} if answer is None else answer, raw


@asynccontextmanager
async def silent_program(people: People, asked: int) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Give the address of a program that takes requests and answers none, and what is set once so many came.

    Until the context ends the server waits for programs much longer than a test lasts.
    """
    over, full, came = asyncio.Event(), asyncio.Event(), 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came >= asked:
            full.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    limit = "OutgoingIntegrationRequestsTimeout"
    await people.admin.put("/config/patch", {"ServiceSettings": {limit: 60}})
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", full
    finally:
        over.set()
        server.close()
        await people.admin.put("/config/patch", {"ServiceSettings": {limit: 3}})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(postgres: Postgres, redis: Redis) -> AsyncIterator[People]:
    """The module's world: programs on this machine are allowed, and may choose their names and pictures."""
    switches = {
        "AllowedUntrustedInternalConnections": "127.0.0.1",
        "EnablePostUsernameOverride": True,
        "EnablePostIconOverride": True,
        "OutgoingIntegrationRequestsTimeout": 3,
    }
    async with settled(postgres, redis, {"ServiceSettings": switches}) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program() -> AsyncIterator[Program]:
    """The program."""
    made = Program()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@pytest_asyncio.fixture(loop_scope="module")
async def announced(people: People) -> AsyncIterator[Announced]:
    """What the outbox says from here on."""
    notes = Announced(people.api)
    await notes.copies()
    yield notes
    await notes.close()
