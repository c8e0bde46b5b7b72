"""Posts at a fixed rate into channels, and how long they take to receivers: `locust -f loadtest/firehose.py`.

An open model: each author sends at times that were fixed beforehand, and a request's time counts from the intended
moment, so a server that falls behind shows it. Receivers are sockets of the swarm, so there may be thousands: each
hears the channels that it is in, and times every post from its intended moment, as `WS delivery`; a break in `seq` is a
failure of `WS event`. Authors are the first users of the tokens file, receivers those behind them; an author posts into
the channel of his line. Posting begins when all receivers are logged in.

    tidewire loadtest seed --users 1000 --channels 10 --channel-members 100 --tokens FILE
    locust -f loadtest/firehose.py --headless --tokens FILE --post-rate 200 --authors 50 --receivers 500 -t 1m \
        --host http://localhost:8065 --ws-host 127.0.0.1:8072
"""

import itertools
import time
from collections.abc import Mapping
from typing import Any

import gevent
from gevent.event import Event
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.runners import MasterRunner

from loadtest.suite import Suite
from loadtest.swarm.herd import CannotRun, Plan, raise_limit, split

MARK = "tw-sent:"  # what the swarm looks for, with the µs since 1970 in 16 digits
_CONNECT_RATE = 500.0
_PATIENCE_S = 60.0
_LOOK_S = 0.1
_RETRY_S = 3.0
_QUIET_S, _DRAIN_S = 1.5, 10.0  # the swarm reports once a second


def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--post-rate", type=float, default=100.0, help="posts per second, of all authors")
    parser.add_argument("--authors", type=int, default=50, help="users that post")
    parser.add_argument("--receivers", type=int, default=100, help="sockets that listen")


class Firehose:
    """The course of a run. ready: all receivers listen."""

    def __init__(self) -> None:
        self.ready = Event()
        self.numbers = itertools.count()

    def prepare(self, suite: Suite) -> None:
        """Read the flags; deal each process its own lines of the file."""
        self.suite, options = suite, suite.options
        if options.post_rate <= 0 or options.authors < 1 or options.receivers < 0:
            raise CannotRun("--post-rate is above 0, --authors 1 or more, --receivers 0 or more")
        if options.receivers:
            split(options.receivers, raise_limit())
        suite.users = Author.fixed_count = options.authors
        Author.period_s = options.authors / options.post_rate
        share = max(0, getattr(suite.environment.runner, "worker_index", 0))
        self.numbers = itertools.count(share * options.authors)

    def start(self, **_: Any) -> None:
        """Let the receivers connect; in a process of its own in each worker."""
        if not isinstance(self.suite.environment.runner, MasterRunner):
            self.ready.clear()
            gevent.spawn(self.listen)

    def stop(self, **_: Any) -> None:
        """End the receivers once nothing comes any more: the last posts may be the slowest."""
        if isinstance(self.suite.environment.runner, MasterRunner):
            return
        deadline, heard, tally = time.monotonic() + _DRAIN_S, -1, self.suite.bridge.tally
        while not self.suite.broken and heard < tally.count("events") and time.monotonic() < deadline:
            heard = tally.count("events")
            gevent.sleep(_QUIET_S)
        gevent.spawn(self.suite.bridge.stop)

    def listen(self) -> None:
        """Connect all receivers, and then let the authors begin."""
        options, suite = self.suite.options, self.suite
        if options.receivers:
            plan = Plan(suite.tokens, options.receivers, suite.hosts, first=options.authors, retry_s=_RETRY_S)
            try:
                herd = suite.bridge.start(plan)
            except CannotRun as error:
                suite.break_off(str(error))
                return
            herd.connect(_CONNECT_RATE)
            deadline = time.monotonic() + herd.plan.connections / _CONNECT_RATE + _PATIENCE_S
            while suite.bridge.tally.open < herd.plan.connections and time.monotonic() < deadline:
                gevent.sleep(_LOOK_S)
        self.ready.set()

    def figures(self, suite: Suite) -> Mapping[str, float]:
        """Return what was heard."""
        tally = suite.bridge.tally
        return {"receivers": tally.most_open, "deliveries": tally.times["delivery"].count if tally.times else 0}


firehose = Firehose()
Suite("firehose", add_options=_add_options, prepare=firehose.prepare, figures=firehose.figures)
events.test_start.add_listener(firehose.start)
events.test_stop.add_listener(firehose.stop)


class Author(FastHttpUser):
    """Posts every `period_s`, beginning somewhere within the first one."""

    fixed_count = 1
    period_s = 1.0

    def on_start(self) -> None:
        """Take a user's place, and wait for the receivers."""
        people = firehose.suite.people
        self.person = people[next(firehose.numbers) % len(people)]
        firehose.ready.wait()
        self.due = time.time() + self.period_s * (hash(self.person.token) % 1000) / 1000

    @task
    def post(self) -> None:
        """Send the next post when it is due, or at once if that has passed."""
        time.sleep(max(0.0, self.due - time.time()))  # Locust makes it yield
        due, self.due = self.due, self.due + self.period_s
        with self.client.post(
            "/api/v4/posts",
            json={"channel_id": self.person.channel_id, "message": f"{MARK}{int(due * 1e6):016}"},
            headers={"Authorization": f"Bearer {self.person.token}"},
            catch_response=True,
        ) as answer:
            answer.request_meta["response_time"] = (time.time() - due) * 1000
            if answer.status_code != 201:
                answer.failure(f"{answer.status_code} {answer.text or ''}"[:200])
