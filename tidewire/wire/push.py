"""A push on its way: what it says, to whom it goes, and the verdict that ends it. No I/O but the clock and randomness.

`Notification` is the body of a push proxy's `send_push`; `Job` is what waits in the queue; `Removed` is what the queue
tells of a device that is gone. All three are JSON in Redis; unknown members are ignored, so that two versions may run.
"""

import random
from typing import Literal

import msgspec

from tidewire.wire.ids import now_ms

Provider = Literal["apns", "fcm", "webpush", "proxy"]
Priority = Literal["high", "low"]

SILENT_TYPES = frozenset({"clear", "update_badge"})  # nobody waits for them: they go after everything else
KEEP_BADGE = -1  # leaves the number on the app's icon alone


class Notification(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One push as a server hands it to a push proxy; empty members are left out of the JSON.

    platform: target with its app generation, such as `apple_rn-v2`; device_id: the provider's token, without platform;
    badge: -1 leaves it alone. Source: Mattermost API v4, PushNotification.
    """

    ack_id: str = ""
    platform: str = ""
    server_id: str = ""
    device_id: str = ""
    post_id: str = ""
    category: str = ""
    sound: str = ""
    message: str = ""
    badge: int = 0
    cont_ava: int = 0
    team_id: str = ""
    channel_id: str = ""
    root_id: str = ""
    channel_name: str = ""
    type: str = ""
    sub_type: str = ""
    transport: str = ""
    sender_id: str = ""
    sender_name: str = ""
    override_username: str = ""
    override_icon_url: str = ""
    from_webhook: str = ""
    version: str = ""
    is_crt_enabled: bool = False
    is_id_loaded: bool = False
    signature: str = ""


class Subscription(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A browser's Web Push subscription: PushSubscription.toJSON() of the W3C Push API, keys in unpadded base64url.

    Hostile input: the sender refuses what is not https to a public address.
    """

    endpoint: str
    p256dh: str
    auth: str


class Job(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One push to one device, as it waits in the queue.

    provider: who carries it; `proxy`: another push proxy, which the sender's settings name.
    target: for apns and fcm the app build: the platform without its generation (`apple_rn`); else the provider.
    subscription: for webpush, instead of notification.device_id.
    apns_id: UUID; the push's name in logs, for Apple and in every retry, so that a phone shows a repeated one once.
    created_at: ms; ages are counted from here. attempt, reply_to: the queue's own.
    """

    provider: Provider
    target: str
    notification: Notification
    subscription: Subscription | None = None
    apns_id: str
    priority: Priority = "high"
    created_at: int
    attempt: int = 0
    reply_to: str = ""

    @property
    def device(self) -> str:
        """What tells this device from every other one of the target: its token or its endpoint."""
        return self.subscription.endpoint if self.subscription else self.notification.device_id


class Removed(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A device that its provider does not know any more; see `tidewire.bus.push_queue.RemovedReader`.

    device: token without platform, or endpoint; platform: as the notification had it; reason: the provider's word;
    at: ms. A device that registered again after `at` must be kept.
    """

    provider: Provider
    target: str
    device: str
    platform: str = ""
    server_id: str = ""
    reason: str = ""
    at: int = 0


def new_job(
    notification: Notification,
    *,
    provider: Provider,
    target: str = "",
    subscription: Subscription | None = None,
) -> Job:
    """Return a fresh job, its priority by the notification's type. target: default the platform without generation."""
    return Job(
        provider=provider,
        target=target
        or (notification.platform.partition("-v")[0] if provider in ("apns", "fcm") else provider),
        notification=notification,
        subscription=subscription,
        apns_id=_new_uuid(),
        priority="low" if notification.type in SILENT_TYPES else "high",
        created_at=now_ms(),
    )


def _new_uuid() -> str:
    """Return a random UUID. It names a push and protects nothing; asking the kernel for its bits took 7 µs."""
    word = f"{random.getrandbits(128):032x}"
    return f"{word[:8]}-{word[8:12]}-4{word[13:16]}-{'89ab'[int(word[16], 16) & 3]}{word[17:20]}-{word[20:]}"
