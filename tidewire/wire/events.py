"""Events: their names and their bytes. Pure functions; who receives them is said in the bus envelope.

An event is encoded once as a shared prefix, `{"event":…,"broadcast":{…},"data":{…`, open at its end: the fan-out
closes it for each receiver with `},"seq":N}`, after the members that differ (`mentions`, `followers`, `should_ack`).
"""

from functools import lru_cache
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class Broadcast(msgspec.Struct):
    """The event's `broadcast` member, which clients read. Source: Mattermost API v4, WebSocket events."""

    omit_users: dict[str, bool] | None = None
    user_id: str = ""
    channel_id: str = ""
    team_id: str = ""
    connection_id: str = ""
    omit_connection_id: str = ""


class _Sanitized(Broadcast, omit_defaults=False):
    contains_sanitized_data: bool = True


class _Sensitive(Broadcast, omit_defaults=False):
    contains_sensitive_data: bool = True


def encode_prefix(
    event: str,
    data: dict[str, Any],
    *,
    user_id: str = "",
    channel_id: str = "",
    team_id: str = "",
    omit_users: list[str] | None = None,
    connection_id: str = "",
    omit_connection_id: str = "",
    sanitized: bool = False,
    sensitive: bool = False,
) -> bytes:
    """Return the event's shared bytes, without the brace that closes `data`.

    data: members common to all receivers; values may be structs. Nested JSON strings are the caller's (`as_text`).
    """
    kind = _Sanitized if sanitized else _Sensitive if sensitive else Broadcast
    omit = dict.fromkeys(omit_users, True) if omit_users else None
    broadcast = kind(omit, user_id, channel_id, team_id, connection_id, omit_connection_id)
    return b'{"event":"%b","broadcast":%b,"data":%b' % (
        event.encode(),
        _encode(broadcast),
        _encode(data)[:-1],
    )


def channel_prefix(event: str, data: dict[str, Any], channel_id: str) -> bytes:
    """Return the same as encode_prefix for an event whose broadcast names a channel only."""
    return _channel_head(event, channel_id) + _encode(data)[:-1]


@lru_cache(maxsize=4096)  # some 1 MB
def _channel_head(event: str, channel_id: str) -> bytes:
    return encode_prefix(event, {}, channel_id=channel_id)[:-1]


def as_text(value: Any) -> str:
    """Return value as JSON inside a string, the form of `post`, `channelMember`, … in events."""
    return _encode(value).decode()
