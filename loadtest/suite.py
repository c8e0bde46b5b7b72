"""What every Locust suite does beside its load: common flags, checks before the run, targets and a report after it.

A locustfile makes one Suite at the top and gives it what is its own; see storm.py. Exit status of a run: 0 all targets
met, 1 it could not begin, 2 wrong command line, 3 targets missed, 4 it broke off and what was reported is partial.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import StatsEntry

from loadtest.bridge import Bridge
from loadtest.last_words import LastWords
from loadtest.logins import read_people
from loadtest.preflight import CHAT, Kind, check_gateways, check_token, gateways_of
from loadtest.report.reporter import Reporter
from loadtest.swarm.herd import CannotRun
from loadtest.swarm.histogram import SHARES
from loadtest.targets import FOLDER, HTTP, Measured, Row, Targets, check, load_targets, table
from loadtest.timeline import PERIOD_S, Timeline, percentile
from loadtest.tokens import Person

MISSED, BROKEN = 3, 4
_WATCH_S = 2.0
_DONE, _SUITE = "suite_done", "suite"
_FINISH_S = 3.0
_REPORTS_S = 3.0  # workers tell the master so often
_SPAWN_RATE = 100  # users a second; Locust warns above
_STRIKES = 3  # looks in a row without an answer: a busy server may miss one
_log = logging.getLogger("loadtest")


class Suite:
    """One suite in one Locust process.

    name: of the suite and of its file in loadtest/limits. add_options: adds flags of its own. prepare: called once
    everything is checked, with options read and `people`, `hosts` set; may set `users` and raise CannotRun. figures:
    returns the suite's own figures for targets and report. swarm: the suite holds sockets, so gateways are checked.
    tls: sockets are its own where a server has TLS only. kind: of server.
    """

    def __init__(
        self,
        name: str,
        *,
        add_options: Callable[[LocustArgumentParser], None],
        prepare: Callable[["Suite"], None],
        figures: Callable[["Suite"], Mapping[str, float]],
        swarm: bool = True,
        tls: bool = False,
        kind: Kind = CHAT,
    ) -> None:
        self.name = name
        self.users = 0  # Locust users to begin with; 0: what the command line says
        self.people: list[Person] = []
        self.hosts: tuple[str, ...] = ()
        self.notes: list[str] = []  # sentences for the report: what was left out, and the like
        self.counts: Counter[str] = Counter()  # of the suite's own; at the master: of all workers
        self.broken = ""  # why the run broke off
        self.timeline = Timeline()
        self._add_options, self._prepare, self._figures, self._swarm = add_options, prepare, figures, swarm
        self._kind, self._tls = kind, tls
        self.options: Any = None
        self._done = 0  # workers that are through
        self._through = False  # the suite has ended the run itself
        self._started = self._ended = time.time()
        self.targets = Targets()
        events.init_command_line_parser.add_listener(self._on_parser)
        events.init.add_listener(self._on_init)
        events.test_start.add_listener(self._on_start)
        events.test_stopping.add_listener(self._on_stopping)
        events.test_stop.add_listener(self._on_stop)

    def end(self) -> None:
        """The load is done: end the run, or with a web page wait there for the next."""
        self._through = True
        runner = self.environment.runner
        assert runner is not None
        if isinstance(runner, WorkerRunner):
            runner.send_message(_DONE)
            return
        gevent.spawn(runner.quit if self.options.headless or self.options.autostart else runner.stop)

    def break_off(self, why: str) -> None:
        """End the run; what was measured until now is reported as partial."""
        if not self.broken:
            self.broken = why
            _log.error("%s", why)
            self.end()

    def _on_parser(self, parser: LocustArgumentParser) -> None:
        # Paths stay text: Locust sends its options to its workers.
        parser.add_argument("--tokens", help="file of `tidewire loadtest seed`, or of lines `user password`")
        parser.add_argument("--ws-host", action="append", default=[], help="HOST:PORT of a gateway; repeatable")
        parser.add_argument("--targets", default=str(FOLDER / f"{self.name}.toml"), help="TOML file of limits")
        parser.add_argument("--report", help="folder for report.html and report.json, or the JSON file")
        parser.add_argument("--metrics-url", action="append", default=[], help="of a server; repeatable")
        parser.add_argument("--data-dir", default="", help="of a local `tidewire serve`, whose processes are watched")
        self._add_options(parser)

    def _on_init(self, environment: Environment, **_: Any) -> None:
        self.environment, self.options = environment, environment.parsed_options
        if self.options is None or environment.runner is None:
            return  # Locust only lists users
        try:
            self._check(str(environment.host or self.options.host or ""))
            self.bridge = Bridge(environment)
            self._last_words = LastWords(environment, self.bridge.stop)
            self.reporter = Reporter(self)
            self._prepare(self)
        except CannotRun as error:
            sys.stderr.write(f"loadtest: {error}\n")
            raise SystemExit(1) from error
        # What is under way when the time is over may be the slowest: it counts.
        environment.stop_timeout = environment.stop_timeout or _FINISH_S
        if self.users:
            self.options.num_users, self.options.spawn_rate = self.users, min(self.users, _SPAWN_RATE)
        if not isinstance(environment.runner, WorkerRunner):
            environment.events.quitting.add_listener(self._on_quitting)
        if isinstance(environment.runner, MasterRunner):
            environment.runner.register_message(_DONE, self._on_done)
            environment.events.worker_report.add_listener(self._hear_worker)
        if isinstance(environment.runner, WorkerRunner):
            environment.events.report_to_master.add_listener(self._tell_master)

    def _on_done(self, **_: Any) -> None:
        """A worker is through; the last one ends the run."""
        self._done += 1
        if self._done >= self.options.expect_workers:
            self.end()

    def note(self, sentence: str) -> None:
        """Say something in the report, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _tell_master(self, client_id: str, data: dict[str, Any]) -> None:
        data[_SUITE], self.counts = {"notes": self.notes, "counts": dict(self.counts)}, Counter()

    def _hear_worker(self, client_id: str, data: dict[str, Any]) -> None:
        told = data.get(_SUITE, {"notes": [], "counts": {}})
        self.counts.update(told["counts"])
        for sentence in told["notes"]:
            self.note(sentence)

    def _hear_out(self) -> None:
        """Let the workers end, and hear what they have to say."""
        if not self._last_words.wait():
            self.note("a worker did not come to its end: what it had to say last is missing")

    def _check(self, host: str) -> None:
        if not host:
            raise CannotRun("--host is missing: the address of the server to load")
        if self.options.tokens is None and self._kind.people:
            raise CannotRun("--tokens is missing: a file that `tidewire loadtest seed --tokens FILE` wrote")
        self.targets = load_targets(Path(self.options.targets))
        self._kind.check(host)
        if self._kind.people:
            self.people, self.tokens = read_people(host, Path(self.options.tokens))
            check_token(host, self.people[0].token, Path(self.options.tokens))
        plain = not (self._tls and host.startswith("https:")) or self.options.ws_host
        if self._swarm and plain:
            self.hosts = gateways_of(host, self.options.ws_host)
            check_gateways(self.hosts)
        self.host = host.rstrip("/")

    def _on_start(self, **_: Any) -> None:
        self._started = self._ended = time.time()
        self.broken, self._done, self._through = "", 0, False
        if not isinstance(self.environment.runner, WorkerRunner):
            self._watcher = gevent.spawn(self._watch)
            self.timeline.begin()
            self.timeline.topology |= {"host": self.host, "gateways": list(self.hosts)}
            self.reporter.start()
            self._looker = gevent.spawn(self._look)

    def _on_stopping(self, **_: Any) -> None:
        self._ended = time.time()  # what is under way may still end

    def _on_stop(self, **_: Any) -> None:
        if not isinstance(self.environment.runner, WorkerRunner):
            self._watcher.kill(block=False)
            self._looker.kill(block=False)
        self._hear_out()

    def _look(self) -> None:
        """Add a moment to the timeline each second, or as often as workers report."""
        master = isinstance(self.environment.runner, MasterRunner)
        while True:
            gevent.sleep(_REPORTS_S if master else PERIOD_S)
            self.look()
            self.reporter.checkpoint()

    def look(self, *, last: bool = False) -> None:
        """Add this moment to the timeline."""
        runner = self.environment.runner
        assert runner is not None
        if isinstance(runner, MasterRunner):
            self.timeline.topology["workers"] = runner.worker_count
        self.timeline.look(self.environment.stats, self.bridge.tally, runner.user_count, last=last)

    def _watch(self) -> None:
        """Break off when the server is gone: the rest of the run would measure nothing."""
        missed, since = 0, 0.0
        while missed < _STRIKES:
            gevent.sleep(_WATCH_S)
            if self._kind.answers(self.host):
                missed = 0
            else:
                since = since if missed else time.time() - self._started
                missed += 1
        self.break_off(f"{self.host} does not answer any more since about {since:.0f} s after the start")

    def measured(self) -> Measured:
        """Return what Locust counted, and the suite's figures."""
        stats = self.environment.stats
        rows = {_name(entry): _row(entry) for entry in stats.entries.values()}
        http = sum(entry.num_requests for entry in stats.entries.values() if entry.method in HTTP)
        tally = self.bridge.tally
        figures: dict[str, float] = dict(self._figures(self))
        if tally.most_open:
            # A core that is nearly full measures itself.
            figures |= {
                "gaps": tally.count("gaps"),
                "bytes_per_connection": round(tally.bytes_per_connection),
                "swarm_busiest_share": round(tally.busiest_share, 3),
            }
        total = stats.total
        return Measured(total.num_failures / max(1, total.num_requests), http / self.took_s, rows, figures)

    @property
    def took_s(self) -> float:
        """How long the load lasted, or has lasted until now."""
        return max(1e-9, (self._ended if self._ended > self._started else time.time()) - self._started)

    def _cut_short(self) -> str:
        """Return what to say if somebody ended the run before its time."""
        wanted_s = float(self.options.run_time or 0)
        early = self.options.headless and not self._through and self.took_s < wanted_s - PERIOD_S
        return f"stopped after {self.took_s:.0f} of {wanted_s:.0f} s" if early else ""

    def _on_quitting(self, **_: Any) -> None:
        self._ended = max(self._ended, time.time()) if self._ended == self._started else self._ended
        self._hear_out()  # who was stopped by a signal has not yet
        self.bridge.stop()
        self.broken = self.broken or self.bridge.broken or self._cut_short()
        if self.reporter.begun:
            self.look(last=True)
        measured = self.measured()
        verdicts = check(self.targets, measured)
        lines = [f"\n{self.name}: {self.host}", table(verdicts), *self.notes]
        if self.broken:
            lines.append(f"broken off: {self.broken}; the figures are partial")
        lines.append(self.reporter.save(measured, verdicts))
        # Below Locust's own tables, where the eye ends.
        self.environment.events.quit.add_listener(lambda **_: sys.stdout.write("\n".join(lines) + "\n"))
        status = BROKEN if self.broken else 0 if all(one.met for one in verdicts) else MISSED
        self.environment.process_exit_code = status


def _name(entry: StatsEntry) -> str:
    return f"{entry.method} {entry.name}"


def _row(entry: StatsEntry) -> Row:
    """Return a row as targets see it. Failures and events that have no time are not in its percentiles."""
    ms = {name: percentile(entry.response_times, share) for name, share in SHARES.items()}
    return Row(
        entry.num_requests, entry.num_failures / max(1, entry.num_requests), **ms,
        max_ms=float(entry.max_response_time) if entry.response_times else 0.0,
    )  # fmt: skip
