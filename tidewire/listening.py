"""An address to listen on that cannot be had, as one line for whoever started the process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


class CannotListen(OSError):
    """The address is taken, or none of this machine's; the text is one line."""


@contextmanager
def listening(host: str, port: int) -> Iterator[None]:
    """Turn an OSError into a CannotListen."""
    try:
        yield
    except OSError as error:
        # socket.create_server() says the address again.
        reason = str(error.strerror or error).partition(" (while")[0]
        raise CannotListen(f"cannot listen on {host or 'any address'} port {port}: {reason}") from error


def resolve(host: str, port: int) -> str:
    """Return the numeric address of a host of this machine on which the port is free. Raises: CannotListen."""
    with listening(host, port):
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Without SO_REUSEPORT: a listener that would share the port counts as taken.
        socket.create_server(where[:2], family=family).close()
        return str(where[0])
