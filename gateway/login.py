"""What a WebSocket request says about itself: credential, connection to resume, address. Pure functions."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

from tidewire.wire.ids import is_id
from tidewire.wire.oauth import may_be_access_token

COOKIE = "MMAUTHTOKEN"
_DECIMAL = re.compile(r"[+-]?[0-9]+\Z")
Networks = Sequence[IPv4Network | IPv6Network]


class BadResume(Exception):
    """The request names a connection in a form that cannot be one: the socket is closed right after the 101."""


class Resume(NamedTuple):
    """A connection to take over, and the seq of the next event its client expects."""

    connection_id: str
    next_seq: int


def credential(headers: Mapping[str, str]) -> str:
    """Return the session token of a handshake, or "".

    Source: Mattermost API v4, in this order: cookie MMAUTHTOKEN, `Authorization: Bearer`, `Authorization: Token`.
    """
    for part in headers.get("Cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE and value:
            return value.strip('"')
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "token") else ""


def credential_of(headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    """Return the session token of a handshake, also one of its URL that can only be an OAuth session's, or ""."""
    token = credential(headers)
    given = query.get("access_token", "")
    return token or (given if may_be_access_token(given) else "")


def resume_of(query: Mapping[str, str]) -> Resume | None:
    """Return what the client wants to resume, None for a fresh connection.

    Source: Mattermost API v4, `connection_id` and `sequence_number`; a number that no connection can have reached
    (negative, above 2^63 − 1) makes a fresh connection. Raises: BadResume.
    """
    connection_id = query.get("connection_id", "")
    if not connection_id:
        return None
    number = query.get("sequence_number", "")
    if not is_id(connection_id) or not _DECIMAL.match(number):
        raise BadResume
    if len(number) > 20:
        return None
    next_seq = int(number)
    return Resume(connection_id, next_seq) if 0 <= next_seq < 1 << 63 else None


def address_of(peer: str, forwarded_for: str, trusted: Networks) -> str:
    """Return the client's address: the right-most hop that no trusted proxy stands for."""
    hop, hops = peer, forwarded_for.split(",")
    networks = tuple(trusted)
    while hops and _is_trusted(hop, networks):
        nearer = hops.pop().strip()
        if not nearer:
            break
        hop = nearer
    return hop


@lru_cache(maxsize=4096)  # parsing an address costs more than the rest of the handshake's look at it
def _is_trusted(address: str, trusted: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)
