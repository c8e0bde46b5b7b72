"""Each row of the mapping tables: what phones and browsers receive."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from push import payloads
from push.emoji import with_characters
from tidewire.wire.push import Job, Notification, Subscription, new_job

BASE: dict[str, Any] = {
    "ack_id": "ack",
    "platform": "apple_rn-v2",
    "server_id": "srv",
    "device_id": "dev",
    "channel_id": "chan",
    "channel_name": "Town",
    "message": "hi :smile: <b>",
    "version": "v2",
    "badge": 3,
    "category": "CAN_REPLY",
    "type": "message",
}


def job(**fields: Any) -> Job:
    return new_job(Notification(**{**BASE, **fields}), provider="apns")


def apple(**fields: Any) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(payloads.apns(job(**fields)))
    return payload


def google(**fields: Any) -> dict[str, str]:
    data: dict[str, str] = json.loads(payloads.fcm(job(**fields)))["message"]["data"]
    return data


ALERT = {"title": "Town", "body": "hi 😄  <b>"}
SPEAKS = {"sound": "default", "category": "CAN_REPLY", "mutable-content": 1}


@pytest.mark.parametrize(
    ("fields", "aps"),
    [
        ({"type": "message"}, {"alert": ALERT, "badge": 3, **SPEAKS, "content-available": 1}),
        ({"type": "session"}, {"alert": ALERT, "badge": 3, **SPEAKS}),
        ({"type": "clear"}, {"badge": 3, "content-available": 1}),
        ({"type": "test", "badge": -1}, {"content-available": 1}),
        ({"type": "update_badge"}, {"badge": 3}),
        ({"type": "unheard"}, {"badge": 3}),
        (
            {"type": "clear", "is_id_loaded": True},
            {"alert": {"body": "hi :smile: <b>"}, "badge": 3, **SPEAKS, "content-available": 1},
        ),
        (
            {"type": "message", "version": "2"},
            {"alert": ALERT["body"], "badge": 3, **SPEAKS, "content-available": 1},
        ),
        (
            {"type": "message", "channel_name": ""},
            {"alert": ALERT["body"], "badge": 3, **SPEAKS, "content-available": 1},
        ),
        (
            {"type": "message", "category": ""},
            {"alert": ALERT, "badge": 3, "sound": "default", "mutable-content": 1, "content-available": 1},
        ),
        ({"type": "clear", "badge": 0}, {"badge": 1, "content-available": 1}),
        ({"type": "clear", "badge": 0, "platform": "apple_rn"}, {"badge": 0, "content-available": 1}),
        ({"type": "clear", "badge": 0, "platform": "apple_rn-vx"}, {"badge": 0, "content-available": 1}),
        ({"type": "update_badge", "badge": 0}, {"badge": 0}),
        ({"type": "update_badge", "badge": -1}, {}),
    ],
)
def test_aps(fields: dict[str, Any], aps: dict[str, Any]) -> None:
    assert apple(**fields)["aps"] == {**aps, "thread-id": "chan"}


@pytest.mark.parametrize(
    ("fields", "thread"),
    [
        ({"channel_id": ""}, None),
        ({"root_id": "root"}, "chan"),
        ({"root_id": "root", "is_crt_enabled": True}, "root"),
        ({"is_crt_enabled": True}, "chan"),
    ],
)
def test_thread_id(fields: dict[str, Any], thread: str | None) -> None:
    assert apple(**fields)["aps"].get("thread-id") == thread


def test_apples_other_keys() -> None:
    always = {
        "type": "clear",
        "sub_type": "",
        "server_id": "s",
        "is_crt_enabled": False,
        "signature": "NO_SIGNATURE",
    }
    bare = Notification(platform="apple", server_id="s", device_id="d", type="clear", badge=-1)
    assert json.loads(payloads.apns(new_job(bare, provider="apns"))) == {
        "aps": {"content-available": 1},
        **always,
    }
    optional = (
        "team_id",
        "sender_id",
        "sender_name",
        "post_id",
        "root_id",
        "override_username",
        "override_icon_url",
    )
    payload = apple(
        signature="sig", sub_type="calls", from_webhook="true", **{name: name for name in optional}
    )
    assert (
        payload["signature"] == "sig" and payload["sub_type"] == "calls" and payload["from_webhook"] == "true"
    )
    assert all(payload[name] == name for name in optional)
    assert payload["version"] == "v2" and payload["channel_name"] == "Town" and "id_loaded" not in payload
    loaded = apple(is_id_loaded=True)
    assert loaded["id_loaded"] is True and "channel_name" not in loaded and loaded["version"] == "v2"
    assert "version" not in apple(type="clear") and "channel_name" not in apple(type="clear")


def test_voip() -> None:
    payload = apple(
        transport="voip", sub_type="calls", root_id="root", post_id="p", sender_id="s", sender_name=""
    )
    assert payload == {
        "aps": {"content-available": 1},
        "type": "message",
        "sub_type": "calls",
        "channel_id": "chan",
        "server_id": "srv",
        "post_id": "p",
        "thread_id": "root",
        "sender_id": "s",
        "id_loaded": False,
        "signature": "NO_SIGNATURE",
        "channel_name": "Town",
        "ack_id": "ack",
    }


COMMON = {
    "ack_id": "ack",
    "sub_type": "",
    "version": "v2",
    "channel_id": "chan",
    "is_crt_enabled": "false",
    "server_id": "srv",
    "category": "CAN_REPLY",
    "signature": "NO_SIGNATURE",
    "badge": "3",
}
SPOKEN = dict.fromkeys(
    (
        "team_id",
        "sender_id",
        "sender_name",
        "post_id",
        "override_username",
        "override_icon_url",
        "from_webhook",
    ),
    "",
)


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        (
            {"type": "message"},
            {**COMMON, **SPOKEN, "type": "message", "message": ALERT["body"], "channel_name": "Town"},
        ),
        (
            {"type": "session"},
            {**COMMON, **SPOKEN, "type": "session", "message": ALERT["body"], "channel_name": "Town"},
        ),
        ({"type": "clear"}, {**COMMON, "type": "clear"}),
        ({"type": "update_badge", "badge": 0}, {**COMMON, "type": "update_badge", "badge": "0"}),
        ({"type": "test", "root_id": "r"}, {**COMMON, "type": "test", "root_id": "r"}),
        ({"type": "clear", "is_crt_enabled": True}, {**COMMON, "type": "clear", "is_crt_enabled": "true"}),
        (
            {"type": "message", "is_id_loaded": True},
            {
                **COMMON,
                "type": "message",
                "post_id": "",
                "message": "hi :smile: <b>",
                "id_loaded": "true",
                "sender_id": "",
                "sender_name": "Someone",
                "team_id": "",
            },
        ),
    ],
)
def test_google(fields: dict[str, Any], data: dict[str, str]) -> None:
    assert google(**fields) == data
    message = json.loads(payloads.fcm(job(**fields)))["message"]
    assert message["token"] == "dev" and message["android"] == {"priority": "high"}
    assert "notification" not in message


def test_google_leaves_a_badge_alone() -> None:
    assert "badge" not in google(badge=-1)


def test_browsers_get_the_notification_without_what_is_the_devices() -> None:
    subscription = Subscription(endpoint="https://push.example.org/x", p256dh="", auth="")
    body = new_job(Notification(**BASE, sound="x"), provider="webpush", subscription=subscription)
    payload = json.loads(payloads.webpush(body, 3993))
    expected = {name: value for name, value in BASE.items() if name not in ("platform", "device_id")}
    assert payload == expected


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


@given(text=TEXT, name=st.text(st.characters(exclude_categories=["Cs"]), max_size=64), loaded=st.booleans())
def test_what_is_too_large_loses_its_end(text: str, name: str, loaded: bool) -> None:
    fields = {"message": text, "channel_name": name, "is_id_loaded": loaded}
    assert len(payloads.apns(job(**fields))) <= payloads.APNS_LIMIT_BYTES
    assert len(json.dumps(google(**fields), ensure_ascii=False, separators=(",", ":")).encode()) <= 4096
    body = new_job(Notification(**{**BASE, **fields}), provider="webpush")
    assert len(payloads.webpush(body, 1000)) <= 1000
    alert = apple(**fields)["aps"]["alert"]
    shown = alert["body"] if isinstance(alert, dict) else alert
    whole = text if loaded else with_characters(text)
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1])) or not shown


def test_what_cannot_fit_stays_too_large() -> None:
    assert len(payloads.apns(job(signature="x" * 5000))) > payloads.APNS_LIMIT_BYTES


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no names", "no names"),
        (":smile:", "😄 "),
        ("a:smile:b", "a😄 b"),
        (":+1::-1:", "👍 👎 "),
        (":flag-de: :flag-us:", "🇩🇪 🇺🇸"),
        (":Smile: :nope: 10:30", ":Smile: :nope: 10:30"),
        (": smile:", ": smile:"),
        ("::smile:", ":😄 "),
    ],
)
def test_emoji(text: str, shown: str) -> None:
    assert with_characters(text) == shown
