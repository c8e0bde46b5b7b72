"""The swarm in Locust: its figures appear among Locust's own, on the page, in the files and at the master.

A worker (or the one process, without workers) runs the sockets; what its swarm reports is merged into Locust's
statistics once a second, whole histograms at a time, no count lost. Rows have the type "WS":

connect, or another LABEL     log-ins on fresh connections
LABEL resumed, LABEL anew     log-ins after a resume was asked for
delivery                      from the mark in a post to its event
ping                          round trips of the action
event                         all events; they have no time, so the total leaves them out

Some deliveries each second come one by one through `environment.events.request`, as Locust's own requests do, the rest
in bulk. A failure is a request without a time in the row that it belongs to.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec
from gevent.event import Event
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from locust.stats import RequestStats, StatsEntry, StatsError, bucket_response_time

from loadtest.swarm.herd import Herd, Plan, side_by_side
from loadtest.swarm.histogram import Histogram
from loadtest.swarm.reading import bucket
from loadtest.swarm.tally import Tally
from loadtest.swarm.wire import Report

TYPE = "WS"
_KEY = "swarm"  # in what workers tell the master
_decode_reports = msgspec.msgpack.Decoder(list[Report]).decode


def merge_times(stats: RequestStats, name: str, times: Histogram) -> None:
    """Add a histogram to the row and to the total."""
    if not times.count:
        return
    batch = StatsEntry(stats, name, TYPE)
    for ms, count in times.values_ms():
        if count:
            batch.response_times[bucket_response_time(ms)] += count
    batch.num_requests = times.count
    batch.total_response_time = times.sum_us / 1000  # type: ignore[assignment]  # Locust adds floats too
    batch.min_response_time = times.least_us / 1000  # type: ignore[assignment]  # as above
    batch.max_response_time = times.most_us / 1000  # type: ignore[assignment]  # as above
    _date(batch)
    stats.get(name, TYPE).extend(batch)
    stats.total.extend(batch)


def merge_count(stats: RequestStats, name: str, count: int, size_bytes: int) -> None:
    """Add so many things that took no time to the row. Not to the total: its percentiles would count them as 0 ms."""
    if not count:
        return
    batch = StatsEntry(stats, name, TYPE)
    batch.num_requests = batch.num_none_requests = count
    batch.total_content_length = size_bytes
    _date(batch)
    stats.get(name, TYPE).extend(batch)


def merge_failures(stats: RequestStats, name: str, why: str, count: int) -> None:
    """Add so many failures for the same reason."""
    if not count:
        return
    batch = StatsEntry(stats, name, TYPE)
    batch.num_requests = batch.num_none_requests = batch.num_failures = count
    _date(batch)
    batch.num_fail_per_sec = batch.num_reqs_per_sec
    stats.get(name, TYPE).extend(batch)
    stats.total.extend(batch)
    error = stats.errors.setdefault(StatsError.create_key(TYPE, name, why), StatsError(TYPE, name, why))
    error.occurred()
    error.occurrences += count - 1


def _date(batch: StatsEntry) -> None:
    """Let all of a batch have happened now."""
    batch.last_request_timestamp = time.time()
    batch.num_reqs_per_sec[int(batch.last_request_timestamp)] = batch.num_requests


def row_of(error: str) -> str:
    """Return the row that a failure belongs to."""
    if error.startswith("lost: "):
        return "connection"
    return "action" if error.startswith("a reply") else "connect"


class Bridge:
    """The swarm of one Locust process. tally: what it did; at the master: what all did. on_opened: called with each
    report, in another greenlet. Make one at `init`, in every process."""

    def __init__(self, environment: Environment) -> None:
        self.tally = Tally()
        self.herd: Herd | None = None
        self.broken = ""  # why a process of the swarm ended too early
        self.on_report: Callable[[Report], None] = lambda report: None
        self._environment = environment
        self._unsent: list[msgspec.Raw] = []
        self._over = Event()  # no swarm is being ended
        self._over.set()
        if isinstance(environment.runner, WorkerRunner):
            environment.events.report_to_master.add_listener(self._tell_master)
        if isinstance(environment.runner, MasterRunner):
            environment.events.worker_report.add_listener(self._hear_worker)
        environment.events.quitting.add_listener(lambda **_: self.stop())

    def start(self, plan: Plan) -> Herd:
        """Start this process's part of a plan; nothing connects yet. Raises: CannotRun."""
        self.stop()
        runner = self._environment.runner
        if isinstance(runner, WorkerRunner):
            options = self._environment.parsed_options
            workers = max(1, int(getattr(options, "expect_workers", 1) or 1))
            plan = side_by_side(plan, runner.worker_index, workers)
        self.herd = Herd(plan, self.accept)
        return self.herd

    def stop(self) -> None:
        """End the swarm, if there is one, and return after its last reports, whoever has begun to end it."""
        herd, self.herd = self.herd, None
        if herd is None:
            self._over.wait()
            return
        self._over.clear()
        self.broken = herd.broken
        try:
            herd.stop()
        finally:
            self._over.set()

    def accept(self, report: Report) -> None:
        """Count what a process of the swarm, or what stands in for one, has done."""
        self.tally.add(report)
        if isinstance(self._environment.runner, WorkerRunner):
            self._unsent.append(msgspec.Raw(msgspec.msgpack.encode(report)))  # merging takes the marks out of it
        self._merge(report)
        self.on_report(report)

    def _merge(self, report: Report) -> None:
        stats, times, label = self._environment.stats, report.times, report.label
        merge_times(stats, label, times["fresh"])
        merge_times(stats, f"{label} resumed", times["resumed"])
        merge_times(stats, f"{label} anew", times["anew"])
        merge_times(stats, "ping", times["ping"])
        for number, sent, took in report.marks:
            times["delivery"].take_out(bucket(took), took)
            self._environment.events.request.fire(
                request_type=TYPE, name="delivery", response_time=took / 1000, response_length=0, exception=None,
                context={"client": number, "sent_us": sent},
            )  # fmt: skip
        merge_times(stats, "delivery", times["delivery"])
        merge_count(stats, "event", report.counts["events"], report.counts["bytes"])
        merge_failures(stats, "event", "a gap in seq", report.counts["gaps"])
        for why, count in report.errors.items():
            merge_failures(stats, row_of(why), why, count)

    def _tell_master(self, client_id: str, data: dict[str, Any]) -> None:
        data[_KEY], self._unsent = msgspec.msgpack.encode(self._unsent), []

    def _hear_worker(self, client_id: str, data: dict[str, Any]) -> None:
        for report in _decode_reports(data.get(_KEY, b"\x90")):
            self.tally.add(report, client_id)
