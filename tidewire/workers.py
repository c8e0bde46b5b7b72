"""The parent of Granian's worker processes, with what is the same for every process that speaks HTTP.

Knows Granian; knows nothing of what the workers do.
"""

from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from tidewire.listening import resolve

# Its lines go where ours go, in the same form. The parent and each worker set it up before our own.
_LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"_granian": {"propagate": True}}}


def serve(
    factory: str,
    *,
    host: str,
    port: int,
    uds: str = "",
    http: HTTPModes,
    tls_cert: str = "",
    tls_key: str = "",
    workers: int,
    log_level: str,
    backlog: int,
    backpressure: int,
    stop_s: int,
) -> None:
    """Serve until SIGTERM or SIGINT.

    factory: "module:function", called once in each worker, which has the parent's environment; uds: a socket's path,
    instead of host and port; backlog: connections that the kernel holds; backpressure: that a worker holds;
    stop_s: what a worker has for its requests under way and for closing its parts.
    Raises: CannotListen, before anything is started.
    """
    if not uds:
        host = resolve(host, port)  # Granian takes numeric addresses only, and panics where one is taken
    Granian(
        factory,
        factory=True,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=http,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        address=host,
        port=port,
        uds=Path(uds) if uds else None,
        uds_permissions=0o660 if uds else None,
        ssl_cert=Path(tls_cert) if tls_cert else None,
        ssl_key=Path(tls_key) if tls_key else None,
        workers=workers,
        websockets=False,
        backlog=backlog,
        backpressure=backpressure,
        log_access=False,
        log_level=LogLevels(log_level),
        log_dictconfig=_LOGGING,
        respawn_failed_workers=True,
        respawn_interval=0.2,
        workers_kill_timeout=stop_s,
    ).serve()
