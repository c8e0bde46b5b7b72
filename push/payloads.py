"""What phones and browsers receive: from a notification to each provider's JSON. Pure functions.

Source: mattermost-push-proxy, its mapping of each type; what its apps read is kept to the letter.
"""

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
_OPTIONAL = (  # in APNs' payload when they are not empty
    "ack_id",
    "channel_id",
    "team_id",
    "sender_id",
    "sender_name",
    "post_id",
    "root_id",
    "override_username",
    "override_icon_url",
    "from_webhook",
)


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
    return _fitted(payload, payload["aps"].get("alert"), payload["aps"], "alert", APNS_LIMIT_BYTES)


def _standard(body: Notification) -> dict[str, Any]:
    kind = body.type
    aps: dict[str, Any] = {}
    speaks = body.is_id_loaded or kind in _TEXT_TYPES
    if body.is_id_loaded:
        aps["alert"] = {"body": body.message}
    elif speaks:
        text = with_characters(body.message)
        titled = body.channel_name and body.version == "v2"
        aps["alert"] = {"title": body.channel_name, "body": text} if titled else text
    if kind == "clear" and body.badge == 0 and app_generation(body.platform) > 1:
        aps["badge"] = 1  # a zero would wipe other servers' notifications from the phone
    elif body.badge != KEEP_BADGE:
        aps["badge"] = body.badge
    if speaks:
        aps["sound"] = "default"
        if body.category:
            aps["category"] = body.category
        aps["mutable-content"] = 1
    if body.is_id_loaded or kind in ("message", "clear", "test"):
        aps["content-available"] = 1
    if body.channel_id:
        aps["thread-id"] = body.root_id if body.is_crt_enabled and body.root_id else body.channel_id
    payload: dict[str, Any] = {
        "aps": aps,
        "type": kind,
        "sub_type": body.sub_type,
        "server_id": body.server_id,
        "is_crt_enabled": body.is_crt_enabled,
        "signature": body.signature or UNSIGNED,
    }
    for name in _OPTIONAL:
        if value := getattr(body, name):
            payload[name] = value
    if speaks:
        payload["version"] = body.version
        if body.is_id_loaded:
            payload["id_loaded"] = True
        elif body.channel_name:
            payload["channel_name"] = body.channel_name
    return payload


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
    _fitted(data, data.get("message"), data, "message", FCM_LIMIT_BYTES)
    return _encode({"message": {"token": body.device_id, "android": {"priority": "high"}, "data": data}})


def webpush(job: Job, limit_bytes: int) -> bytes:
    """Return what a service worker receives: the notification without the device's own fields, cut until it fits."""
    payload: dict[str, Any] = msgspec.to_builtins(job.notification)
    for name in ("platform", "device_id", "sound", "cont_ava"):
        payload.pop(name, None)
    payload["badge"] = job.notification.badge
    return _fitted(payload, payload.get("message"), payload, "message", limit_bytes)


def _fitted(payload: Any, text: Any, holder: dict[str, Any], name: str, limit_bytes: int) -> bytes:
    """Return the payload's JSON; shortens holder[name], a text or an alert with one, by what is too much."""
    data = _encode(payload)
    while len(data) > limit_bytes:
        words = text["body"] if isinstance(text, dict) else text
        if not words:
            break
        # JSON may take more bytes for a character than UTF-8 does, never fewer: each round cuts enough or goes on.
        kept = len(words.encode(errors="replace")) - (len(data) - limit_bytes) - len("…".encode())
        words = cut(words, kept) + "…" if kept > 0 else ""
        if isinstance(text, dict):
            text["body"] = words
        else:
            text = holder[name] = words
        data = _encode(payload)
    return data
