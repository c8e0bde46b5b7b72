"""People's WebSockets: clients of the swarm, beside all others of a Locust process."""

from collections.abc import Callable

from loadtest.swarm.herd import Herd


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
