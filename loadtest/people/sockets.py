"""People's WebSockets: clients of the swarm, beside all others of a Locust process."""

from collections.abc import Callable

from loadtest.swarm.herd import Herd
from loadtest.swarm.wire import Report


class SwarmSockets:
    """Sockets of a swarm whose clients are all watched. herd: called for each command, as a run may begin anew."""

    def __init__(self, herd: Callable[[], Herd | None]) -> None:
        self._herd = herd

    def open(self, number: int, *, resume: bool) -> None:
        """Let one connect."""
        if herd := self._herd():
            herd.open(number, resume=resume)

    def cut(self, number: int) -> None:
        """Close one without a word."""
        if herd := self._herd():
            herd.cut(number)

    def say(self, number: int, action: str, **data: object) -> None:
        """Send an action, if it is logged in."""
        if herd := self._herd():
            herd.say(number, action, **data)


def opened(report: Report) -> dict[int, bool]:
    """Return who has logged in according to a report: number → whether by a resume."""
    return {number: resumed for number, _, _, resumed in report.opened}
