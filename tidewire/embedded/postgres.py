"""An embedded PostgreSQL: one data directory, one unix socket, no port. Trust goes by the socket's folder (0700)."""

import asyncio
import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tidewire.embedded.account import Account, own
from tidewire.embedded.binaries import postgres_programs, reachable
from tidewire.embedded.command import EmbeddedError, run

DATABASE = "tidewire"
OLDEST = 15


@dataclass(frozen=True)
class Postgres:
    """A prepared data directory and how to run it. Stop it by SIGINT."""

    argv: Sequence[str]
    data: Path
    socket_dir: Path
    url: str

    async def ready(self) -> None:
        """Return once a login to the database succeeds. Raises: OSError, EOFError until it does."""
        reader, writer = await asyncio.open_unix_connection(self.socket_dir / ".s.PGSQL.5432")
        try:
            # PostgreSQL protocol 3.0: StartupMessage, then messages of one letter and a length.
            body = struct.pack("!i", 3 << 16) + f"user\0postgres\0database\0{DATABASE}\0\0".encode()
            writer.write(struct.pack("!i", len(body) + 4) + body)
            while (kind := await reader.readexactly(1)) != b"Z":
                (length,) = struct.unpack("!i", await reader.readexactly(4))
                rest = await reader.readexactly(length - 4)
                if kind == b"E":
                    raise ConnectionRefusedError(rest.decode(errors="replace"))
            writer.write(b"X\0\0\0\4")
        finally:
            writer.close()


async def prepare(
    data: Path,
    socket_dir: Path,
    store: Path,
    account: Account | None,
    *,
    connections: int,
    explicit: str = "",
) -> Postgres:
    """Find a fitting PostgreSQL, create the data directory if there is none, and return how to run it.

    data: made by initdb if absent; reused if a PostgreSQL of the same major version is found.
    connections: how many the server must allow.
    store: where programs are copied that the account cannot reach.
    Raises: EmbeddedError, OSError.
    """
    programs = await postgres_programs(explicit)
    found = ", ".join(program.label for program in programs) or "none"
    version_file = data / "PG_VERSION"
    if version_file.exists():
        major = int(version_file.read_text().strip().split(".")[0])
        fitting = [program for program in programs if program.version[0] == major]
        if not fitting:
            raise EmbeddedError(
                f"{data} was made by PostgreSQL {major}; found here: {found}. Install that version"
            )
    else:
        fitting = [program for program in programs if program.version[0] >= OLDEST]
        if not fitting:
            raise EmbeddedError(
                f"no PostgreSQL ≥ {OLDEST} (found: {found}); install one, or tidewire[embedded], "
                "or set TIDEWIRE_DATABASE_URL"
            )
    server = await reachable(fitting[0], account, store)
    if not version_file.exists():
        await _create(server, data, account)
    own(data, account, 0o700)
    own(socket_dir, account, 0o700)
    options = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": f'"{socket_dir}"',
        "unix_socket_permissions": "0700",
        "max_connections": str(max(100, connections)),
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_timezone": "UTC",
        "timezone": "UTC",
        "jit": "off",  # short statements only: compiling one costs more than it saves
    }
    argv = [str(server), "-D", str(data)]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    url = f"postgresql://postgres@/{DATABASE}?host={quote(str(socket_dir), safe='/')}"
    return Postgres(argv, data, socket_dir, url)


async def _create(server: Path, data: Path, account: Account | None) -> None:
    """Make a data directory with our database in it; it gets its name only when it is complete."""
    unfinished = data.with_name(data.name + ".new")
    if unfinished.exists():
        await asyncio.to_thread(shutil.rmtree, unfinished)
    own(unfinished, account, 0o700)
    choices = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]
    await run([str(server.with_name("initdb")), "-D", str(unfinished), *choices], account=account)
    # The single-user mode needs no second program; Debian ships createdb in another package.
    await run(
        [str(server), "--single", "-D", str(unfinished), "postgres"],
        account=account,
        stdin=f"CREATE DATABASE {DATABASE};\n".encode(),
    )
    if data.exists():
        data.rmdir()
    unfinished.rename(data)
