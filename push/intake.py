"""What callers of the push proxy send: read as the reference reads it, checked in its order. Pure functions.

Source: mattermost-push-proxy, which decodes by Go's rules: the body's first JSON value; unknown keys ignored; keys
matched whatever their case; a null leaves a member as it is; a wrong type is an error.
"""

import json
from typing import TypeVar

import msgspec

from push.payloads import cut
from tidewire.wire.push import Notification

MESSAGE_BYTES, MESSAGE_CUT = 2047, 2046
NAME_BYTES = 64
_INT = 1 << 63
FIELD_BYTES = 4_096  # of any other text; the longest in use, FCM's tokens, are below 300
_S = TypeVar("_S", bound=msgspec.Struct)


class _Pairs(list[tuple[str, object]]):
    """An object's members in their order."""


class Refused(Exception):
    """The contract's FAIL, with its text."""


class _Strict(Notification, forbid_unknown_fields=True):
    """The quick way: what Mattermost's server sends has no other keys."""


class Ack(msgspec.Struct, kw_only=True):
    """The body of /api/v1/ack."""

    id: str = ""
    received_at: int = 0
    platform: str = ""
    type: str = ""
    post_id: str = ""
    is_id_loaded: bool = False


_strict = msgspec.json.Decoder(_Strict).decode


def read_push(body: bytes) -> Notification:
    """Return a push with its texts cut to the contract's sizes. Raises: Refused."""
    try:
        push: Notification = _strict(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        push = _as_go(body, Notification, "message")
    if not (-_INT <= push.badge < _INT and -_INT <= push.cont_ava < _INT):
        raise Refused("Failed to read message body: number does not fit into an int")
    if not push.server_id:
        raise Refused("Failed because of missing server Id")
    if not push.device_id:
        raise Refused(f"Failed because of missing device Id serverId={push.server_id[:64]}")
    if len(push.message) > MESSAGE_BYTES // 4 and len(push.message.encode(errors="replace")) > MESSAGE_BYTES:
        push.message = cut(push.message, MESSAGE_CUT)
    if len(push.channel_name) > NAME_BYTES // 4:
        push.channel_name = cut(push.channel_name, NAME_BYTES)
    if len(body) > FIELD_BYTES:
        for name in Notification.__struct_fields__:
            value = getattr(push, name)
            if name != "message" and isinstance(value, str) and len(value) > FIELD_BYTES:
                raise Refused(f"Failed to read message body: {name} is too long")
    return push


def read_ack(body: bytes) -> Ack:
    """Return an acknowledgement. Raises: Refused."""
    ack = _as_go(body, Ack, "ack")
    for name, words in (("id", "Id"), ("platform", "platform"), ("type", "type")):
        if not getattr(ack, name):
            raise Refused(f"Failed because of missing ack {words}")
    return ack


def _as_go(body: bytes, kind: type[_S], what: str) -> _S:
    text = body.decode(errors="replace").lstrip(" \t\r\n")
    try:
        plain, _ = _decoder.raw_decode(text)
        if plain is None:
            return kind()
        if not isinstance(plain, _Pairs):
            raise ValueError("cannot unmarshal into an object")
        names = set(kind.__struct_fields__)
        # The pairs as they came: of keys that differ in case only, the last one wins.
        known = {
            key.lower(): _whole(value) for key, value in plain if key.lower() in names and value is not None
        }
        return msgspec.convert(known, kind)
    except (ValueError, RecursionError, TypeError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise Refused(f"Failed to read {what} body: {reason}") from error


def _whole(value: object) -> object:
    """Return a text without halves of characters, which no other program takes."""
    return (
        value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if isinstance(value, str)
        else value
    )


def _number(text: str) -> int:
    if len(text) > 20 or not -_INT <= int(text) < _INT:
        raise ValueError("number does not fit into an int")
    return int(text)


def _constant(name: str) -> None:
    raise ValueError(f"invalid value {name}")


_decoder = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_number, parse_constant=_constant)
