"""One socket as the gateway sees it, and the closes it may get. Data only: no I/O, no clock."""

import enum
from collections.abc import Iterator, Sequence

from hotpath import Seat, name_states
from tidewire.wire.ids import new_token

# Close codes. Source: RFC 6455 7.4.1; 1008 for what the server ends on purpose, 1013 for "come back".
NO_FRAME = 0  # TCP is closed without a close frame, as Mattermost does for a bad challenge
GOING_AWAY = 1001
UNDECODABLE = 1003
POLICY = 1008
TRY_AGAIN = 1013

# Frames that may wait while the session is looked up; a client sends a challenge, a ping and two or three more.
MAX_WAITING = 16


class State(enum.IntEnum):
    """Where a socket is.

    CHECKING → (UNKNOWN → CHECKING)* → JOINING → LIVE ⇄ JOINING (resync); LIVE → AWAY (no socket, collects for a
    resume) → LIVE; any → GONE.
    """

    CHECKING = 0  # its credential is being looked up; frames wait
    UNKNOWN = 1  # no credential yet: only a challenge is heard
    JOINING = 2  # session known, memberships are being loaded; frames wait
    LIVE = 3
    AWAY = 4
    GONE = 5


name_states(State)


# A slot of the gate with its user. remote: address, for caps and logs; bits: of hotpath; user_id, session_id,
# connection_id: "" until known; expires_at: of the session, Unix ms, 0 = never; seen_at: loop time of the adoption,
# later of the loss of the socket; allowance: actions it may send at once, refilled since allowance_at; greeted: a hello
# went out. None until needed: waiting: frames that came early; looks_at: what `presence` reported, see
# gateway/actions.py; welcome: seq of the request to be answered OK right behind hello.
Connection = Seat


def adopted(slot: int, remote: str, bits: int, now: float, allowance: float) -> Connection:
    """Return the connection of a socket that has just come."""
    connection = Connection(slot, remote, bits, now, allowance)
    connection.state = State.CHECKING
    return connection


def rename(connection: Connection, tag: str = "") -> None:
    """Give it a new connection id: clients take that as "refetch everything". tag: what the id begins with."""
    connection.connection_id = tag + new_token()[len(tag) :]


def views(connection: Connection, channel_id: str) -> bool:
    """Tell whether presence-filtered events of the channel are for it.

    Source: Mattermost API v4, action `presence`: dropped only if all three values were reported and none matches.
    """
    seen = connection.looks_at
    return seen is None or len(seen) < 3 or channel_id in seen.values()


class Seats:
    """Slot → connection: a list, for the gate hands out low numbers; 8 bytes a slot."""

    __slots__ = ("_count", "_seats")

    def __init__(self) -> None:
        self._seats: list[Connection | None] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, slot: int) -> Connection | None:
        """Return who has the slot, or None."""
        return self._seats[slot] if slot < len(self._seats) else None

    def __getitem__(self, slot: int) -> Connection:
        connection = self.get(slot)
        if connection is None:
            raise KeyError(slot)
        return connection

    def __setitem__(self, slot: int, connection: Connection) -> None:
        if slot >= len(self._seats):
            self._seats.extend([None] * (slot + 1 - len(self._seats)))
        self._count += self._seats[slot] is None
        self._seats[slot] = connection

    def __delitem__(self, slot: int) -> None:
        self[slot]
        self._seats[slot] = None
        self._count -= 1

    @property
    def row(self) -> Sequence[Connection | None]:
        """The connections by slot, to look at: asking for each by its slot costs three times as much."""
        return self._seats

    def values(self) -> Iterator[Connection]:
        """Go through the connections; slots may be taken and left meanwhile."""
        return (connection for connection in self._seats if connection is not None)
