"""One socket as the gateway sees it, and the closes it may get. Data only: no I/O, no clock."""

import enum

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


class Connection:
    """A slot of the gate with its user; ~300 bytes."""

    __slots__ = (
        "allowance",
        "allowance_at",
        "bits",
        "connection_id",
        "expires_at",
        "greeted",
        "looks_at",
        "remote",
        "seen_at",
        "session_id",
        "slot",
        "state",
        "user_id",
        "waiting",
        "welcome",
    )

    def __init__(self, slot: int, remote: str, bits: int, now: float, allowance: float) -> None:
        self.slot = slot
        self.remote = remote  # address, for caps and logs
        self.bits = bits
        self.state = State.CHECKING
        self.user_id = ""
        self.session_id = ""
        self.expires_at = 0  # of the session, Unix ms; 0 = never
        self.connection_id = ""
        self.seen_at = now  # loop time of the adoption, later of the loss of the socket
        self.allowance = allowance  # actions it may send at once, refilled over time
        self.allowance_at = now
        self.waiting: list[tuple[bytes, bool]] = []
        self.looks_at: dict[str, str] = {}  # what `presence` reported, see gateway/actions.py
        self.welcome: list[int] = []  # seq of requests to be answered OK right behind hello
        self.greeted = False  # a hello went out

    def rename(self, tag: str = "") -> None:
        """Give it a new connection id: clients take that as "refetch everything". tag: what the id begins with."""
        self.connection_id = tag + new_token()[len(tag) :]

    def views(self, channel_id: str) -> bool:
        """Tell whether presence-filtered events of the channel are for it.

        Source: Mattermost API v4, action `presence`: dropped only if all three values were reported and none matches.
        """
        seen = self.looks_at
        return len(seen) < 3 or channel_id in seen.values()
