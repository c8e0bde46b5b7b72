"""What a post, a delivery, a start of the web app … cost the server: `locust -f loadtest/costs.py`.

One phase after the other, each at a fixed rate, while CPU and memory of every process of the server are read from
/proc; a phase's costs are what it used beyond its rest, by what happened in it. The rates keep an API core about as
busy as a sizing plans it: at a sixth of them a post costs twice as much, for each finds a server asleep. The server
must run on this machine, and nobody else should use it meanwhile. The run ends by itself and writes --costs FILE, which
`tidewire loadtest size` reads.

    tidewire loadtest run costs --costs FILE
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
from gevent.queue import JoinableQueue
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import FastHttpSession
from locust.runners import LocalRunner

from loadtest.people.boot import boot_calls
from loadtest.people.client import MARK
from loadtest.report import machine
from loadtest.sizing.costs import WANTED, Cost, Costs, save_costs
from loadtest.sizing.meter import Meter, Reading
from loadtest.suite import Suite
from loadtest.swarm.herd import CannotRun, Plan, raise_limit, split
from loadtest.tokens import Person

_CALLERS = 64  # at the same time: posts come in groups where a commit takes 50 ms
_CONNECT_RATE = 500.0
_PATIENCE_S = 60.0
_LOOK_S = 0.1
_REPORTED_S = 1.5  # the swarm reports once a second
_STATUSES = 40  # people whose statuses a sidebar asks for
_SCREEN = "limit_after=30&limit_before=30&skipFetchThreads=false&collapsedThreads=true&collapsedThreadsExtended=false"

Job = Callable[[FastHttpSession], None]
Action = Callable[[FastHttpSession, Person, float, "Traffic"], None]  # who does it, when it is due


def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--costs", default="", help="file to write")
    parser.add_argument("--phase", type=float, default=12.0, help="seconds of each phase")
    parser.add_argument("--settle", type=float, default=2.0, help="seconds between phases: what was begun ends")
    parser.add_argument("--sockets", type=int, default=2000, help="WebSockets")
    parser.add_argument("--post-rate", type=float, default=600.0, help="posts per second")
    parser.add_argument("--boot-rate", type=float, default=36.0, help="starts of the web app per second")
    parser.add_argument("--open-rate", type=float, default=250.0, help="channels opened per second")


@dataclass
class Traffic:
    """What was said over HTTP: bytes of requests and answers, heads included, and actions."""

    bytes: int = 0
    actions: int = 0


class Course:
    """The phases, and what each one found. rest: CPU µs a second of each kind while nothing happens."""

    def __init__(self) -> None:
        self.jobs: JoinableQueue[Job] = JoinableQueue()
        self.traffic: dict[str, Traffic] = {}
        self.found: dict[str, Cost] = {}
        self.rest: Mapping[str, float] = {}

    def prepare(self, suite: Suite) -> None:
        """Read the flags."""
        self.suite, options = suite, suite.options
        if not isinstance(suite.environment.runner, LocalRunner):
            raise CannotRun("costs are measured by one process of Locust")
        if min(options.phase, options.sockets, options.post_rate, options.boot_rate, options.open_rate) <= 0:
            raise CannotRun("--phase, --sockets and all rates are above 0")
        split(options.sockets, raise_limit())
        suite.users = Caller.fixed_count = _CALLERS

    def start(self, **_: Any) -> None:
        """Begin."""
        self.found, self.traffic = {}, {}
        self.course = gevent.spawn(self.run)

    def stop(self, **_: Any) -> None:
        """The run ends, perhaps early."""
        if self.course is not gevent.getcurrent():
            self.course.kill(block=False)
        gevent.spawn(self.suite.bridge.stop)

    def run(self) -> None:
        """Go through all phases, then write the file."""
        suite, options = self.suite, self.suite.options
        try:
            self.meter = Meter(suite.reporter.look_at_server)
        except CannotRun as error:
            suite.break_off(str(error))
            return
        self.rest = self.phase(lambda: gevent.sleep(options.phase)).rates()
        reading = self.repeat("posts", options.post_rate, self.post)
        for kind in ("api", "balancer", "postgres", "redis"):
            self.note(f"post_{kind}_us", reading, kind, "posts")
        self.note("post_gateway_us", reading, "gateway", "posts", each=reading.processes("gateway"))
        self.found["post_gateways"] = Cost(reading.processes("gateway"), "the server's processes")
        unheard = self.found["post_gateway_us"].value
        self.note_traffic("post_bytes", "posts")
        reading = self.repeat("starts of the web app", options.boot_rate, self.boot)
        for kind in ("api", "balancer", "postgres", "redis"):
            self.note(f"boot_{kind}_us", reading, kind, "starts of the web app")
        self.note_traffic("boot_bytes", "starts of the web app")
        reading = self.repeat("channels opened", options.open_rate, self.open)
        for kind in ("api", "balancer", "postgres", "redis"):
            self.note(f"open_{kind}_us", reading, kind, "channels opened")
        self.note_traffic("open_bytes", "channels opened")
        self.connect(options.sockets)
        if suite.broken:
            return
        self.heard(options.post_rate, unheard)
        self.write()
        suite.end()

    def phase(self, work: Callable[[], None]) -> Reading:
        """Let something happen, and return what was used meanwhile."""
        gevent.sleep(self.suite.options.settle)
        return self.meter.during(work, self.rest)

    def repeat(self, name: str, rate: float, action: Action) -> Reading:
        """Do something at fixed times for the length of a phase, and wait until all of it is done."""
        people, seconds, traffic = self.suite.people, self.suite.options.phase, Traffic()
        self.traffic[name] = traffic
        count = max(1, round(rate * seconds))

        def work() -> None:
            began = time.time()
            for number in range(count):
                due = began + number / rate
                gevent.sleep(max(0.0, due - time.time()))
                person = people[number % len(people)]
                self.jobs.put(lambda http, person=person, due=due: action(http, person, due, traffic))
            self.jobs.join()

        return self.phase(work)

    def call(
        self, http: FastHttpSession, person: Person, due: float, traffic: Traffic, name: str, method: str, path: str,
        body: object = None,
    ) -> None:  # fmt: skip
        """Make one call. due: from when its time counts; 0: from when it is sent."""
        headers = {"Authorization": f"Bearer {person.token}"}
        with http.request(
            method, "/api/v4" + path, json=body, headers=headers, name=name, catch_response=True
        ) as answer:  # fmt: skip
            if due:
                answer.request_meta["response_time"] = (time.time() - due) * 1000
            if answer.status_code not in (200, 201, 501):
                answer.failure(f"{answer.status_code} {answer.text or ''}"[:200])
            elif answer.status_code == 501:
                note = f"left out, for the server answers 501: {method} {path.split('?')[0]}"
                self.suite.notes += [] if note in self.suite.notes else [note]
            head = sum(len(key) + len(value) + 4 for key, value in (answer.headers or {}).items())
            sent = len(method) + len(path) + 120 + len(person.token) + (len(str(body)) if body else 0)
            traffic.bytes += head + len(answer.content or b"") + sent

    def post(self, http: FastHttpSession, person: Person, due: float, traffic: Traffic) -> None:
        """Write into the channel of one's line."""
        message = f"{MARK}{int(due * 1e6):016} The tide is as high as it has been for a week, so let us wait."
        self.call(http, person, due, traffic, "post", "POST", "/posts",
                  {"channel_id": person.channel_id, "message": message})  # fmt: skip
        traffic.actions += 1

    def boot(self, http: FastHttpSession, person: Person, due: float, traffic: Traffic) -> None:
        """Load the web app: its calls one after the other."""
        others = [other.user_id for other in self.suite.people[:_STATUSES]]
        for method, path, body in boot_calls(person.user_id, person.team_id, person.channel_id, others):
            self.call(http, person, due, traffic, "start of the web app", method, path, body)
            due = 0
        traffic.actions += 1

    def open(self, http: FastHttpSession, person: Person, due: float, traffic: Traffic) -> None:
        """Look into a channel, as the web app does."""
        view = {"channel_id": person.channel_id, "prev_channel_id": "", "collapsed_threads_supported": True}
        self.call(http, person, due, traffic, "channel opened", "POST", "/channels/members/me/view", view)
        for path in (
            f"/users/{person.user_id}/channels/{person.channel_id}/posts/unread?{_SCREEN}",
            f"/channels/{person.channel_id}/stats?exclude_files_count=true",
        ):
            self.call(http, person, 0, traffic, "channel opened", "GET", path)
        traffic.actions += 1

    def connect(self, sockets: int) -> None:
        """Let all sockets log in, and rest."""
        suite = self.suite
        try:
            herd = suite.bridge.start(Plan(suite.tokens, sockets, suite.hosts))
        except CannotRun as error:
            suite.break_off(str(error))
            return
        gevent.sleep(self.suite.options.settle)
        before = self.meter.memory()

        def work() -> None:
            herd.connect(_CONNECT_RATE)
            deadline = time.monotonic() + sockets / _CONNECT_RATE + _PATIENCE_S
            while suite.bridge.tally.open < sockets and time.monotonic() < deadline:
                gevent.sleep(_LOOK_S)

        reading = self.phase(work)
        if suite.bridge.tally.open < sockets:
            suite.break_off(f"{suite.bridge.tally.open} of {sockets} sockets are logged in")
            return
        gevent.sleep(self.suite.options.settle)
        after, opened = self.meter.memory(), f"{sockets:,} log-ins"
        for name, kind in (("login_gateway_us", "gateway"), ("login_postgres_us", "postgres")):
            self.found[name] = Cost(round(reading.cpu_us(kind) / sockets, 2), opened)
        for name, kind, ends in (("connection_bytes", "gateway", 1), ("connection_kernel_bytes", "kernel", 2)):
            grown = max(0.0, after[kind] - before[kind]) / sockets / ends
            text = opened if ends == 1 else f"{opened}, both ends here, so half"
            self.found[name] = Cost(round(grown), text)
        reading = self.phase(lambda: gevent.sleep(suite.options.phase))
        per_s = reading.cpu_us("gateway") / sockets / reading.wall_s
        of = f"{sockets:,} idle sockets for {reading.wall_s:.0f} s"
        self.found["connection_us_per_s"] = Cost(round(per_s, 4), of)
        for kind in ("api", "gateway", "push", "balancer", "redis", "postgres"):
            used = (before if kind == "gateway" else after)[kind] / max(1, reading.processes(kind))
            whole = used if kind in ("api", "gateway", "push") else used * max(1, reading.processes(kind))
            when = "before the sockets" if kind == "gateway" else "the end of the run"
            self.found[f"{kind}_bytes"] = Cost(round(whole), when)

    def heard(self, rate: float, unheard: float) -> None:
        """Post again, to sockets now. unheard: µs of a post for a gateway without them."""
        tally = self.suite.bridge.tally
        gevent.sleep(_REPORTED_S)
        before = tally.count("events"), tally.count("bytes")
        reading = self.repeat("posts to sockets", rate, self.post)
        gevent.sleep(_REPORTED_S)
        events_heard, size = tally.count("events") - before[0], tally.count("bytes") - before[1]
        if not events_heard:
            self.suite.break_off("no socket heard a post: the channels of the tokens file have no members in it")
            return
        posts = self.traffic["posts to sockets"].actions
        rest = reading.cpu_us("gateway") - posts * unheard * reading.processes("gateway")
        of = f"{posts:,} posts, {events_heard:,} deliveries"
        self.found["delivery_us"] = Cost(round(max(0.0, rest) / events_heard, 3), of)
        self.found["delivery_bytes"] = Cost(round(size / events_heard), of)

    def note(self, name: str, reading: Reading, kind: str, phase: str, each: int = 1) -> None:
        """Keep the CPU of a kind of process by what was done in a phase."""
        count = max(1, self.traffic[phase].actions)
        self.found[name] = Cost(round(reading.cpu_us(kind) / count / max(1, each), 2), f"{count:,} {phase}")

    def note_traffic(self, name: str, phase: str) -> None:
        """Keep the bytes of what was done in a phase."""
        traffic = self.traffic[phase]
        self.found[name] = Cost(round(traffic.bytes / max(1, traffic.actions)), f"{traffic.actions:,} {phase}")

    def write(self) -> None:
        """Write the file of costs; none if something failed, for then they are not those of what was asked."""
        if not self.suite.options.costs or self.suite.broken:
            return
        if failed := self.suite.environment.stats.total.num_failures:
            self.suite.break_off(f"{failed} requests failed, so no costs are written")
            return
        environment = self.suite.reporter.environment
        options = vars(self.suite.options)
        words = [f"--{name.replace('_', '-')} {options[name]:g}"
                 for name in ("phase", "sockets", "post_rate", "boot_rate", "open_rate")]  # fmt: skip
        measured = {
            "command": " ".join(["tidewire loadtest run costs", *words]),
            "revision": machine.revision(),
            "time": environment["time"],
            "machine": {key: value for key, value in environment["machine"].items() if key != "load_average"},
            "server": environment["server"],
        }
        costs = Costs(measured, {name: self.found[name] for name in WANTED})
        try:
            save_costs(Path(self.suite.options.costs), costs)
        except OSError as error:
            self.suite.break_off(f"{error.filename}: {error.strerror}")
            return
        self.suite.notes.append(f"costs: {self.suite.options.costs}")

    def figures(self, suite: Suite) -> Mapping[str, float]:
        """Return all costs."""
        return {name: cost.value for name, cost in self.found.items()}


course = Course()
Suite("costs", add_options=_add_options, prepare=course.prepare, figures=course.figures)
events.test_start.add_listener(course.start)
events.test_stop.add_listener(course.stop)


class Caller(FastHttpUser):
    """Does what is due, one thing after the other."""

    fixed_count = 1

    @task
    def work(self) -> None:
        """Do the next thing."""
        try:
            job = course.jobs.get(timeout=1)
        except gevent.queue.Empty:
            return
        try:
            job(self.client)
        finally:
            course.jobs.task_done()
