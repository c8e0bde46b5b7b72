"""A gate with the far ends of its sockets, for tests: what clients send, what they got, what was called back."""

import contextlib
import functools
import json
import socket
import ssl
import tempfile
import zlib
from pathlib import Path
from types import ModuleType

from tests.fixtures.authority import authority
from tests.unit.hotpath.test_frames import client_frame

PREFIX = b'{"event":"posted","broadcast":{},"data":{"n":%d'
USER = b"abcdefghijkmnopqrstuwxyz13"


def inflated(payload: bytes) -> bytes:
    """Return a compressed message as a client reads it (RFC 7692 7.2.2)."""
    stream = zlib.decompressobj(-15)
    message = stream.decompress(payload + b"\0\0\xff\xff")
    assert not stream.unconsumed_tail + stream.unused_data
    return message


def deflated(message: bytes, **how) -> bytes:
    """Return a message as a client compresses it (RFC 7692 7.2.1)."""
    stream = zlib.compressobj(wbits=-15, **how)
    return (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's and a client's. No session tickets: they would lie in the buffers of one side."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.num_tickets = 0
    with tempfile.TemporaryDirectory() as folder:
        files = authority().issue(Path(folder))
        server.load_cert_chain(files.cert, files.key)
    return server, authority().trusting()


def encrypted(ours: socket.socket, theirs: socket.socket) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return both ends after their handshake."""
    server, client = contexts()
    ends = (
        client.wrap_socket(theirs, server_hostname="localhost", do_handshake_on_connect=False),
        server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False),
    )
    for end in (*ends, *ends):             # hello; certificate; finished; take note
        end.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert all(end.version() == "TLSv1.3" for end in ends)
    return ends[1], ends[0]


class Peer:
    """The client's end of one socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.got = b""         # everything
        self.ended = False

    def send(self, opcode: int, payload: bytes = b"", **how) -> None:
        self.raw(client_frame(opcode, payload, **how))

    def raw(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError, ssl.SSLError):
            self.sock.send(data)

    def read(self, limit: int = 1 << 30) -> bytes:
        """Take what has come, at most `limit` bytes."""
        new = b""
        while len(new) < limit and not self.ended:
            try:
                data = self.sock.recv(min(65536, limit - len(new)))
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            except (ConnectionResetError, ssl.SSLError):
                data = b""
            self.ended = not data
            new += data
        self.got += new
        return new

    def frames(self) -> list[tuple[int, bytes]]:
        """Return all whole frames so far, (opcode, payload); compressed ones inflated."""
        self.read()
        result, at = [], 0
        while at + 2 <= len(self.got):
            opcode, size, packed = self.got[at] & 15, self.got[at + 1], self.got[at] & 0x40
            assert self.got[at] & 0xB0 == 0x80
            at += 2
            if size == 126:
                size, at = int.from_bytes(self.got[at:at + 2], "big"), at + 2
            elif size == 127:
                size, at = int.from_bytes(self.got[at:at + 8], "big"), at + 8
            if at + size > len(self.got):
                break
            payload = self.got[at:at + size]
            result.append((opcode, inflated(payload) if packed else payload))
            at += size
        return result

    def events(self) -> list[tuple[int, int]]:
        """Return (seq, n) of the events so far."""
        found = [json.loads(data) for opcode, data in self.frames() if opcode == 1 and data.startswith(b'{"event')]
        return [(event["seq"], event["data"]["n"]) for event in found]

    def texts(self) -> list[bytes]:
        return [data for opcode, data in self.frames() if opcode == 1]

    def closes(self) -> list[int]:
        return [int.from_bytes(data[:2], "big") for opcode, data in self.frames() if opcode == 8]


class Crowd:
    """A gate, its peers, and a log of its calls."""

    def __init__(self, hotpath: ModuleType, *, send_buffer: int = 0, tls: bool = False, **options) -> None:
        self.hotpath = hotpath
        self.tls = tls
        self.send_buffer = send_buffer
        self.messages: list[tuple[int, bytes, bool]] = []
        self.closed: list[tuple[int, int, str]] = []
        self.on_message = lambda slot, data, text: None
        self.on_close = lambda slot, code, why: None
        self.gate = hotpath.Gate(self._message, self._close, **({"capacity": 64} | options))
        self.gate.tick(1_000_000)
        self.now_ms = 1_000_000
        self.peers: dict[int, Peer] = {}

    def _message(self, slot, data, text):
        self.messages.append((slot, data, text))
        self.on_message(slot, data, text)

    def _close(self, slot, code, why):
        self.closed.append((slot, code, why))
        self.on_close(slot, code, why)

    def join(self, user: bytes = USER, bits: int = 0, *, tls: bool | None = None, **options) -> tuple[int, Peer]:
        """Let a client in; tls: over TLS, else as all of this crowd."""
        ours, theirs = socket.socketpair()
        if self.tls if tls is None else tls:
            ours, theirs = encrypted(ours, theirs)
            options["tls"] = ours
        if self.send_buffer:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        slot = self.gate.adopt(ours.fileno() if "tls" in options else ours.detach(), **options)
        self.gate.set_user(slot, user, bits)
        self.peers[slot] = Peer(theirs)
        return slot, self.peers[slot]

    def event(self, n: int, *, size: int = 0, droppable: bool = False):
        return self.hotpath.Event(PREFIX % n + b',"x":"' + b"x" * size + b'"', droppable)

    def post(self, slots, *numbers: int, size: int = 0, **how) -> list[int]:
        return [self.gate.deliver(self.event(n, size=size), slots, **how) for n in numbers]

    def turn(self) -> None:
        """One round of the event loop; with TLS a few, for each poll takes one record of a socket."""
        for _ in range(8 if self.tls else 1):
            self.gate.poll()
        self.gate.flush()
        self.gate.poll()

    def tick(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.gate.tick(self.now_ms)
        self.turn()
