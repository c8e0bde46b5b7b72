"""The data directory: one `serve` at a time, sub-folders with the right owners, paths short enough for sockets.

postgres/ valkey/ caddy/   data of the services        bin/   programs that their account could not reach
log/      what the databases write                     run/   sockets, Caddyfile; remade at each start
files/    what people upload
"""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tidewire.embedded.account import Account, database_account, own
from tidewire.settings import default_data_dir

_PATH_LIMIT = 103  # sun_path: 108 bytes on Linux, 104 on macOS, both with the final NUL
_LONGEST_SOCKET = "/metrics/gateway-64.sock"
_LEFTOVERS_S = 8.0  # how long the rest of a killed run may take to go away


class StartError(Exception):
    """`serve` cannot start or go on; the text is one clear line."""


@dataclass(frozen=True)
class Layout:
    """An opened data directory. The lock is held as long as a process that inherited it lives."""

    data: Path
    run: Path
    account: Account | None
    lock: int

    @property
    def bin(self) -> Path:
        """Where programs are copied that the databases' account cannot reach."""
        return self.data / "bin"

    @property
    def files(self) -> Path:
        """Where the API keeps files."""
        return self.data / "files"

    @property
    def log(self) -> Path:
        """Where the databases' output goes."""
        return self.data / "log"

    @property
    def metrics(self) -> Path:
        """Where each process has a socket for its metrics."""
        return self.run / "metrics"

    @property
    def api_socket(self) -> Path:
        """Where the API listens."""
        return self.run / "api.sock"


def open_layout(data_dir: str) -> Layout:
    """Make and lock the data directory. Raises: StartError."""
    data = Path(data_dir).expanduser().absolute() if data_dir else default_data_dir()
    account = database_account()
    try:
        data.mkdir(parents=True, exist_ok=True)
        data = data.resolve()
        # Others may pass through to their own folders, and see nothing.
        data.chmod(0o700 if account is None else 0o711)
        lock = _lock(data)
        own(data / "bin", None, 0o755)
        own(data / "log", None, 0o700)
        own(data / "caddy", None, 0o700)
        run = _run_directory(data, account)
        own(run / "metrics", None, 0o700)
    except OSError as error:
        raise StartError(f"cannot use the data directory {data}: {error.strerror or error}") from error
    return Layout(data, run, account, lock)


def _lock(data: Path) -> int:
    lock = os.open(data / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LEFTOVERS_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode().strip()
            # A dead holder's supervisor still clears up, and will be gone in a moment.
            if _alive(holder) or time.monotonic() > deadline:
                os.close(lock)
                raise StartError(f"{data} is in use by another tidewire serve (process {holder})") from None
            time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def running_in(data_dir: str) -> int:
    """Return the process id of the `serve` that uses a data directory; 0 if none does. Raises: StartError."""
    path = (Path(data_dir).expanduser().absolute() if data_dir else default_data_dir()) / "serve.lock"
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StartError(f"cannot read {path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode().strip()
        return int(holder) if _alive(holder) else 0
    finally:
        os.close(lock)
    return 0


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _run_directory(data: Path, account: Account | None) -> Path:
    """Return an empty folder for sockets: run/ in the data directory, or one with a shorter name."""
    run = data / "run"
    mode = 0o700 if account is None else 0o711
    if len(os.fsencode(run)) + len(_LONGEST_SOCKET) > _PATH_LIMIT:
        name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        run = Path(tempfile.gettempdir()) / f"tidewire-{os.geteuid()}-{name}"
    if run.is_symlink() or (run.exists() and (not run.is_dir() or run.stat().st_uid != os.geteuid())):
        raise StartError(f"{run} is not a folder of ours; remove it")
    if run.exists() and stat.S_IMODE(run.stat().st_mode) & 0o022:
        raise StartError(f"{run} can be written by others; remove it")
    if run.exists():
        shutil.rmtree(run)
    run.mkdir(mode=0o700)
    run.chmod(mode)
    return run
