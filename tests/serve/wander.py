"""Clients that come back: each resumes the connection it had, at any of several gateways, and counts what it got."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.fixtures.serve import Serve
from tests.integration.gateway.world import World, session_id
from tidewire.bus.redis import RedisProducer
from tidewire.store.db import Database
from tidewire.wire.ids import new_id, new_token

PATIENCE_S = 30


class Wanderer:
    """A user with one socket. texts: of the posts he got; hellos: 1 if he never had to begin anew."""

    def __init__(self, user: str, token: str, gateways: Sequence[str], pause_s: float) -> None:
        self.user, self.token = user, token
        self.gateways = gateways
        self.pause_s = pause_s  # before he comes back, at most
        self.texts: list[str] = []
        self.hellos = self.visits = 0
        self.connection_id, self.next_seq = "", 0
        self.codes: list[int | None] = []
        self.socket: ClientConnection | None = None
        self.news = asyncio.Event()
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        while True:
            base = random.choice(self.gateways).replace("http", "ws")
            query = f"?connection_id={self.connection_id}&sequence_number={self.next_seq}" if self.hellos else ""
            try:
                async with connect(
                    f"{base}/api/v4/websocket{query}",
                    additional_headers={"Cookie": f"MMAUTHTOKEN={self.token}"},
                    compression=None,
                    open_timeout=PATIENCE_S,
                    ping_interval=None,
                    close_timeout=0.1,
                ) as socket:
                    self.socket = socket
                    self.visits += 1
                    async for message in socket:
                        self._hear(json.loads(message))
            except (OSError, websockets.WebSocketException) as error:
                assert not isinstance(error, websockets.InvalidStatus), error
            if self.socket is not None:
                self.codes.append(self.socket.close_code)
            self.socket = None
            await asyncio.sleep(random.uniform(0, self.pause_s))

    def _hear(self, message: dict) -> None:
        if message["event"] == "hello":
            self.hellos += 1
            self.connection_id, self.next_seq = message["data"]["connection_id"], 0
        assert message["seq"] == self.next_seq, f"seq {message['seq']}, expected {self.next_seq}"
        self.next_seq += 1
        if message["event"] == "posted":
            self.texts.append(message["data"]["post"])
        self.news.set()

    def cut(self) -> None:
        """Drop the TCP connection."""
        if self.socket is not None:
            self.socket.transport.abort()

    async def until(self, *, text: str = "") -> None:
        """Wait until he is there, and has got this post."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._task.done() and (not self.hellos or (text and text not in self.texts[-20:])):
                self.news.clear()
                await self.news.wait()
        if self._task.done():
            self._task.result()

    async def end(self) -> None:
        """Stop; raises what went wrong on the way."""
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            pass


@asynccontextmanager
async def rows_of(serve: Serve) -> AsyncIterator[World]:
    """The database and the bus of a running product, without its gateways."""
    url, redis = [(serve.data_dir / f"{name}.url").read_text().strip() for name in ("database", "redis")]
    db, producer = Database(url), RedisProducer(redis)
    await producer.connect()
    try:
        yield World(None, 0, db, producer)  # type: ignore[arg-type]  # they are other processes
    finally:
        await producer.close()
        await db.close()


async def settle(rows: World, users: int, channels: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Make users with a session each, in channels by turns; return (user, token) of each, and the channels."""
    names = [(new_id(), new_token()) for _ in range(users)]
    ids, tokens = [list(part) for part in zip(*names, strict=True)]
    await rows.db.execute(
        "INSERT INTO users (id, create_at, update_at, username, email, roles)"
        " SELECT u, 1, 1, u, u, 'system_user' FROM unnest($1::text[]) u",
        ids,
    )
    await rows.db.execute(
        "INSERT INTO sessions (id, token_hash, user_id, create_at, expires_at, last_activity_at, roles)"
        " SELECT s, h, u, 1, 0, 1, '' FROM unnest($1::text[], $2::bytea[], $3::text[]) AS one (s, h, u)",
        [session_id(token) for token in tokens],
        [sha256(token.encode()).digest() for token in tokens],
        ids,
    )
    made = [await rows.channel() for _ in range(channels)]
    await rows.db.execute(
        "INSERT INTO channel_members (channel_id, user_id)"
        " SELECT * FROM unnest($1::text[], $2::text[])",
        [made[number % channels] for number in range(users)],
        ids,
    )
    return names, made
