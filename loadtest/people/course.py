"""How a run of simulated people goes: they take their places, their sockets open in the swarm, each lives.

A suite of people imports `course` and `Somebody`; see course.py and soak.py.
"""

import itertools
import random
import time
from collections.abc import Mapping
from typing import Any

import gevent
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.runners import MasterRunner, WorkerRunner

from loadtest import history
from loadtest.people.behaviour import Context, choose, pause_s
from loadtest.people.client import Client, Failed, Routes
from loadtest.people.memory import Memory
from loadtest.people.sockets import SwarmSockets
from loadtest.people.tls_sockets import TlsSockets
from loadtest.suite import Suite
from loadtest.swarm.herd import CannotRun, Plan, raise_limit, split
from loadtest.swarm.wire import Report

_BACK_S = 30.0  # patience for a socket that should open
_LOOK_S = 0.1
_RETRY_S = 3.0  # web and mobile clients come back so long after a failure


def add_options(parser: LocustArgumentParser) -> None:
    """Add the flags of people."""
    parser.add_argument("--pace", type=float, default=1.0, help="so much faster than people are; 2: twice the actions")
    parser.add_argument("--seed", type=int, default=0, help="another number deals other actions")


class Course:
    """The course of a run. memories: by the numbers of the people of this process."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.memories: dict[int, Memory] = {}
        self.texts: list[str] = []
        self.sockets: SwarmSockets | TlsSockets = SwarmSockets(lambda: self.suite.bridge.herd)
        self.routes = Routes(self.note_missing)

    def prepare(self, suite: Suite) -> None:
        """Read the flags."""
        self.suite, options = suite, suite.options
        if options.pace <= 0:
            raise CannotRun("--pace is above 0")
        split(self.most(), raise_limit())
        self.texts = history.messages(options.seed)
        suite.bridge.on_report = self.on_report
        events.test_start.add_listener(self.start)
        events.test_stop.add_listener(self.stop)

    def most(self) -> int:
        """Return how many sockets there may be: with the page more users may be asked for than at first."""
        return max(int(self.suite.options.num_users or 1), len(self.suite.people))

    def start(self, **_: Any) -> None:
        """Let the swarm wait for its clients; in a process of its own in each worker."""
        if isinstance(self.suite.environment.runner, MasterRunner):
            return
        count, suite = self.most(), self.suite
        self.memories.clear()
        if not suite.hosts:
            self.start_tls(count)
            return
        try:
            herd = suite.bridge.start(Plan(suite.tokens, count, suite.hosts, watched=count, retry_s=_RETRY_S))
        except CannotRun as error:
            suite.break_off(str(error))
            return
        self.numbers = itertools.count(herd.plan.first)

    def start_tls(self, count: int) -> None:
        """Let sockets be opened by this process itself."""
        runner, suite = self.suite.environment.runner, self.suite
        workers = max(1, int(getattr(suite.options, "expect_workers", 1) or 1))
        index = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        self.numbers = itertools.count(index * (count // workers))
        url = "wss" + suite.host.removeprefix("https") + "/api/v4/websocket"
        self.sockets = TlsSockets(url, lambda number: self.memories[number].person.token, suite.bridge.accept)
        self.suite.note(f"sockets by {url}, in Locust's own process, whose share of a core is swarm_busiest_share")

    def stop(self, **_: Any) -> None:
        """End the sockets."""
        if isinstance(self.sockets, TlsSockets):
            gevent.spawn(self.sockets.stop)
        gevent.spawn(self.suite.bridge.stop)

    def on_report(self, report: Report) -> None:
        """Tell those who have logged in."""
        for number, _, _, _ in report.opened:
            if memory := self.memories.get(number):
                memory.online = True

    def note_missing(self, name: str) -> None:
        """Say in the report what is left out."""
        self.suite.note(f"left out, for the server answers 501: {name}")

    def figures(self, suite: Suite) -> Mapping[str, float]:
        """Return what there was."""
        tally = suite.bridge.tally
        return {
            "sockets": tally.most_open,
            "deliveries": tally.times["delivery"].count if tally.times else 0,
            "sockets_lost": tally.count("lost"),
        }


course = Course()


class Somebody(FastHttpUser):
    """One person."""

    def on_start(self) -> None:
        """Take a place in the file, load the app, and begin somewhere within the first pause."""
        number = next(course.numbers)
        person = course.suite.people[number % len(course.suite.people)]
        self.memory = course.memories[number] = Memory(person, number, person.channel_id)
        self.rng = random.Random(f"{course.suite.options.seed} {number}")  # noqa: S311 - makes load, guards nothing
        self.app = Client(self.client, self.memory, course.sockets, course.routes, gevent.sleep)
        self.about = Context(self.rng, course.texts, self.back)
        self.pace = course.suite.options.pace
        self.act("boot", time.time(), self.app.boot)
        self.due = time.time() + self.rng.random() * pause_s(self.rng) / self.pace

    def on_stop(self) -> None:
        """Close the WebSocket with the window."""
        course.sockets.cut(self.memory.number)
        self.memory.online = False

    @task
    def live(self) -> None:
        """Do the next thing when it is due, or at once if that has passed."""
        time.sleep(max(0.0, self.due - time.time()))  # Locust makes it yield
        due, self.due = self.due, self.due + pause_s(self.rng) / self.pace
        action = choose(self.app, self.rng)
        self.act(action.name, due, lambda: action.run(self.app, self.about))
        self.due += self.app.waited  # who was away on purpose is not late

    def act(self, name: str, due: float, run: Any) -> None:
        """Do something that was due at a time, and count it with all its calls, but without deliberate waits."""
        self.app.due(due)
        self.app.waited = 0.0
        error: Exception | None = None
        try:
            run()
        except Failed:
            error = Failed("a call of it failed")
        self.environment.events.request.fire(
            request_type="action", name=name, response_time=(time.time() - due - self.app.waited) * 1000,
            response_length=0, exception=error, context={},
        )  # fmt: skip

    def back(self) -> bool:
        """Wait until the WebSocket is open again."""
        with gevent.Timeout(_BACK_S, False):
            while not self.memory.online:
                gevent.sleep(_LOOK_S)
        return self.memory.online
