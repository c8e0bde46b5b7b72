"""Start and watch one `tidewire serve`. Knows processes and their output; knows nothing of chat."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue

import httpx
import psutil

ROOT = Path(__file__).parents[2]
READY_S = (
    120.0  # a first start makes a database; CI machines may be ten times slower than a quiet one (2.6 s)
)
STOP_S = 10.0  # the promise
GONE_S = 5.0  # the promise after SIGKILL


def free_port() -> int:
    """Return a port of both loopback addresses that nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def own_environment() -> dict[str, str]:
    """Return our environment, but let Python keep its byte code: without it each process compiles every module."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def data_dir() -> Path:
    """Return a new folder that other accounts may pass through: root's databases run under one."""
    path = Path(tempfile.mkdtemp(prefix="tw-serve-", dir="/tmp"))
    path.chmod(0o711)
    return path / "data"


class Served:
    """A `tidewire serve` on a free port. Use as a context; leaving it kills whatever is left."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        python: Sequence[str] = (sys.executable,),
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        user: str = "",
    ) -> None:
        self.data = data
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._seen: Queue[str | None] = Queue()
        self.process = subprocess.Popen(
            [*python, "-m", "tidewire", "serve", "--data-dir", str(data), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**own_environment(), **(env or {})},
            start_new_session=True,
            user=user or None,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        self._family: dict[int, psutil.Process] = {}
        assert self.process.stdout and self.process.stderr
        self._threads = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_output(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._seen.put(line)
        self._seen.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        family = self.family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S + 5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for process in family:
            if process.is_running():
                process.kill()

    def wait_ready(self) -> str:
        """Return the address of the "ready" line. Fails with what was written if the run ends before."""
        deadline = time.monotonic() + READY_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._seen.get(timeout=left)
            except Empty:
                break
            if line is None:
                break
            if line.startswith("ready "):
                self.family()
                return line.split()[1]
        raise AssertionError("not ready:\n" + "\n".join([*self.lines, *self.errors]))

    @property
    def url(self) -> str:
        """The address of the "ready" line."""
        return next(line for line in self.lines if line.startswith("ready ")).split()[1]

    def wait_end(self, timeout_s: float = READY_S) -> int:
        """Return the exit status, after all output was read."""
        status = self.process.wait(timeout_s)
        for thread in self._threads:
            thread.join(10)
        return status

    def family(self) -> list[psutil.Process]:
        """Return every process that this run has or had when last asked, but the first."""
        try:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                self._family[process.pid] = process
        except psutil.NoSuchProcess:
            pass  # it ended; what it had is remembered
        return list(self._family.values())

    def named(self, word: str) -> psutil.Process:
        """Return the oldest process of the run with a word in its command line."""
        found = [p for p in self.family() if p.is_running() and word in " ".join(_command(p))]
        assert found, f"no process with {word!r}"
        return min(found, key=lambda process: process.create_time())

    def assert_gone(self, timeout_s: float) -> None:
        """Fail unless every process of the run, and every other that names its data directory, ends in time."""
        deadline = time.monotonic() + timeout_s
        while left := [*(p for p in self._family.values() if _lives(p)), *_naming(self.data)]:
            if time.monotonic() > deadline:
                raise AssertionError(f"still there: {[(p.pid, _command(p)) for p in left]}")
            time.sleep(0.05)

    def restarts(self) -> dict[str, int]:
        """Return how often each child was started again."""
        address = next(line for line in self.lines if line.startswith("metrics ")).split()[1]
        text = httpx.get(address + "/metrics", timeout=30).text
        rows = [line for line in text.splitlines() if line.startswith("tidewire_child_restarts_total{")]
        return {row.split('child="')[1].split('"')[0]: int(float(row.split()[-1])) for row in rows}


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _naming(folder: Path) -> list[psutil.Process]:
    """Return processes whose command line, working directory or environment has the folder in it."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(process)
    return found


def wait_answer(url: str, *, timeout_s: float = 60.0, verify: object = True) -> httpx.Response:
    """Return the first answer below 500."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            answer = httpx.get(url, timeout=10, verify=verify)  # type: ignore[arg-type]  # a context or a bool
            if answer.status_code < 500:
                return answer
            problem = str(answer.status_code)
        except httpx.TransportError as error:
            problem = repr(error)
        if time.monotonic() > deadline:
            raise AssertionError(f"{url}: {problem}")
        time.sleep(0.05)
