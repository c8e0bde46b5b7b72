"""`tidewire loadtest run`: a Locust suite with what it needs: users, gateways, good defaults.

Finds a local `tidewire serve` by its data directory. Knows the suites' flags, and of Locust its command line only.
"""

import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

from loadtest.local import is_local, local_gateways, local_metrics
from loadtest.report.document import default_folder, finish
from loadtest.seed import Plan
from loadtest.shapes import USERS_PER_CHANNEL
from loadtest.swarm.herd import CannotRun

BROKEN = 4  # exit status of a run whose figures are partial


@dataclass(frozen=True)
class SuiteCommand:
    """A suite for the command line. users: by default; seeding: what so many users need, None: it needs none; flags:
    what so many users mean to it; time, host: by default, "": it ends by itself."""

    users: int
    seeding: Callable[[int], Plan] | None
    flags: Callable[[int], list[str]]
    time: str = ""
    host: str = "http://localhost:8065"


def _channels_of(members: int) -> Callable[[int], Plan]:
    """Return a plan in which each user is in a channel of so many; some are in two if it does not come out even."""

    def plan(users: int) -> Plan:
        size = min(members, users)
        return Plan(users, -(-users // size), size)

    return plan


def _installation(users: int) -> Plan:
    """Return a plan of an installation as they are, with a month of posts."""
    return Plan(users, -(-users // USERS_PER_CHANNEL), posts=100 * users, skewed=True)


SUITES = {
    # Boots are the heaviest: everybody is there after 30 s.
    "users": SuiteCommand(
        200, _installation, lambda users: ["-u", str(users), "-r", f"{max(1.0, users / 30):.3g}"], "60s"
    ),
    "soak": SuiteCommand(100, _installation, lambda users: ["-u", str(users), "-r", "2"], "4h"),
    "push": SuiteCommand(32, None, lambda users: ["--callers", str(users)], "60s", "http://localhost:8066"),
    "costs": SuiteCommand(2000, _channels_of(100), lambda users: ["--sockets", str(users)]),
    "firehose": SuiteCommand(1000, _channels_of(100), lambda users: ["--receivers", str(max(0, users - 50))], "60s"),
    "storm": SuiteCommand(10_000, _channels_of(100), lambda users: ["--sockets", str(users)]),
}


@dataclass(frozen=True)
class Run:
    """What to run. tokens: None to seed. more: flags for the suite or for Locust, as they are."""

    suite: str
    host: str = ""  # "": the suite's
    ws_hosts: tuple[str, ...] = ()
    users: int = 0
    time: str = ""
    tokens: Path | None = None
    web: bool = False
    targets: Path | None = None
    report: Path | None = None
    metrics_urls: tuple[str, ...] = ()
    data_dir: Path | None = None  # of a local `serve`, whose processes are watched
    more: Sequence[str] = field(default_factory=tuple)


def suite_of(name: str) -> SuiteCommand:
    """Return a suite. Raises: CannotRun."""
    if name not in SUITES:
        raise CannotRun(f"there is no suite {name}; there are: {', '.join(sorted(SUITES))}")
    return SUITES[name]


def command(run: Run, tokens: Path | None) -> list[str]:
    """Return Locust's command line."""
    suite = suite_of(run.suite)
    words = [sys.executable, "-m", "locust", "-f", str(Path(__file__).parent / f"{run.suite}.py")]
    words += ["--host", run.host, *(["--tokens", str(tokens)] if tokens else [])]
    words += suite.flags(run.users or suite.users)
    words += [] if run.web else ["--headless", "--only-summary"]
    limit = run.time or ("" if run.web else suite.time)
    words += ["--run-time", limit] if limit else []
    for host in run.ws_hosts:
        words += ["--ws-host", host]
    for url in run.metrics_urls:
        words += ["--metrics-url", url]
    for flag, path in (("--targets", run.targets), ("--report", run.report), ("--data-dir", run.data_dir)):
        words += [flag, str(path)] if path else []
    return [*words, *run.more]


def execute(run: Run, data_dir: Path, seed: Callable[[Plan, Path], None]) -> int:
    """Seed unless there are tokens, run, and return Locust's exit status.

    seed(plan, file): fills the local installation. Raises: CannotRun.
    """
    run = where(replace(run, report=run.report or default_folder(run.suite)), data_dir)
    with tokens_for(run, seed) as tokens, Stop() as stop:
        return run_locust(run, tokens, stop)


def where(run: Run, data_dir: Path) -> Run:
    """Return the run with the suite's address and what the local `serve` says of itself, for what it does not name.

    Raises: CannotRun where there is no such suite, or no Locust.
    """
    suite = suite_of(run.suite)
    if find_spec("locust") is None:
        extra = [one.partition(";")[0].strip() for one in requires("tidewire") or () if "loadtest" in one]
        raise CannotRun(f"Locust is not installed: {sys.executable} -m pip install {shlex.join(extra)}")
    run = replace(run, host=run.host or suite.host)
    if not is_local(run.host) or suite.seeding is None:
        return run
    return replace(
        run,
        ws_hosts=run.ws_hosts or local_gateways(data_dir),
        metrics_urls=run.metrics_urls or local_metrics(data_dir),
        data_dir=data_dir,
    )


@contextmanager
def tokens_for(run: Run, seed: Callable[[Plan, Path], None], users: int = 0) -> Iterator[Path | None]:
    """Yield the run's file of users, else one that is seeded and removed again; None if the suite needs none. users: if
    not the run's.

    Raises: CannotRun.
    """
    suite = suite_of(run.suite)
    if run.tokens is not None or suite.seeding is None:
        yield run.tokens
        return
    if not is_local(run.host):
        raise CannotRun(f"{run.host} is not this machine, so its users must come from a file: --tokens FILE")
    with tempfile.TemporaryDirectory(prefix="tidewire-load-") as folder:
        tokens = Path(folder) / "tokens"
        seed(suite.seeding(users or run.users or suite.users), tokens)
        yield tokens


class Stop:
    """Somebody wants the end: Ctrl-C, which Locust gets too, or SIGTERM, which is handed on to it. Either ends the run
    with a report of what there is. asked: it has happened."""

    def __init__(self) -> None:
        self.asked = False
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Stop":
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, process: "subprocess.Popen[bytes]") -> int:
        """Return the exit status of a process that ends when it is asked to."""
        self._process = process
        try:
            return process.wait()
        finally:
            self._process = None

    def _on_signal(self, number: int, frame: object) -> None:
        self.asked = True
        if number == signal.SIGTERM and self._process is not None:
            self._process.terminate()


def run_locust(run: Run, tokens: Path | None, stop: Stop, log: Path | None = None) -> int:
    """Run Locust and return its exit status; what it prints goes to the log, if there is one."""
    with open(log, "wb") if log else nullcontext() as output:
        status = stop.wait(subprocess.Popen(command(run, tokens), stdout=output, stderr=output and subprocess.STDOUT))
    if status < 0 and run.report is not None and (page := finish(run.report)) is not None:
        sys.stderr.write(f"loadtest: Locust was killed by signal {-status}; partial report: {page}\n")
        return BROKEN
    return status
