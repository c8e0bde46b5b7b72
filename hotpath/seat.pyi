"""What the event loop remembers of a connection and of a user: small objects with the ids inside them."""

from collections.abc import Iterable
from typing import Any, final

def name_states(states: Iterable[int]) -> None:
    """Say what `Seat.state` is: the members of an enumeration that counts from 0, instead of plain numbers."""

@final
class Seat:
    """Ids and numbers of one connection; `waiting`, `looks_at` and `welcome` take room only while they are not None.

    Ids are at most 26 ASCII characters without NUL; a longer one raises ValueError. Members as gateway.connection
    describes them.
    """

    slot: int
    remote: str
    bits: int
    state: Any
    user_id: str
    session_id: str
    connection_id: str
    expires_at: int
    seen_at: float
    allowance: float  # 24 bits of it
    allowance_at: float
    greeted: bool
    waiting: list[tuple[bytes, bool]] | None
    looks_at: dict[str, str] | None
    welcome: int | None

    def __init__(self, slot: int, remote: str, bits: int, now: float, allowance: float) -> None: ...

@final
class Owner:
    """A user with his seats; one alone needs no tuple. Members as gateway.hub describes them."""

    keys: bytes
    roles: str
    n: int
    connections: tuple[Seat, ...]

    def __init__(self, user_id: str, roles: str, keys: bytes, n: int) -> None: ...
    @property
    def user_id(self) -> str: ...

@final
class SeatTable:
    """Connection id → seat. An id must not change while its seat is in the table."""

    def add(self, seat: Seat) -> None:
        """Put a seat in, in the place of one with the same id."""
    def discard(self, seat: Seat) -> None:
        """Take a seat out; nothing happens if it isn't there."""
    def get(self, connection_id: str) -> Seat | None:
        """Return who has this id, or None."""
    def __getitem__(self, connection_id: str) -> Seat: ...
    def __contains__(self, connection_id: str) -> bool: ...
    def __len__(self) -> int: ...
