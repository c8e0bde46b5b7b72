"""A gateway in this process with real PostgreSQL and Redis, the rows it reads, and clients for its sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from gateway.app import Gateway
from gateway.main import serving
from tests.fixtures.transport import Transport
from tidewire.bus.envelope import Copy, Effect, Envelope, channel_key, encode, encode_copy
from tidewire.bus.redis import RedisProducer
from tidewire.settings import load
from tidewire.store.db import Database
from tidewire.wire.events import encode_prefix
from tidewire.wire.ids import new_id, new_token, now_ms

PATIENCE_S = 30

# For modules whose tests say nothing about the transport; see the fixture `transport`.
over_both = pytest.mark.parametrize("transport", ["tcp", "tls"], indirect=True, scope="module")


class Client:
    """A socket that speaks the contract. `events` and `replies` hold what came, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seq = 0
        self.next_seq = 0  # of the next event
        self.connection_id = ""
        self.events: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        """Return the next frame; events must be dense. A hello begins anew."""
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        if "event" in message:
            if message["event"] == "hello":
                self.next_seq = 0
                self.connection_id = message["data"]["connection_id"]
            assert message["seq"] == self.next_seq, f"seq {message['seq']}, expected {self.next_seq}"
            self.next_seq += 1
            self.events.append(message)
        return message

    async def event(self, name: str) -> dict[str, Any]:
        """Return the next event of this name; others are kept in `events`."""
        while True:
            message = await self.receive()
            if message.get("event") == name:
                return message

    async def reply(self) -> dict[str, Any]:
        """Return the next reply."""
        while True:
            message = await self.receive()
            if "event" not in message:
                return message

    async def act(self, action: str, data: Any = None, **more: Any) -> dict[str, Any]:
        """Send an action and return its reply."""
        await self.send(action, data, **more)
        return await self.reply()

    async def send(self, action: str, data: Any = None, **more: Any) -> int:
        self.seq += 1
        message = {"seq": self.seq, "action": action} | ({} if data is None else {"data": data}) | more
        await self.socket.send(json.dumps(message))
        return self.seq

    async def posts(self, count: int) -> list[str]:
        """Return the texts of the next posts."""
        return [(await self.event("posted"))["data"]["post"] for _ in range(count)]

    async def quiet(self, ignore: str = "status_change") -> list[str]:
        """Return the names of the events that come before the reply to a ping: all that was on its way here.

        ignore: his own status, which is told some time after he came.
        """
        seen = len(self.events)
        await self.act("ping")
        return [event["event"] for event in self.events[seen:] if event["event"] != ignore]

    async def closed(self) -> tuple[int | None, str]:
        """Wait until the server closed; return the code it sent (None: no close frame) and the reason."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await self.receive()
        except websockets.ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")


class World:
    """The rows, the bus and the gateway under test."""

    def __init__(self, gateway: Gateway, port: int, db: Database, producer: RedisProducer) -> None:
        self.gateway = gateway
        self.port = port
        self.db = db
        self.producer = producer
        self.clients: list[Client] = []
        self.trust = Transport.trust  # what the gateway speaks, also when the test goes on to speak something else

    # Rows

    async def user(self, roles: str = "system_user") -> str:
        user_id = new_id()
        await self.db.execute(
            "INSERT INTO users (id, create_at, update_at, username, email, roles) VALUES ($1, 1, 1, $1, $1, $2)",
            user_id,
            roles,
        )
        return user_id

    async def session(self, user_id: str, *, life_ms: int = 3_600_000) -> str:
        """Log the user in; return the token. The session's id is the token's first 26 characters reversed."""
        token = new_token()
        await self.db.execute(
            "INSERT INTO sessions (id, token_hash, user_id, create_at, expires_at, last_activity_at, roles)"
            " VALUES ($1, $2, $3, 1, $4, 1, '')",
            session_id(token),
            sha256(token.encode()).digest(),
            user_id,
            now_ms() + life_ms if life_ms else 0,
        )
        return token

    async def channel(self, *members: str) -> str:
        channel_id = new_id()
        await self.db.execute(
            "INSERT INTO channels (id, create_at, update_at, team_id, type, name) VALUES ($1, 1, 1, '', 'O', $1)",
            channel_id,
        )
        for user_id in members:
            await self.add_member(channel_id, user_id)
        return channel_id

    async def add_member(self, channel_id: str, user_id: str) -> None:
        await self.db.execute(
            "INSERT INTO channel_members (channel_id, user_id) VALUES ($1, $2)", channel_id, user_id
        )

    # The bus

    async def number(self, key: str, count: int = 1) -> int:
        """Take the key's next numbers as a committed transaction would; return the first."""
        table = {"c": "channels", "t": "teams", "u": "users"}[key[0]]
        last = await self.db.fetchval(
            f"UPDATE {table} SET event_n = event_n + $2 WHERE id = $1 RETURNING event_n", key[2:], count
        )
        return int(last) - count + 1

    async def publish(self, key: str, n: int, *copies: Copy, effects: Sequence[Effect] = ()) -> None:
        await self.producer.publish([(key, n, encode(Envelope(key, list(effects), list(copies))))])

    async def announce(self, key: str, *copies: Copy, effects: Sequence[Effect] = ()) -> int:
        n = await self.number(key)
        await self.publish(key, n, *copies, effects=effects)
        return n

    async def post(self, channel_id: str, text: str, **more: Any) -> int:
        return await self.announce(channel_key(channel_id), posted(channel_id, text, **more))

    def ephemeral(self, copy: Copy) -> None:
        self.producer.ephemeral([encode_copy(copy)])

    # Sockets

    def url(self, query: str = "") -> str:
        return f"ws{'s' if self.trust else ''}://127.0.0.1:{self.port}/api/v4/websocket{query}"

    async def open(self, token: str = "", query: str = "", **options: Any) -> Client:
        """Open a socket, with a bearer token if one is given."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = await self.connect(headers, query, compression=None, **options)
        self.clients.append(client)
        return client

    async def connect(self, headers: dict[str, str], query: str = "", **options: Any) -> Client:
        """Open a socket with these headers; whoever calls closes it."""
        options = {"ssl": self.trust, "open_timeout": PATIENCE_S} | options
        return Client(await connect(self.url(query), additional_headers=headers, **options))

    def cut_clients(self) -> None:
        """Drop the connections of all clients."""
        for client in self.clients:
            client.socket.transport.abort()
        self.clients.clear()

    async def enter(self, user_id: str, query: str = "", **options: Any) -> Client:
        """Log the user in and wait for his hello and the status that follows it."""
        client = await self.open(await self.session(user_id), query, **options)
        await client.event("hello")
        return client

    async def resume(self, client: Client, token: str, number: object = None, **options: Any) -> Client:
        """Open a socket that names the client's connection."""
        number = client.next_seq if number is None else number
        again = await self.open(token, f"?connection_id={client.connection_id}&sequence_number={number}", **options)
        again.connection_id, again.next_seq = client.connection_id, client.next_seq
        return again


def session_id(token: str) -> str:
    return token[::-1]


def posted(channel_id: str, text: str, **more: Any) -> Copy:
    body = encode_prefix("posted", {"post": text}, channel_id=channel_id)
    return Copy(body, channel_id=channel_id, name="posted", **more)


@asynccontextmanager
async def world(database_url: str, redis_url: str, **sections: dict[str, Any]) -> AsyncIterator[World]:
    """Run a gateway; sections: settings by section, such as gateway={"auth_timeout_s": 1}."""
    values: dict[str, dict[str, Any]] = {
        "database": {"url": database_url},
        "redis": {"url": redis_url},
        "gateway": {"port": 0} | Transport.settings(),
    }
    for section, fields in sections.items():
        values.setdefault(section, {}).update(fields)
    settings = load(overrides=values, environ={})
    db = Database(database_url)
    producer = RedisProducer(redis_url, shards=settings.bus.shards)
    await producer.connect()
    try:
        async with serving(settings) as (gateway, port):
            yield World(gateway, port, db, producer)
            assert not gateway.failures, "a task or callback of the gateway failed; see the log"
            for task in gateway.background:
                assert not task.done(), task
    finally:
        await producer.close()
        await db.close()
