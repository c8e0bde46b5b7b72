"""What clients ask for over the socket, one method per action of the contract, and the replies.

Knows the shapes of requests and replies; sockets, log-in and resume are gateway/app.py's. Source: Mattermost API v4,
WebSocket actions: a reply has no seq and consumes none; text frames are JSON, binary ones MessagePack.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from prometheus_client import Counter

from gateway.connection import Connection
from gateway.hub import Hub
from gateway.presence import Presence
from tidewire.actions.status import load_statuses
from tidewire.actions.typists import Typists
from tidewire.bus.envelope import channel_key
from tidewire.bus.redis_client import RedisClient
from tidewire.store.db import Database
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.ids import is_id, now_ms

MAX_STATUS_IDS = 200  # as "Get user statuses by id" of the API takes
MAX_STATUSES = 2000  # of `get_statuses`: 80 KB, 0.5 ms
_ACKS = Counter("tidewire_posted_notify_acks", "Clients' reports of what they did with a notification.")


class Undecodable(Exception):
    """The frame is not a request; the connection is closed."""


class Request(msgspec.Struct):
    """A client's message."""

    seq: int = 0
    action: str = ""
    data: dict[str, Any] | None = None


class _Error(msgspec.Struct):
    id: str
    message: str
    status_code: int
    detailed_error: str = ""


class _Reply(msgspec.Struct, omit_defaults=True):
    status: str
    seq_reply: int = 0
    data: dict[str, Any] | None = None
    error: _Error | None = None


# "status" has no default, so that it is always sent.
_from_json = msgspec.json.Decoder(Request)
_from_msgpack = msgspec.msgpack.Decoder(Request)
_encode = msgspec.json.Encoder().encode
Answer = dict[str, Any] | None
Handler = Callable[[Connection, dict[str, Any]], Answer | Coroutine[Any, Any, Answer]]


def decode_request(data: bytes, text: bool) -> Request:
    """Return the request of a frame. Raises: Undecodable."""
    try:
        return (_from_json if text else _from_msgpack).decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Undecodable from error


def encode_ok(seq: int, data: dict[str, Any] | None = None) -> bytes:
    """Return the reply to a request that was carried out."""
    return _encode(_Reply("OK", seq, data or None))


def encode_fail(seq: int, error: AppError) -> bytes:
    """Return the reply to a request that was refused."""
    return _encode(_Reply("FAIL", seq, None, _Error(error.id, error.message, error.status)))


def _invalid(name: str) -> AppError:
    return AppError("api.websocket_handler.invalid_param.app_error", 400, name=name)


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name, "")
    if not isinstance(value, str):
        raise _invalid(name)
    return value


def _channel(data: dict[str, Any], name: str) -> str:
    """Return a channel id, or "" for what cannot be one: it is kept as long as the socket lives."""
    value = _text(data, name)
    return value if is_id(value) else ""


class Actions:
    """The table of actions. reply(connection, payload) queues a reply."""

    def __init__(
        self,
        hub: Hub,
        presence: Presence,
        typists: Typists,
        client: RedisClient,
        db: Database,
        reply: Callable[[Connection, bytes], None],
        *,
        version: str,
        heartbeat_s: float,
        used: Callable[[Connection], None],
    ) -> None:
        """used(connection): its user did what keeps a session alive."""
        self._hub = hub
        self._presence = presence
        self._typists = typists
        self._redis = client
        self._db = db
        self._reply = reply
        self._version = version
        self._heartbeat_s = heartbeat_s
        self._used = used
        self._tasks: set[asyncio.Task[None]] = set()
        self._table: dict[str, Handler] = {
            "ping": self._ping,
            "user_typing": self._user_typing,
            "user_update_active_status": self._user_update_active_status,
            "presence": self._look,
            "get_statuses": self._get_statuses,
            "get_statuses_by_ids": self._get_statuses_by_ids,
            "posted_notify_ack": self._posted_notify_ack,
        }

    def handle(self, connection: Connection, request: Request) -> None:
        """Carry a logged-in connection's request out and queue the reply, if it gets one.

        What needs Redis or PostgreSQL goes on as a task; its reply may come after those of later requests.
        """
        seq, action = request.seq, request.action
        if action == "authentication_challenge" or action.startswith("custom_"):
            return  # logged in already; custom actions are for plugins only
        try:
            if not self._hub.may_act(connection):
                raise AppError("api.web_socket_router.not_authenticated.app_error", 401)
            if not action:
                raise AppError("api.web_socket_router.no_action.app_error", 400)
            if seq <= 0:
                raise AppError("api.web_socket_router.bad_seq.app_error", 400)
            method = self._table.get(action)
            if method is None:
                raise AppError("api.web_socket_router.bad_action.app_error", 500)
            answer = method(connection, request.data or {})
        except AppError as error:
            self._reply(connection, encode_fail(seq, error))
            return
        if isinstance(answer, Coroutine):
            task = asyncio.create_task(self._finish(connection, seq, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._reply(connection, encode_ok(seq, answer))

    async def _finish(
        self, connection: Connection, seq: int, work: Coroutine[Any, Any, dict[str, Any] | None]
    ) -> None:
        try:
            payload = encode_ok(seq, await work)
        except Unavailable:
            payload = encode_fail(seq, AppError("api.websocket_handler.server_busy.app_error", 503))
        self._reply(connection, payload)

    def _ping(self, connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
        return {"text": "pong", "version": self._version, "server_time": now_ms(), "node_id": ""}

    def _user_typing(self, connection: Connection, data: dict[str, Any]) -> None:
        channel_id, parent_id = _text(data, "channel_id"), _text(data, "parent_id")
        if parent_id and not is_id(parent_id):
            raise _invalid("parent_id")
        key = channel_key(channel_id)
        # Every member of a channel may post there by the built-in roles, unless it is archived.
        if not self._hub.hears(connection.user_id, key) or key in self._hub.archived:
            raise _invalid("channel_id")
        self._presence.active(connection.user_id)
        self._used(connection)
        self._typists.typing(channel_id, parent_id, connection.user_id)

    def _user_update_active_status(
        self, connection: Connection, data: dict[str, Any]
    ) -> Coroutine[Any, Any, None] | None:
        active, manual = data.get("user_is_active"), data.get("manual", False)
        if not isinstance(active, bool):
            raise _invalid("user_is_active")
        if not isinstance(manual, bool):
            raise _invalid("manual")
        if manual:
            return self._presence.choose(connection.user_id, active=active)
        if active:
            self._presence.active(connection.user_id)
        else:
            self._presence.away(connection.user_id)
        return None

    def _look(self, connection: Connection, data: dict[str, Any]) -> None:
        """Store what the connection looks at. Source: Mattermost API v4, action `presence`."""
        if connection.looks_at is None:
            connection.looks_at = {}
        if "thread_channel_id" in data:
            name = "threads view" if data.get("is_thread_view") is True else "thread"
            connection.looks_at[name] = _channel(data, "thread_channel_id")
        if "channel_id" in data:
            connection.looks_at["channel"] = _channel(data, "channel_id")
            self._presence.looks(connection.user_id, connection.looks_at["channel"])
        self._hub.looks(connection)

    def _get_statuses(self, connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
        # Mattermost answers from its process's cache, and so do we: no I/O, and a bounded answer.
        return self._presence.here(MAX_STATUSES) if self._presence.told else {}

    def _get_statuses_by_ids(
        self, connection: Connection, data: dict[str, Any]
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        user_ids = data.get("user_ids")
        if not isinstance(user_ids, list) or not 0 < len(user_ids) <= MAX_STATUS_IDS:
            raise _invalid("user_ids")
        if not all(isinstance(one, str) for one in user_ids):
            raise _invalid("user_ids")
        # As dear as this many pings; whoever asks for more than his allowance is closed at his next message.
        connection.allowance -= len(user_ids) // 10
        return self._load(user_ids)

    async def _load(self, user_ids: list[str]) -> dict[str, Any]:
        if not self._presence.told:
            return {}
        found = await load_statuses(self._redis, self._db, user_ids, heartbeat_s=self._heartbeat_s)
        return {user_id: status.status for user_id, status in found.items()}

    def _posted_notify_ack(self, connection: Connection, data: dict[str, Any]) -> None:
        _ACKS.inc()
