"""What phones and browsers receive: from a notification to each provider's JSON. Pure functions.

Source: mattermost-push-proxy, its mapping of each type; what its apps read is kept to the letter.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import msgspec

from push.emoji import with_characters
from tidewire.wire.push import KEEP_BADGE, Job, Notification

APNS_LIMIT_BYTES = 4096  # Apple: a larger payload is refused
VOIP_LIMIT_BYTES = 5120
FCM_LIMIT_BYTES = 4096  # of `data`
UNSIGNED = "NO_SIGNATURE"

_encode = msgspec.json.Encoder().encode
_TEXT_TYPES = frozenset({"message", "session"})
_HEARD_TYPES = frozenset({"message", "clear", "test"})  # the app is woken


class _Alert(msgspec.Struct, omit_defaults=True):
    body: str
    title: str = ""


class _Aps(msgspec.Struct, omit_defaults=True, rename="kebab"):
    alert: _Alert | str | None = None
    badge: int = KEEP_BADGE
    sound: str = ""
    category: str = ""
    mutable_content: int = 0
    content_available: int = 0
    thread_id: str = ""


class _Apple(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Apple's JSON. Members without a default are always in it, the others when they are not empty."""

    aps: _Aps
    type: str
    sub_type: str
    server_id: str
    is_crt_enabled: bool
    signature: str
    ack_id: str = ""
    channel_id: str = ""
    team_id: str = ""
    sender_id: str = ""
    sender_name: str = ""
    post_id: str = ""
    root_id: str = ""
    override_username: str = ""
    override_icon_url: str = ""
    from_webhook: str = ""
    version: str | msgspec.UnsetType = msgspec.UNSET
    id_loaded: bool = False
    channel_name: str = ""


@lru_cache(256)
def app_generation(platform: str) -> int:
    """Return the N of `apple_rn-vN`; 1 without it, or if it is no number."""
    _, mark, number = platform.partition("-v")
    return int(number) if mark and number.isascii() and number.isdecimal() and len(number) < 10 else 1


def cut(text: str, limit_bytes: int) -> str:
    """Return as many whole characters of a text as fit."""
    data = text.encode(errors="replace")
    return text if len(data) <= limit_bytes else data[:limit_bytes].decode(errors="ignore")


def apns(job: Job) -> bytes:
    """Return Apple's JSON, with the text cut until it fits; larger than the limit only if it cannot fit."""
    body = job.notification
    if body.transport == "voip":
        return _encode(_voip(body))
    payload = _standard(body)
    alert = payload.aps.alert
    if isinstance(alert, _Alert):
        return _fitted(payload, alert.body, partial(setattr, alert, "body"), APNS_LIMIT_BYTES)
    return _fitted(payload, alert or "", partial(setattr, payload.aps, "alert"), APNS_LIMIT_BYTES)


def _standard(body: Notification) -> _Apple:
    speaks = body.is_id_loaded or body.type in _TEXT_TYPES
    payload = _Apple(
        aps=_aps(body, speaks),
        type=body.type,
        sub_type=body.sub_type,
        server_id=body.server_id,
        is_crt_enabled=body.is_crt_enabled,
        signature=body.signature or UNSIGNED,
        ack_id=body.ack_id,
        channel_id=body.channel_id,
        team_id=body.team_id,
        sender_id=body.sender_id,
        sender_name=body.sender_name,
        post_id=body.post_id,
        root_id=body.root_id,
        override_username=body.override_username,
        override_icon_url=body.override_icon_url,
        from_webhook=body.from_webhook,
    )
    if speaks:
        payload.version = body.version
        payload.id_loaded = body.is_id_loaded
        if not body.is_id_loaded:
            payload.channel_name = body.channel_name
    return payload


def _aps(body: Notification, speaks: bool) -> _Aps:
    aps = _Aps(badge=body.badge)
    if body.type == "clear" and body.badge == 0 and app_generation(body.platform) > 1:
        aps.badge = 1  # a zero would wipe other servers' notifications from the phone
    if body.is_id_loaded:
        aps.alert = _Alert(body.message)
    elif speaks:
        text = with_characters(body.message)
        titled = body.channel_name and body.version == "v2"
        aps.alert = _Alert(text, body.channel_name) if titled else text
    if speaks:
        aps.sound = "default"
        aps.category = body.category
        aps.mutable_content = 1
    if body.is_id_loaded or body.type in _HEARD_TYPES:
        aps.content_available = 1
    if body.channel_id:
        aps.thread_id = body.root_id if body.is_crt_enabled and body.root_id else body.channel_id
    return aps


def _voip(body: Notification) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "aps": {"content-available": 1},
        "type": body.type,
        "sub_type": body.sub_type,
        "channel_id": body.channel_id,
        "server_id": body.server_id,
        "post_id": body.post_id,
        "thread_id": body.root_id,
        "sender_id": body.sender_id,
        "id_loaded": body.is_id_loaded,
        "signature": body.signature or UNSIGNED,
    }
    for name in ("sender_name", "channel_name", "ack_id"):
        if value := getattr(body, name):
            payload[name] = value
    return payload


def fcm(job: Job) -> bytes:
    """Return the body of messages:send, with the text cut until it fits; larger only if it cannot fit."""
    body = job.notification
    data: dict[str, str] = {
        "ack_id": body.ack_id,
        "type": body.type,
        "sub_type": body.sub_type,
        "version": body.version,
        "channel_id": body.channel_id,
        "is_crt_enabled": "true" if body.is_crt_enabled else "false",
        "server_id": body.server_id,
        "category": body.category,
        "signature": body.signature or UNSIGNED,
    }
    if body.badge != KEEP_BADGE:
        data["badge"] = str(body.badge)
    if body.root_id:
        data["root_id"] = body.root_id
    if body.is_id_loaded:
        data |= {
            "post_id": body.post_id,
            "message": body.message,
            "id_loaded": "true",
            "sender_id": body.sender_id,
            "sender_name": "Someone",
            "team_id": body.team_id,
        }
    elif body.type in _TEXT_TYPES:
        data |= {
            "team_id": body.team_id,
            "sender_id": body.sender_id,
            "sender_name": body.sender_name,
            "message": with_characters(body.message),
            "channel_name": body.channel_name,
            "post_id": body.post_id,
            "override_username": body.override_username,
            "override_icon_url": body.override_icon_url,
            "from_webhook": body.from_webhook,
        }
    _fitted(data, data.get("message", ""), partial(data.__setitem__, "message"), FCM_LIMIT_BYTES)
    return _encode({"message": {"token": body.device_id, "android": {"priority": "high"}, "data": data}})


def webpush(job: Job, limit_bytes: int) -> bytes:
    """Return what a service worker receives: the notification without the device's own fields, cut until it fits."""
    payload: dict[str, Any] = msgspec.to_builtins(job.notification)
    for name in ("platform", "device_id", "sound", "cont_ava"):
        payload.pop(name, None)
    payload["badge"] = job.notification.badge
    return _fitted(payload, payload.get("message", ""), partial(payload.__setitem__, "message"), limit_bytes)


def _fitted(payload: Any, words: str, put: Callable[[str], None], limit_bytes: int) -> bytes:
    """Return the payload's JSON; shortens its text by what is too much. words: that text; put: changes it."""
    data = _encode(payload)
    while len(data) > limit_bytes and words:
        # JSON may take more bytes for a character than UTF-8 does, never fewer: each round cuts enough or goes on.
        kept = len(words.encode(errors="replace")) - (len(data) - limit_bytes) - len("…".encode())
        words = cut(words, kept) + "…" if kept > 0 else ""
        put(words)
        data = _encode(payload)
    return data
