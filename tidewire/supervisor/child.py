"""One child process: start it, see that it answers, start it again when it dies, replace it, stop it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from tidewire.embedded.account import Account
from tidewire.embedded.command import STARTED, kill, start
from tidewire.supervisor.layout import StartError
from tidewire.supervisor.processes import end_strays

_log = structlog.get_logger()
# The first restart is at once: most deaths are single. Then ever slower, so that a broken child costs nothing.
_BACKOFF_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
_STABLE_S = 10.0  # a child that lived this long starts again from the first step
_PROBE_INTERVAL_S = 0.05
# A killed process ends at once, unless the kernel holds it (a disk that does not answer): then it ends by itself later.
KILL_S = 1.0
_NOT_YET = (OSError, EOFError, asyncio.TimeoutError)


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Spec:
    """What a child is."""

    name: str
    argv: Sequence[str]
    env: dict[str, str]
    ready: Callable[[], Awaitable[None]]  # raises OSError, EOFError or TimeoutError until it answers
    # Variable that names the descriptor on which it says that it is ready; `ready` is not asked then, because where
    # two processes share a listening socket nobody knows who would answer.
    ready_variable: str = ""
    descriptors: Sequence[int] = ()  # inherited
    stop: signal.Signals = signal.SIGTERM
    account: Account | None = None
    cwd: Path | None = None
    log: Path | None = None  # None: our standard error
    before: Callable[[], Awaitable[None]] = _nothing  # clears what a dead one left


def _first_byte(descriptor: int) -> "asyncio.Future[bytes]":
    """Return a future of the first byte of a pipe, b"" at its end; closes it then."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        loop.remove_reader(descriptor)
        data = os.read(descriptor, 1)
        os.close(descriptor)
        if not future.done():
            future.set_result(data)

    loop.add_reader(descriptor, read)
    return future


def _ended(process: "subprocess.Popen[bytes]") -> "asyncio.Future[int]":
    """Return a future of the exit status. A thread for each child: works everywhere, and children are few."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not future.done():
            future.set_result(code)

    def wait() -> None:
        code = process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(tell, code)

    threading.Thread(target=wait, daemon=True).start()
    return future


class Child:
    """A process that is kept running from `start()` to `stop()`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.restarts = 0
        self.healthy = False
        self._process: subprocess.Popen[bytes] | None = None
        self._end: asyncio.Future[int]
        self._keeper: asyncio.Task[None] | None = None
        self._told: asyncio.Future[bytes] | None = None  # b"" at the end of a process that was never ready
        self._leaving: set[subprocess.Popen[bytes]] = set()  # replaced, and not gone yet
        self.stopped_in_s = 0.0  # how long the last stop took

    async def start(self, timeout_s: float) -> None:
        """Start it, and return when it answers; from then on its deaths are mended.

        Raises: StartError if it ends before, or does not answer in time; then it may be started again.
        """
        try:
            await self._spawn()
        except OSError as error:
            raise StartError(f"{self.spec.name} cannot be started: {error.strerror or error}") from error
        if not await self._until_ready(timeout_s):
            ended = self._end.done()
            await self.stop(1)
            what = "ended before it was ready" if ended else f"did not answer within {timeout_s:g} s"
            raise StartError(f"{self.spec.name} {what}{self._last_words()}")
        self._watch()

    def _watch(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.spec.name}")
        self._keeper.add_done_callback(self._on_keeper_end)

    async def _unwatch(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})

    async def replace(self, start_s: float, leave_s: float) -> None:
        """Start a successor beside the process; once that is ready, ask the old one to leave and wait for its end.

        Raises: StartError if the successor is not ready in time; the old one goes on then.
        """
        await self._unwatch()
        old, end = self._process, self._end
        assert old is not None
        self._leaving.add(old)
        try:
            await self._spawn()
        except OSError as error:
            self._leaving.discard(old)
            self._watch()
            raise StartError(f"{self.spec.name} cannot be started: {error.strerror or error}") from error
        new = self._process
        assert new is not None
        ready = await self._until_ready(start_s)
        if not ready and not end.done():
            kill(new)
            await self._end
            self._clear(new)
            self._process, self._end, self.healthy = old, end, True
            self._leaving.discard(old)
        self._watch()
        if not ready:
            raise StartError(f"{self.spec.name}: the successor is not ready")
        try:
            old.send_signal(signal.SIGTERM)
            done, _ = await asyncio.wait({end}, timeout=leave_s)
            if not done:
                _log.warning("child did not leave in time", child=self.spec.name)
        finally:
            self._leaving.discard(old)
            self._clear(old)

    @property
    def pid(self) -> int:
        """Process id of the latest process; 0 before the first."""
        return self._process.pid if self._process is not None else 0

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end; kill it and what is left of it after the time. Returns at most KILL_S later in any case."""
        began = time.monotonic()
        await self._unwatch()
        for leaving in list(self._leaving):
            kill(leaving)
        if self._process is None:
            return
        for number in (self.spec.stop, signal.SIGCONT):  # the second for a frozen one
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
        done, _ = await asyncio.wait({self._end}, timeout=timeout_s)
        if not done:
            _log.warning("child did not stop in time", child=self.spec.name)
            kill(self._process)
            await asyncio.wait({self._end}, timeout=KILL_S / 2)
        self._clear(self._process)
        self.stopped_in_s = time.monotonic() - began

    async def _spawn(self) -> None:
        await self.spec.before()
        log = 2
        if self.spec.log is not None:
            log = os.open(self.spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        spec = self.spec
        env, descriptors, tell = spec.env, list(spec.descriptors), -1
        if spec.ready_variable:
            hear, tell = os.pipe()
            env = env | {spec.ready_variable: str(tell)}
            descriptors.append(tell)
        try:
            self._process = start(
                spec.argv, account=spec.account, env=env, cwd=spec.cwd, output=log, descriptors=descriptors
            )
        except OSError:
            if tell >= 0:
                os.close(hear)
            raise
        finally:
            for descriptor in (log, tell):
                if descriptor > 2:
                    os.close(descriptor)
        self._end = _ended(self._process)
        if tell >= 0:
            self._told = _first_byte(hear)

    async def _until_ready(self, timeout_s: float) -> bool:
        """Return True when it answers, False when it ended or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not self._end.done() and time.monotonic() < deadline:
            if self._told is not None:
                await asyncio.wait({self._told}, timeout=timeout_s)
                self.healthy = self._told.done() and self._told.result() != b""
                return self.healthy
            try:
                # Not wait_for(), which may swallow a cancellation (CPython 3.11), and then a stop waits for us.
                async with asyncio.timeout(5):
                    await self.spec.ready()
            except _NOT_YET:
                await asyncio.wait({self._end}, timeout=_PROBE_INTERVAL_S)
            else:
                self.healthy = True
                return True
        return False

    async def _keep(self) -> None:
        """Wait for deaths and mend them."""
        step = 0
        began = time.monotonic()
        while True:
            code = await asyncio.shield(self._end)
            died = time.monotonic()
            self.healthy = False
            assert self._process is not None
            self._clear(self._process)
            step = 0 if died - began > _STABLE_S else step
            delay = _BACKOFF_S[min(step, len(_BACKOFF_S) - 1)]
            step += 1
            _log.warning("child died", child=self.spec.name, code=code, restart_in_s=delay)
            await asyncio.sleep(delay)
            began = time.monotonic()
            self.restarts += 1
            try:
                await self._spawn()
            except OSError as error:  # out of processes, memory or descriptors: that may pass
                _log.error("child cannot be started", child=self.spec.name, error=str(error))
                continue
            if await self._until_ready(60):
                _log.info("child is back", child=self.spec.name, after_s=round(time.monotonic() - died, 3))

    def _on_keeper_end(self, keeper: "asyncio.Task[None]") -> None:
        if not keeper.cancelled() and (error := keeper.exception()) is not None:
            _log.error("child is no longer watched", child=self.spec.name, exc_info=error)

    def _clear(self, dead: "subprocess.Popen[bytes]") -> None:
        """End the dead process's own children: they hold its ports, locks and shared memory."""
        kill(dead)
        STARTED.discard(dead.pid)
        end_strays(known=STARTED, patience_s=KILL_S / 2)

    def _last_words(self) -> str:
        """Return the last line of its log, to be appended to a message."""
        if self.spec.log is None or not self.spec.log.exists():
            return "; its own message is above"
        lines = [line for line in self.spec.log.read_text(errors="replace").splitlines() if line.strip()]
        return f": {lines[-1].strip()}" if lines else ""
