"""The door: accepts TCP, lets the handshake be judged, and hands the socket over to the room.

Bounds what strangers may hold: time, bytes, sockets, and how many are accepted in one turn of the event loop. Knows
nothing of sessions. A connection is one small object in an epoll set of the door's own until its request is complete;
then its descriptor moves into the gate, together with the 101 and every byte that was read behind the request. With TLS
it is an ssl.SSLSocket from the start, which goes the same way.
"""

import asyncio
import contextlib
import resource
import select
import socket
import ssl
from typing import Protocol

from gateway.handshake import HEAD_LIMIT_BYTES, WEBSOCKET_PATHS, Handshake, Refusal, Upgrade
from gateway.room import Room
from gateway.tls import server_context
from tidewire.settings import Settings

__all__ = ["Door", "Handler", "Upgrade"]

HANDSHAKE_TIMEOUT_S = 5.0
# Sockets in a handshake at once; those beyond are told to come back.
MAX_HANDSHAKES = 4000
# Connections accepted, and handshakes looked at, in one turn of the loop: some 1.5 ms, then events have their turn.
TURN = 16
# With TLS a handshake costs some 0.6 ms of CPU and 40 KB: fewer in one turn, and those beyond wait in the kernel's
# queue, where they cost nothing, instead of being told so, which would cost a handshake too.
TLS_TURN = 6
MAX_TLS_HANDSHAKES = 1000
# As many may wait in the kernel as a crowd that comes back at once brings within a second (capped by somaxconn).
BACKLOG = 4096
# Descriptors left for the rest of the process.
SPARE_DESCRIPTORS = 128
# After a refusal the client gets this long to read it, and may send this much more of its request meanwhile;
# closing at once would reset the connection and lose the answer.
LINGER_S = 1.0
LINGER_BYTES = 2 << 20
LOOK_S = 0.1  # how often time-outs are looked for, while somebody is in the door
READ_BYTES = 64 * 1024


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
        compression: bool = False,
        paths: frozenset[str] = WEBSOCKET_PATHS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """max_sockets: 0 is as many as descriptors allow; paths: where a WebSocket may be asked for; tls: only TLS is
        spoken."""
        self.room = room
        self.handler = handler
        self.handshake = Handshake(
            site_url=site_url,
            allowed_origins=allowed_origins,
            version_id=version_id,
            compression=compression,
            paths=paths,
        )
        self.handshake_timeout_s = handshake_timeout_s
        self.tls = tls  # of connections to come: may be replaced at any time
        self.tls_handshakes = self.tls_failures = 0  # done; given up by one of both sides
        self.max_handshakes = max_handshakes if tls is None else min(max_handshakes, MAX_TLS_HANDSHAKES)
        self._turn = TURN if tls is None else TLS_TURN
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.last_descriptor = descriptors - min(SPARE_DESCRIPTORS, descriptors // 4)
        self.max_sockets = max_sockets or descriptors
        self.entrances: dict[int, _Entrance] = {}  # by descriptor
        self.refused = 0  # for want of room
        self._listener: socket.socket | None = None
        self._epoll = select.epoll()
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._resting = False  # out of descriptors: the listener is left alone for a moment

    @classmethod
    def of(cls, room: Room, handler: Handler, settings: Settings) -> "Door":
        """Return a door as the settings describe it. Raises: BadCertificate."""
        gateway = settings.gateway
        return cls(
            room,
            handler,
            allowed_origins=gateway.allowed_origins,
            max_sockets=gateway.max_connections,
            compression=gateway.compression,
            tls=server_context(gateway.tls_cert, gateway.tls_key) if gateway.tls_cert else None,
        )

    def configure(self, *, site_url: str, other_origins: tuple[str, ...], version_id: str) -> None:
        """Take what the run-time configuration says from now on."""
        self.handshake.site_url = site_url
        self.handshake.other_origins = other_origins
        self.handshake.version_id = version_id

    async def start(
        self, host: str = "", port: int = 0, *, sock: socket.socket | None = None, reuse_port: bool = False
    ) -> int:
        """Listen; return the port. host: empty for every address. Raises: OSError if the address can't be had."""
        self.room.start(self.handler)
        if sock is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            sock = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=reuse_port)
        else:
            sock.listen(BACKLOG)
        sock.setblocking(False)
        self._listener = sock
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._loop.add_reader(self._epoll.fileno(), self._on_ready)
        return int(sock.getsockname()[1])

    def drain(self) -> None:
        """Answer health checks with 404 from now on, so that balancers look elsewhere; still admit."""
        self.handshake.draining = True

    def stop_listening(self) -> None:
        """Accept no more; handshakes under way go on. A listening socket that was handed in lives on elsewhere."""
        if self._listener is not None:
            if not self._resting:
                # By hand: closing our descriptor does not take a socket that others share out of the set.
                self._epoll.unregister(self._listener.fileno())
            self._resting = False
            self._listener.close()
            self._listener = None

    async def stop(self) -> None:
        """Listen no more and cut the handshakes under way. Adopted sockets stay: they are the room's."""
        self.stop_listening()
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
        if self._watch is not None:
            self._watch.cancel()
        for entrance in self.entrances.values():
            entrance.sock.close()
        self.entrances.clear()

    def _on_ready(self) -> None:
        for descriptor, _ in self._epoll.poll(0, self._turn):
            if self._listener is not None and descriptor == self._listener.fileno():
                self._accept(self._listener)
            elif descriptor in self.entrances:
                self._read(self.entrances[descriptor])

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(self._turn):
            if self.tls is not None and len(self.entrances) >= self.max_handshakes:
                self._rest(listener)
                return
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # gone while it waited
            except OSError:
                self._rest(listener)  # out of descriptors or memory
                return
            sock.setblocking(False)
            if self.tls is not None:
                try:
                    sock = self.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                except OSError:
                    sock.close()
                    continue  # gone while it waited
            deadline = self._loop.time() + self.handshake_timeout_s
            entrance = self.entrances[sock.fileno()] = _Entrance(sock, str(address[0]), deadline)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
            self._look_soon()
            if (
                sock.fileno() > self.last_descriptor
                or len(self.entrances) > self.max_handshakes
                or self.room.sockets >= self.max_sockets
            ):
                self.refused += 1
                busy = self.handshake.refusal(503, "api.context.server_busy.app_error", Retry_After="3")
                if self.tls is None:
                    self._refuse(entrance, busy)
                else:
                    entrance.busy = busy

    def _rest(self, listener: socket.socket) -> None:
        """Accept nobody for a moment: those who wait stay in the kernel until the next look."""
        self._epoll.unregister(listener.fileno())
        self._resting = True
        self._look_soon()

    def _shake(self, entrance: "_Entrance", sock: ssl.SSLSocket) -> bool:
        """Go on with a TLS handshake; return whether it is done. Our part of some 4 KB fits into an empty buffer."""
        try:
            sock.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:  # not TLS, too old, no common cipher, our certificate is not believed, or gone
            self.tls_failures += 1
            self._cut(entrance)
            return False
        entrance.secured = True
        self.tls_handshakes += 1
        if entrance.busy is not None:
            self._refuse(entrance, entrance.busy)
            return False
        return True

    def _read(self, entrance: "_Entrance") -> None:
        sock = entrance.sock
        if isinstance(sock, ssl.SSLSocket) and not entrance.secured and not self._shake(entrance, sock):
            return
        try:
            data = sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
            return
        except OSError:
            data = b""
        if not data or entrance.refused_bytes > LINGER_BYTES:
            self._cut(entrance)
        elif entrance.refused_bytes:
            entrance.refused_bytes += len(data)
        else:
            self._judge(entrance, data)

    def _judge(self, entrance: "_Entrance", data: bytes) -> None:
        head = entrance.head
        start = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", start)
        if end > HEAD_LIMIT_BYTES or (end < 0 and len(head) > HEAD_LIMIT_BYTES):
            self._refuse(entrance, self.handshake.refusal(431, "api.web_socket.connect.upgrade.app_error"))
            return
        if end < 0:
            return
        try:
            upgrade, answer = self.handshake.read(bytes(head[:end]), entrance.remote)
            refused = self.handler.admit(upgrade)
            if refused is not None:
                raise self.handshake.refusal(*refused)
        except Refusal as refusal:
            self._refuse(entrance, refusal)
            return
        # Out of this epoll set before the gate takes the descriptor into its own: nobody else may read from it.
        self._leave(entrance)
        self.room.adopt(entrance.sock, upgrade, answer, bytes(head[end + 4 :]))

    def _leave(self, entrance: "_Entrance") -> None:
        descriptor = entrance.sock.fileno()
        self._epoll.unregister(descriptor)
        del self.entrances[descriptor]

    def _cut(self, entrance: "_Entrance") -> None:
        self._leave(entrance)
        entrance.sock.close()

    def _refuse(self, entrance: "_Entrance", refusal: Refusal) -> None:
        """Answer, end our side, and read on for a moment: until the client ends its side, or LINGER_S."""
        entrance.refused_bytes = 1
        entrance.head = bytearray()
        entrance.deadline = self._loop.time() + LINGER_S
        with contextlib.suppress(OSError):  # it is gone already: the next read says so
            # An answer of some 400 bytes always fits into the empty buffer of a new socket.
            entrance.sock.send(refusal.answer)
            if isinstance(entrance.sock, ssl.SSLSocket):
                with contextlib.suppress(OSError):
                    entrance.sock.unwrap()  # close_notify; the client's own is not here yet, which is an error to it
            entrance.sock.shutdown(socket.SHUT_WR)

    def _look_soon(self) -> None:
        if self._watch is None:
            self._watch = self._loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Cut those who are too slow."""
        self._watch = None
        now = self._loop.time()
        for entrance in list(self.entrances.values()):
            if entrance.deadline <= now:
                if self.tls is not None and not entrance.secured:
                    self.tls_failures += 1
                self._cut(entrance)
        if self._resting and self._listener is not None:
            self._resting = False
            self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        if self.entrances:
            self._look_soon()


class _Entrance:
    """One connection until it is adopted or refused."""

    __slots__ = ("busy", "deadline", "head", "refused_bytes", "remote", "secured", "sock")

    def __init__(self, sock: socket.socket, remote: str, deadline: float) -> None:
        self.sock = sock
        self.remote = remote
        self.deadline = deadline  # loop time
        self.head = bytearray()  # of the request, as far as it is here
        self.refused_bytes = 0  # what came after a refusal, plus one; 0: not refused
        self.secured = False  # its TLS handshake is done
        self.busy: Refusal | None = None  # to be told once it is
