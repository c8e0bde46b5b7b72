"""Start programs, and run short-lived ones to their end. Every process that is started here is known to `STARTED`."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidewire.embedded.account import Account

# No PGPORT, PGDATA or locale of the user's may reach a database.
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# Processes that somebody in here waits for. A supervisor reaps all others that fall to it.
STARTED: set[int] = set()


class EmbeddedError(Exception):
    """An embedded service cannot be had or started; the text is one clear line for a person."""


def start(
    argv: Sequence[str],
    *,
    account: Account | None,
    env: Mapping[str, str],
    cwd: Path | None,
    stdin: int = subprocess.DEVNULL,
    output: int,
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, under an account (None: as we are). Raises: OSError.

    descriptors: which it inherits, under the same numbers.
    Synchronous on purpose: with a suspension between fork and `STARTED`, another task could take it for a stray.
    """
    process = subprocess.Popen(
        argv,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if output == subprocess.PIPE else output,
        env=env,
        cwd=cwd,
        start_new_session=True,
        pass_fds=descriptors,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    STARTED.add(process.pid)
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and everything in its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def run(
    argv: Sequence[str],
    *,
    account: Account | None = None,
    env: Mapping[str, str] = CLEAN_ENVIRONMENT,
    cwd: Path | None = Path("/"),
    stdin: bytes = b"",
) -> str:
    """Return what the program wrote. Raises: EmbeddedError with the last line of it when it fails."""
    try:
        pipe = subprocess.PIPE
        process = start(argv, account=account, env=env, cwd=cwd, stdin=pipe, output=pipe)
    except OSError as error:
        raise EmbeddedError(f"cannot run {argv[0]}: {error.strerror}") from error
    talk = asyncio.ensure_future(asyncio.to_thread(process.communicate, stdin))
    try:
        output, _ = await asyncio.shield(talk)
    except asyncio.CancelledError:
        kill(process)
        await talk
        raise
    finally:
        STARTED.discard(process.pid)
    text: str = output.decode(errors="replace")
    if process.returncode:
        lines = [line for line in text.splitlines() if line.strip()]
        raise EmbeddedError(f"{argv[0]} failed: {lines[-1].strip() if lines else process.returncode}")
    return text
