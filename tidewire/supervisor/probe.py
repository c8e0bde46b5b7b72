"""Is something there? Small questions to ports and sockets."""

import errno
import os
import socket
import ssl
from pathlib import Path

from tidewire.gathering import Target, fetch
from tidewire.supervisor.layout import StartError


async def expect_ok(
    target: Target, path: str, *, context: ssl.SSLContext | None = None, name: str = ""
) -> None:
    """Return if the path answers 200. Raises: OSError, EOFError, ValueError."""
    status, _ = await fetch(target, path, context=context, name=name)
    if status != 200:
        raise ConnectionRefusedError(f"{path} answers {status}")


def listen_addresses(host: str) -> list[str]:
    """Return the addresses to bind for a --host; "localhost" is both loopback addresses where there are two."""
    if host != "localhost":
        return [host]
    return ["127.0.0.1"] + (["::1"] if _error_of("::1", 0) is None else [])


def check_can_listen(host: str, port: int, program: Path) -> None:
    """Return if the port is ours to take. program: which will listen. Raises: StartError."""
    for address in listen_addresses(host):
        error = _error_of(address, port)
        if error is None:
            continue
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"port {port} is taken; choose another one by --port")
        if error.errno == errno.EACCES:
            raise StartError(
                f"no right to listen on port {port}; allow it by: setcap cap_net_bind_service=+ep {program}"
            )
        raise StartError(f"cannot listen on {address} port {port}: {error.strerror or error}")


def reserve_port(wanted: int) -> socket.socket:
    """Return a socket that holds the first free port of 127.0.0.1 from `wanted` on, but any free one after 100 tries.

    It does not listen yet. No other installation can take the port while we hold it.
    """
    for port in [*range(wanted, min(wanted + 100, 65536)), 0]:
        holder = socket.socket()
        try:
            # Bound without SO_REUSEADDR, so that another holder is noticed; with it from then on.
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setblocking(False)
        return holder
    raise StartError("no free port on 127.0.0.1")


def _error_of(address: str, port: int) -> OSError | None:
    """Try to listen. Without SO_REUSEPORT, so that another installation's shared listener counts as taken."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address or "::", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and os.name == "posix":
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.bind(where)
            trial.listen(1)
    except OSError as error:
        return error
    return None
