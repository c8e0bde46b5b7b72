"""Everybody reconnects within a given time, with and without resume: `locust -f loadtest/storm.py`.

All sockets connect, rest, are cut, and come back within `--within` seconds, first asking to resume, then afresh. With
`--rest N` the first N of them then ask for what the web app asks for after a reconnect, all with the header
`X-Page-Load-Context: reconnect`. The run ends by itself.

    tidewire loadtest seed --users 10000 --channels 100 --channel-members 100 --tokens FILE
    locust -f loadtest/storm.py --headless --tokens FILE --sockets 10000 --within 3 --rest 1000 \
        --host http://localhost:8065 --ws-host 127.0.0.1:8072 --ws-host 127.0.0.1:8073
"""

import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import partial
from typing import Any

import gevent
from gevent.queue import Queue
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.runners import MasterRunner

from loadtest.burst import BURST, CONTEXT, Call, fill
from loadtest.suite import Suite
from loadtest.swarm.herd import CannotRun, Herd, Plan, raise_limit, split
from loadtest.swarm.wire import Report
from loadtest.tokens import Person

FIRST, RESUMED, AFRESH = "connect", "reconnect", "reconnect afresh"
_PATIENCE_S = 60.0  # for the last log-in after it was due, and for the last call
_LOOK_S = 0.1
_RETRY_S = 3.0  # web and mobile clients come back so long after a failure
_AT_ONCE = 200  # bursts at the same time in a process of Locust; who waits for one counts from his log-in


def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--sockets", type=int, default=1000, help="clients; tokens are used round and round")
    parser.add_argument("--within", type=float, default=3.0, help="seconds in which all make their first attempt")
    parser.add_argument("--away", type=float, default=1.0, help="seconds between the cut and the first attempt")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds of rest before each cut")
    parser.add_argument("--connect-rate", type=float, default=1500.0, help="connects per second before the storm")
    parser.add_argument("--rest", type=int, default=0, help="so many clients make the web app's calls then")


class Storm:
    """The course of a run. rest_left: bursts that are not over."""

    def __init__(self) -> None:
        self.calls: list[Call] = list(BURST)
        self.returned: Queue[tuple[Person, float]] = Queue()
        self.since_ms = 0
        self.rest_left = 0
        self.wanted = 0

    def prepare(self, suite: Suite) -> None:
        """Read the flags."""
        self.suite, options = suite, suite.options
        if min(options.sockets, options.within, options.connect_rate) <= 0 or not 0 <= options.rest <= options.sockets:
            raise CannotRun("--sockets, --within and --connect-rate are above 0, --rest is 0 to --sockets")
        split(options.sockets, raise_limit())
        suite.users = Returning.fixed_count = max(1, min(options.rest, _AT_ONCE))
        suite.bridge.on_report = self.on_report

    def start(self, **_: Any) -> None:
        """Begin; in a process of its own in each worker."""
        if not isinstance(self.suite.environment.runner, MasterRunner):
            self.course = gevent.spawn(self.run)

    def stop(self, **_: Any) -> None:
        """The run ends, perhaps early."""
        if hasattr(self, "course") and self.course is not gevent.getcurrent():
            self.course.kill(block=False)
        gevent.spawn(self.suite.bridge.stop)

    def run(self) -> None:
        """Connect, cut, come back with resume, cut, come back without."""
        options, suite = self.suite.options, self.suite
        plan = Plan(suite.tokens, options.sockets, suite.hosts, watched=options.rest, retry_s=_RETRY_S)
        try:
            herd = suite.bridge.start(plan)
        except CannotRun as error:
            suite.break_off(str(error))
            return
        self.wanted = herd.plan.connections
        if options.rest:
            self.leave_out()
        self.wait_for(herd, FIRST, options.connect_rate, resume=False)
        for label in (RESUMED, AFRESH):
            gevent.sleep(options.settle)
            herd.drop()
            gevent.sleep(options.away)
            self.since_ms = int(time.time() * 1000) - 60_000
            self.rest_left = max(0, min(options.rest - herd.plan.first, self.wanted))
            self.wait_for(herd, label, self.wanted / options.within, resume=label == RESUMED)
            with gevent.Timeout(_PATIENCE_S + options.rest / 10, False):
                while self.rest_left:
                    gevent.sleep(_LOOK_S)
        suite.end()

    def wait_for(self, herd: Herd, label: str, rate: float, *, resume: bool) -> None:
        """Let all connect and wait until they are in; what does not come is left to the figures."""
        tally = self.suite.bridge.tally
        herd.connect(rate, resume=resume, label=label)
        deadline = time.monotonic() + self.wanted / rate + _PATIENCE_S
        while not (tally.labelled(label) and tally.open >= self.wanted) and time.monotonic() < deadline:
            if herd.broken:
                self.suite.break_off(herd.broken)
                raise gevent.GreenletExit
            gevent.sleep(_LOOK_S)

    def on_report(self, report: Report) -> None:
        """Send those who are back to make their calls."""
        if report.label == FIRST:
            return
        for number, at_us, _, _ in report.opened:
            self.returned.put((self.suite.people[number % len(self.suite.people)], at_us / 1e6))

    def leave_out(self) -> None:
        """Ask each call once, and leave out those that the server does not have yet."""
        person, missing = self.suite.people[0], []
        for call in BURST:
            path, body = fill(call, person, int(time.time() * 1000))
            url, data = self.suite.host + "/api/v4" + path, body.encode() or None
            request = urllib.request.Request(url, data, headers(person), method=call.method)  # noqa: S310 - it was checked
            try:
                urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
            except urllib.error.HTTPError as error:
                if error.code == 501:
                    missing.append(call)
            except OSError:
                pass  # the run itself will tell
        self.calls = [call for call in BURST if call not in missing]
        if missing:
            names = ", ".join(f"{call.method} {call.path}" for call in missing)
            self.suite.note(f"left out of the burst, for the server answers 501: {names}")

    def figures(self, suite: Suite) -> Mapping[str, float]:
        """Return how the storm went."""
        tally, found = suite.bridge.tally, {}
        for label, name in ((RESUMED, "resume"), (AFRESH, "afresh")):
            connect = tally.connect(label)
            if connect.opened:
                found[f"{name}_all_back_s"] = round(connect.took_s, 3)
                found[f"{name}_p99_ms"] = round(connect.times.percentile_ms(0.99), 1)
                found[f"{name}_back_share"] = round(connect.opened / suite.options.sockets, 4)
        back = tally.connect(RESUMED)
        if back.opened:
            found["resumed_share"] = round(back.resumed / back.opened, 4)
        return found


def headers(person: Person) -> dict[str, str]:
    """Return the headers of a call in the burst."""
    return {
        "Authorization": f"Bearer {person.token}",
        CONTEXT: "reconnect",
        "Content-Type": "application/json",
    }


storm = Storm()
Suite("storm", add_options=_add_options, prepare=storm.prepare, figures=storm.figures)
events.test_start.add_listener(storm.start)
events.test_stop.add_listener(storm.stop)


class Returning(FastHttpUser):
    """Somebody whose WebSocket is back: makes the calls of the burst, then waits for the next one's turn."""

    fixed_count = 1

    @task
    def burst(self) -> None:
        """Make one client's calls, one after the other; they count from its log-in."""
        try:
            person, back_at = storm.returned.get(timeout=1)
        except gevent.queue.Empty:
            return
        for call in storm.calls:
            path, body = fill(call, person, storm.since_ms)
            name = "/api/v4" + call.path.split("?")[0]
            request = partial(self.client.request, call.method, "/api/v4" + path, data=body or None, name=name)
            with request(headers=headers(person), catch_response=True) as answer:
                if answer.status_code not in (200, 201):
                    answer.failure(f"{answer.status_code} {answer.text or ''}"[:200])
        took_ms = (time.time() - back_at) * 1000
        self.environment.events.request.fire(
            request_type="burst", name="from the log-in to the last answer", response_time=took_ms, response_length=0,
            exception=None, context={},
        )  # fmt: skip
        storm.rest_left = max(0, storm.rest_left - 1)
