"""The report of one run: begun with it, left half-way for a run that is killed, written at its end."""

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtest.report import document, machine
from loadtest.report.processes import Use
from loadtest.report.scrape import metrics_url
from loadtest.report.server import Server
from loadtest.targets import Measured, Verdict, check

if TYPE_CHECKING:
    from locust.stats import StatsError  # at run time it would patch whoever imports this

    from loadtest.suite import Suite

_FIRST_S, _CHECKPOINT_S = 2.0, 10.0
_MOST_ERRORS = 50
_ID = re.compile(r"\b[a-z0-9]{26}\b")
UNFINISHED = "the run did not come to its end"


def errors(found: Iterable["StatsError"]) -> dict[str, int]:
    """Return how often what failed, the most frequent first. Without ids, or each failure would be one of a kind."""
    counts = Counter[str]()
    for one in found:
        counts[_ID.sub("…", f"{one.method} {one.name}: {one.error}")] += one.occurrences
    kept = dict(counts.most_common(_MOST_ERRORS))
    rest = counts.total() - sum(kept.values())
    return kept | ({"of other kinds": rest} if rest else {})


class Reporter:
    """Where the report goes, and what it says beside what Locust counts. begun, environment: of the last run."""

    def __init__(self, suite: "Suite") -> None:
        self._suite = suite
        given = suite.options.report
        self.path = Path(given) if given else document.default_folder(suite.name)
        self.begun = False
        self._saved = 0.0
        self.environment: dict[str, Any] = {}
        self._server = Server()
        suite.timeline.sources.append(lambda: self._server.figures())

    def start(self) -> None:
        """A run begins: look at machine and server."""
        suite, options = self._suite, self._suite.options
        self.environment = {
            "command": machine.shown(sys.argv),
            "time": machine.now(),
            "machine": machine.machine(),
            "suite": machine.suite_versions(),
            "server": machine.server_version(suite.host),
        }
        self._server.stop()
        urls = [metrics_url(text) for text in options.metrics_url]
        self._server = Server(suite.host, suite.hosts, urls, options.data_dir)
        self.begun, self._saved = True, time.monotonic() - _CHECKPOINT_S + _FIRST_S

    def look_at_server(self) -> Mapping[str, Use]:
        """Return what each process of a local server has used until now, by name."""
        return self._server.look()

    def checkpoint(self) -> None:
        """Leave what is known so far as JSON, once in a while."""
        if time.monotonic() - self._saved < _CHECKPOINT_S:
            return
        self._saved = time.monotonic()
        measured = self._suite.measured()
        found = self._found(measured, check(self._suite.targets, measured))
        try:
            document.save(self.path, found | {"partial": True, "broken": UNFINISHED}, page=False)
        except OSError:
            self._saved = float("inf")  # the end will say it

    def save(self, measured: Measured, verdicts: Sequence[Verdict]) -> str:
        """Write both files; return a line that says where they are, or why not."""
        if not self.begun:
            return "no report: the load never began"
        self._server.stop()
        try:
            return f"report: {document.save(self.path, self._found(measured, verdicts))}"
        except OSError as error:
            return f"no report: {error.filename}: {error.strerror}"

    def _found(self, measured: Measured, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        suite, tally, server = self._suite, self._suite.bridge.tally, self._server
        return {
            "suite": suite.name,
            "host": suite.host,
            "gateways": list(suite.hosts),
            "started": round(suite.timeline.began, 3),
            "took_s": round(suite.took_s, 3),
            "partial": bool(suite.broken),
            "broken": suite.broken,
            "notes": suite.notes,
            "targets": [asdict(one) for one in verdicts],
            "environment": self.environment,
            "topology": suite.timeline.topology | server.topology(),
            **asdict(measured),
            "errors": errors(suite.environment.stats.errors.values()),
            "swarm": tally.figures() if tally.most_open else None,
            "server": server.usage() | {"counters": server.counters()},
            "load": server.load_usage(),
            "timeline": [asdict(moment) for moment in suite.timeline.moments],
        }
