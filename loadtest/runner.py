"""`tidewire loadtest run`: a Locust suite with what it needs: users, gateways, good defaults.

Finds a local `tidewire serve` by its data directory. Knows the suites' flags, and of Locust its command line only.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.seed import Plan
from loadtest.swarm.herd import CannotRun


@dataclass(frozen=True)
class SuiteCommand:
    """A suite for the command line. users: by default; seeding: what so many users need; flags: what so many users mean
    to it; time: by default, "": it ends by itself."""

    users: int
    seeding: Callable[[int], Plan]
    flags: Callable[[int], list[str]]
    time: str = ""


def _channels_of(members: int) -> Callable[[int], Plan]:
    """Return a plan in which each user is in one channel of so many."""

    def plan(users: int) -> Plan:
        size = min(members, users)
        return Plan(users, max(1, users // size), size)

    return plan


SUITES = {
    "firehose": SuiteCommand(1000, _channels_of(100), lambda users: ["--receivers", str(max(0, users - 50))], "60s"),
    "storm": SuiteCommand(10_000, _channels_of(100), lambda users: ["--sockets", str(users)]),
}


@dataclass(frozen=True)
class Run:
    """What to run. tokens: None to seed. more: flags for the suite or for Locust, as they are."""

    suite: str
    host: str
    ws_hosts: tuple[str, ...] = ()
    users: int = 0
    time: str = ""
    tokens: Path | None = None
    web: bool = False
    targets: Path | None = None
    report: Path | None = None
    more: Sequence[str] = field(default_factory=tuple)


def suite_of(name: str) -> SuiteCommand:
    """Return a suite. Raises: CannotRun."""
    if name not in SUITES:
        raise CannotRun(f"there is no suite {name}; there are: {', '.join(sorted(SUITES))}")
    return SUITES[name]


def local_gateways(data_dir: Path) -> tuple[str, ...]:
    """Return HOST:PORT of the gateways of the `serve` that runs on a data directory; none if it does not say."""
    try:
        text = (data_dir.expanduser() / "gateways.url").read_text()
    except OSError:
        return ()
    return tuple(urlsplit(url).netloc for url in text.split())


def is_local(host: str) -> bool:
    """Tell whether an address is this machine's."""
    name = urlsplit(host).hostname or ""
    return name == "localhost" or name.startswith("127.")


def command(run: Run, tokens: Path) -> list[str]:
    """Return Locust's command line."""
    suite = suite_of(run.suite)
    words = [sys.executable, "-m", "locust", "-f", str(Path(__file__).parent / f"{run.suite}.py")]
    words += ["--host", run.host, "--tokens", str(tokens), *suite.flags(run.users or suite.users)]
    words += [] if run.web else ["--headless", "--only-summary"]
    limit = run.time or ("" if run.web else suite.time)
    words += ["--run-time", limit] if limit else []
    for host in run.ws_hosts:
        words += ["--ws-host", host]
    for flag, path in (("--targets", run.targets), ("--report", run.report)):
        words += [flag, str(path)] if path else []
    return [*words, *run.more]


def execute(run: Run, data_dir: Path, seed: Callable[[Plan, Path], None]) -> int:
    """Seed unless there are tokens, run, and return Locust's exit status.

    seed(plan, file): fills the local installation. Raises: CannotRun.
    """
    suite = suite_of(run.suite)
    if not run.ws_hosts and is_local(run.host):
        run = Run(**{**vars(run), "ws_hosts": local_gateways(data_dir)})
    if run.tokens is not None:
        return _locust(command(run, run.tokens))
    if not is_local(run.host):
        raise CannotRun(f"{run.host} is not this machine, so its users must come from a file: --tokens FILE")
    with tempfile.TemporaryDirectory(prefix="tidewire-load-") as folder:
        tokens = Path(folder) / "tokens"
        seed(suite.seeding(run.users or suite.users), tokens)
        return _locust(command(run, tokens))


def _locust(words: list[str]) -> int:
    process = subprocess.Popen(words)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Locust got it too, and reports what it has
            continue
