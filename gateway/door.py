"""The door: accepts TCP, lets the handshake be judged, and hands the socket over to the room.

Bounds what strangers may hold: time, bytes, sockets. Knows nothing of sessions. A connection is one small protocol
object until its request is complete; then its descriptor is duplicated into the gate together with the 101 and with
every byte that was read behind the request, and the transport is dropped: nothing of asyncio stays per socket.
"""

import asyncio
import os
import resource
import socket
from typing import Protocol, cast

from gateway.handshake import HEAD_LIMIT_BYTES, WEBSOCKET_PATHS, Handshake, Refusal, Upgrade
from gateway.room import Room
from tidewire.settings import Settings

__all__ = ["Door", "Handler", "Upgrade"]

HANDSHAKE_TIMEOUT_S = 5.0
# Sockets in a handshake at once. At 60 us each this is a quarter second of work; the rest is told to come back.
MAX_HANDSHAKES = 4000
# Descriptors left for the rest of the process and for accept(): each adoption needs two for a moment.
SPARE_DESCRIPTORS = 128
# After a refusal the client gets this long to read it, and may send this much more of its request meanwhile;
# closing at once would reset the connection and lose the answer.
LINGER_S = 1.0
LINGER_BYTES = 2 << 20


class Handler(Protocol):
    """What the door and the room tell. All methods are called from the event loop and must not block."""

    def admit(self, upgrade: Upgrade) -> tuple[int, str] | None:
        """Return None to go on, or the status and error id to refuse a WebSocket request with."""

    def on_adopted(self, slot: int, upgrade: Upgrade) -> None:
        """Take a socket that has got its 101."""

    def on_message(self, slot: int, data: bytes, text: bool) -> None:
        """Take one complete message."""

    def on_closed(self, slot: int, code: int, why: str) -> None:
        """Take note that a socket is gone; `why` as in hotpath.gate.Gate."""


class Door:
    """Listens and upgrades. Source of the rules: Mattermost API v4, WebSocket handshake; RFC 6455 4.2."""

    def __init__(
        self,
        room: Room,
        handler: Handler,
        *,
        site_url: str = "",
        allowed_origins: tuple[str, ...] = (),
        version_id: str = "",
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
        max_handshakes: int = MAX_HANDSHAKES,
        max_sockets: int = 0,
        paths: frozenset[str] = WEBSOCKET_PATHS,
    ) -> None:
        """max_sockets: 0 is as many as descriptors allow; paths: where a WebSocket may be asked for."""
        self.room = room
        self.handler = handler
        self.handshake = Handshake(
            site_url=site_url, allowed_origins=allowed_origins, version_id=version_id, paths=paths
        )
        self.handshake_timeout_s = handshake_timeout_s
        self.max_handshakes = max_handshakes
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.last_descriptor = descriptors - min(SPARE_DESCRIPTORS, descriptors // 4)
        self.max_sockets = max_sockets or descriptors
        self.entrances: set[_Entrance] = set()
        self.refused = 0  # for want of room
        self._server: asyncio.Server | None = None

    @classmethod
    def of(cls, room: Room, handler: Handler, settings: Settings, version_id: str) -> "Door":
        """Return a door as the settings describe it."""
        return cls(
            room,
            handler,
            site_url=settings.site.url,
            allowed_origins=settings.gateway.allowed_origins,
            version_id=version_id,
            max_sockets=settings.gateway.max_connections,
        )

    async def start(
        self, host: str = "", port: int = 0, *, sock: socket.socket | None = None, reuse_port: bool = False
    ) -> int:
        """Listen; return the port. Raises: OSError if the address can't be had."""
        self.room.start(self.handler)
        loop = asyncio.get_running_loop()
        # As many may wait as a crowd that comes back at once brings within a second; the kernel caps it at somaxconn.
        backlog = 4096
        if sock is not None:
            self._server = await loop.create_server(lambda: _Entrance(self), sock=sock, backlog=backlog)
        else:
            self._server = await loop.create_server(
                lambda: _Entrance(self), host or None, port, backlog=backlog, reuse_port=reuse_port or None
            )
        return int(self._server.sockets[0].getsockname()[1])

    def drain(self) -> None:
        """Answer health checks with 404 from now on, so that balancers look elsewhere; still admit."""
        self.handshake.draining = True

    async def stop(self) -> None:
        """Listen no more and cut the handshakes under way. Adopted sockets stay: they are the room's."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for entrance in list(self.entrances):
            entrance.abort()

    def is_full(self, descriptor: int) -> bool:
        """Tell whether a socket that was just accepted finds no room."""
        return (
            descriptor > self.last_descriptor
            or len(self.entrances) > self.max_handshakes
            or self.room.sockets >= self.max_sockets
        )


class _Entrance(asyncio.Protocol):
    """One connection until it is adopted or refused."""

    __slots__ = ("_door", "_expected", "_head", "_linger_left", "_remote", "_timer", "_transport", "_upgrade")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._head = bytearray()
        self._remote = ""
        self._linger_left = LINGER_BYTES  # bytes of a refused request that are still read
        self._upgrade: tuple[Upgrade, bytes, bytes] | None = None
        self._expected = True  # False once it was answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        door = self._door
        door.entrances.add(self)
        peer = transport.get_extra_info("peername")
        self._remote = peer[0] if isinstance(peer, tuple) else ""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(door.handshake_timeout_s, self.abort)
        if door.is_full(transport.get_extra_info("socket").fileno()):
            door.refused += 1
            self._refuse(door.handshake.refusal(503, "api.context.server_busy.app_error", Retry_After="3"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._upgrade = None
        self._door.entrances.discard(self)

    def abort(self) -> None:
        """Cut the connection: too slow, or the door closes."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        head = self._head
        if not self._expected:
            self._linger(len(data))
            return
        start = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", start)
        if end > HEAD_LIMIT_BYTES or (end < 0 and len(head) > HEAD_LIMIT_BYTES):
            self._refuse(self._door.handshake.refusal(431, "api.web_socket.connect.upgrade.app_error"))
            return
        if end < 0:
            return
        handshake, handler = self._door.handshake, self._door.handler
        try:
            upgrade, answer = handshake.read(bytes(head[:end]), self._remote)
            refused = handler.admit(upgrade)
            if refused is not None:
                raise handshake.refusal(*refused)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        # Nothing more is read here: what follows stays in the kernel, for the gate.
        self._transport.pause_reading()
        self._expected = False
        self._upgrade = upgrade, answer, bytes(head[end + 4 :])
        # Not from inside the callback of the read that brought the request: the transport is still at work.
        asyncio.get_running_loop().call_soon(self._adopt)

    def _adopt(self) -> None:
        """Hand the socket over. A connection that was lost since the request is not there any more."""
        if self._upgrade is None or self._transport.is_closing():
            return
        upgrade, answer, leftover = self._upgrade
        self._upgrade = None
        try:
            descriptor = os.dup(self._transport.get_extra_info("socket").fileno())
        except OSError:
            # Out of descriptors within one round of the loop, behind is_full(): this one has to come back.
            self._door.refused += 1
            self._transport.abort()
            return
        # Closes the transport's own descriptor and takes it out of the loop; the socket lives on by the copy.
        self._transport.abort()
        self._door.room.adopt(descriptor, upgrade, answer, leftover)

    def _refuse(self, refusal: Refusal) -> None:
        self._expected = False
        self._head = bytearray()
        self._transport.write(refusal.answer)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, self.abort)

    def _linger(self, size: int) -> None:
        self._linger_left -= size
        if self._linger_left < 0:
            self.abort()
