"""One body for receivers who may know different things: what all get, and pieces for those who can read a channel.

Whoever announces decides what depends on which channel, and encodes it; a gateway only puts bytes together, once for
all receivers who can read the same of these channels. Who reads no part of this gets the body that all get.
"""

from collections.abc import Sequence

import msgspec

_OPEN = b"{["


class ChannelReaders(msgspec.Struct, frozen=True, array_like=True):
    """Who can read a channel: its members, system admins, and if team_id is given the team's members but for guests.

    n, team_n: numbers that the keys of both must have reached here before it is known who is a member.
    """

    channel_id: str
    n: int
    team_id: str = ""
    team_n: int = 0


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """Bytes that stand in the body at `at` for who can read one of the channels, named by their bits in `readers`.

    item: a comma goes before it, unless it is the first in its object or list.
    """

    at: int
    text: bytes
    readers: int
    item: bool = True


class Variants(msgspec.Struct, frozen=True, array_like=True):
    """What a copy's body has for some. channels: bit i stands for the readers of the i-th; pieces: in their order."""

    channels: list[ChannelReaders]
    pieces: list[Piece]


def body_for(body: bytes, pieces: Sequence[Piece], bits: int) -> bytes:
    """Return the body of a receiver who can read the channels of these bits."""
    parts: list[bytes] = []
    at = 0
    for piece in pieces:
        if not piece.readers & bits:
            continue
        if piece.at > at:
            parts.append(body[at : piece.at])
            at = piece.at
        if piece.item and parts[-1][-1] not in _OPEN:
            parts.append(b",")
        parts.append(piece.text)
    parts.append(body[at:])
    return b"".join(parts)
