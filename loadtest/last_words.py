"""What workers still have to say when a run ends, and that the master waits for it.

Locust's master hears its workers for half a second after it told them to quit. Requests under way, receivers that a
suite hears out, and the last reports of the swarm take longer.
"""

import time
from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

_SPEAK, _SAID = "suite_speak", "suite_said"
_WAIT_S, _LOOK_S = 30.0, 0.05  # in turn: 3 s for requests, some 10 s for receivers, some seconds for the swarm


class LastWords:
    """Both sides of the end, in every process; without workers it does nothing. Make one at `init`.

    stop_swarm: returns after the swarm's last report.
    """

    def __init__(self, environment: Environment, stop_swarm: Callable[[], None]) -> None:
        self._environment, self._stop_swarm = environment, stop_swarm
        self._said: set[str] = set()  # the workers' ids
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            runner.register_message(_SAID, lambda msg, **_: self._said.add(msg.node_id))
            environment.events.test_start.add_listener(lambda **_: self._said.clear())
        if isinstance(runner, WorkerRunner):
            runner.register_message(_SPEAK, self._say, concurrent=True)
            environment.events.quitting.add_listener(self._say)  # who is stopped by a signal

    def wait(self) -> bool:
        """Ask the workers to end, hear them, and return; False if one has not said all in time."""
        runner = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return True
        runner.send_message(_SPEAK)
        deadline = time.monotonic() + _WAIT_S
        while any(one.id not in self._said and one.state != STATE_MISSING for one in runner.clients.all):
            if time.monotonic() > deadline:
                return False
            gevent.sleep(_LOOK_S)
        return True

    def _say(self, **_: Any) -> None:
        """Stop, and report what has not been reported."""
        runner = self._environment.runner
        assert isinstance(runner, WorkerRunner)
        runner.stop()
        self._stop_swarm()
        data: dict[str, Any] = {}
        self._environment.events.report_to_master.fire(client_id=runner.client_id, data=data)
        runner.send_message("stats", data)
        runner.send_message(_SAID)
