"""Many WebSocket clients on one epoll set. They speak Mattermost's protocol, without TLS, over IPv4."""

from collections.abc import Iterable, Sequence
from typing import Any

class Crowd:
    """Clients numbered from 0, all calls from one thread.

    tokens: `count` of them, one for each client. targets: (name for `Host`, IPv4 address as a number, port), dealt in
    turn. path: of the upgrade. auth: "bearer", "cookie" or "challenge" (which cannot resume). first_number: number of
    the first client among those of all processes; it decides target and source address. watched: clients below this
    number are told one by one when they log in. sample_every: every so many clients look for marks in posts.
    in_flight: most attempts at once; the others wait and their time runs. ping_s: 0: never; a client whose ping is not
    answered before the next gives up. timeout_s: for a log-in. retry_s: after a failure or loss a client comes back so
    much later and asks to resume; 0: never. wake_fd: poll() returns True when it is readable.
    """

    def __init__(
        self,
        tokens: Iterable[bytes],
        count: int,
        targets: Sequence[tuple[str, int, int]],
        *,
        path: str,
        auth: str = "bearer",
        first_number: int = 0,
        watched: int = 0,
        sample_every: int = 1,
        in_flight: int = 1000,
        ping_s: float = 30.0,
        timeout_s: float = 30.0,
        retry_s: float = 0.0,
        wake_fd: int = -1,
    ) -> None: ...
    def connect(self, first: int, count: int, rate: float, *, resume: bool = False) -> None:
        """Let clients that have no socket connect, `rate` a second from now on. Replaces what was asked before."""
    def drop(self) -> int:
        """Close every socket without a close frame; return how many were logged in. They may resume."""
    def begin(self, number: int, *, resume: bool = False) -> None:
        """Let one client connect now, however many attempts are under way; nothing happens if it has a socket."""
    def cut(self, number: int) -> None:
        """Close one client's socket without a close frame. It may resume."""
    def say(self, number: int, action: bytes) -> bool:
        """Send an action, a JSON object of at least one member, with the next seq; False if the client has no
        connection or its socket is full."""
    def poll(self, timeout_ms: int) -> bool:
        """Begin what is due and serve what comes, sleeping at most so long (0 to 100); True if wake_fd is readable."""
    @property
    def connecting(self) -> int:
        """Attempts that wait or are under way; those that will be repeated do not count."""
    @property
    def open(self) -> int:
        """Clients that are logged in. Cost: linear."""
    @property
    def news(self) -> int:
        """Watched clients that have logged in since the last take()."""
    @property
    def bytes_per_connection(self) -> float:
        """Memory of a client without a partial frame, its token included."""
    def take(self) -> dict[str, Any]:
        """Return what happened since the last call; see wire.Report for the parts, histograms as tuples."""
