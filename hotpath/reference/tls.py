"""A TLS connection's bytes, in plain Python: the twin of hotpath/tls.pyx, which documents what this one does."""

import contextlib
import socket
import ssl

RECORD, INPUT = 16384, 65536


class Tls:
    """A connection whose handshake is over."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.pending = b""

    def recv(self) -> bytes | None:
        """Return what is here, b"" at the end or after an error, None if there is nothing yet."""
        data = b""
        try:
            while part := self.sock.recv(INPUT - len(data)):
                data += part
                if len(data) == INPUT or not self.sock.pending():
                    break
        except ssl.SSLWantReadError:
            return data or None
        except (OSError, ValueError):
            pass
        return data

    def send(self, data: bytes) -> tuple[int, bool]:
        """Return how many bytes were taken, and whether the kernel takes no more. Raises: OSError, ValueError."""
        taken, chunk = 0, b""
        try:
            while self.pending:
                self.pending = self.pending[self.sock.send(self.pending) :]
            while taken < len(data):
                chunk = data[taken : taken + RECORD]
                taken += self.sock.send(chunk)
        except ssl.SSLWantWriteError:
            if chunk:
                self.pending = chunk
            return taken + len(chunk), True
        return taken, False

    def shut(self) -> None:
        """Tell the peer that nothing more comes."""
        with contextlib.suppress(OSError, ValueError):
            self.sock.unwrap()

    def close(self) -> None:
        """End the connection."""
        self.shut()
        with contextlib.suppress(OSError):
            self.sock.close()


def send(line: "Tls | socket.socket", data: bytes) -> tuple[int, bool]:
    """Send on either kind; see Tls.send."""
    if isinstance(line, Tls):
        return line.send(data)
    if not data:
        return 0, False
    try:
        sent = line.send(data, socket.MSG_NOSIGNAL)
    except (BlockingIOError, InterruptedError):
        sent = 0
    return sent, sent < len(data)
