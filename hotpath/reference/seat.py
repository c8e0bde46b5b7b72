"""What the event loop remembers of a connection and of a user, in plain Python: the twin of hotpath/seat.pyx."""

from collections.abc import Iterable
from typing import Any

ID_MAX = 26
_states: list[int] = list(range(256))


def _check(value: str) -> str:
    if len(value.encode("ascii")) > ID_MAX or "\0" in value:
        raise ValueError("not an id")
    return value


def name_states(states: Iterable[int]) -> None:
    """Say what `Seat.state` is."""
    _states[:] = states


class Seat:
    """Ids and numbers of one connection."""

    def __init__(self, slot: int, remote: str, bits: int, now: float, allowance: float) -> None:
        self.slot = slot
        self.remote = remote
        self.bits = bits
        self._state = 0
        self.user_id = ""
        self._session_id = self._connection_id = ""
        self.expires_at = 0
        self.seen_at = self.allowance_at = now
        self.allowance = allowance
        self.greeted = False
        self.waiting: list[tuple[bytes, bool]] | None = None
        self.looks_at: dict[str, str] | None = None
        self.welcome: int | None = None

    @property
    def state(self) -> Any:
        """Where it is."""
        return _states[self._state]

    @state.setter
    def state(self, value: int) -> None:
        self._state = int(value)

    @property
    def session_id(self) -> str:
        """The session it logged in with."""
        return self._session_id

    @session_id.setter
    def session_id(self, value: str) -> None:
        self._session_id = _check(value)

    @property
    def connection_id(self) -> str:
        """How clients name it."""
        return self._connection_id

    @connection_id.setter
    def connection_id(self, value: str) -> None:
        self._connection_id = _check(value)


class Owner:
    """A user with his seats."""

    def __init__(self, user_id: str, roles: str, keys: bytes, n: int) -> None:
        self.user_id, self.roles, self.keys, self.n = user_id, roles, keys, n
        self.connections: tuple[Seat, ...] = ()


class SeatTable:
    """Connection id → seat."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}

    def add(self, seat: Seat) -> None:
        """Put a seat in, in the place of one with the same id."""
        self._seats[seat.connection_id] = seat

    def discard(self, seat: Seat) -> None:
        """Take a seat out; nothing happens if it isn't there."""
        if self._seats.get(seat.connection_id) is seat:
            del self._seats[seat.connection_id]

    def get(self, connection_id: str) -> Seat | None:
        """Return who has this id, or None."""
        return self._seats.get(connection_id)

    def __getitem__(self, connection_id: str) -> Seat:
        return self._seats[connection_id]

    def __contains__(self, connection_id: str) -> bool:
        return connection_id in self._seats

    def __len__(self) -> int:
        return len(self._seats)
