"""What is said to a user becomes jobs for the send queue: one per device. Pure but for the signature.

A push that is decided on again, after a worker died, has the same ids, so phones and providers take it for the one that
they know.
"""

import base64
import hashlib
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from msgspec import structs

from tidewire.actions.push_messages import Style
from tidewire.store.push import Device
from tidewire.wire.push import SILENT_TYPES, Job, Notification, Provider, Subscription

PROVIDERS: dict[str, Provider] = {"apple": "apns", "android": "fcm"}  # what a platform's name begins with


def jobs_for(
    style: Style,
    what: Notification,
    device: Device,
    *,
    name: str,
    at: int,
    key: EllipticCurvePrivateKey | None,
) -> list[Job]:
    """Return the jobs that bring a push to a session: one to its phone, one to its browser's subscription.

    name: what makes this push, with the session, another than all others. at: when what it tells happened, ms.
    key: signs; None: this push is not signed. Browsers get messages only: they have to show something for each push.
    """
    digest = hashlib.sha256(f"{name} {device.session_id}".encode()).digest()
    ack_id = base64.b32encode(digest[:16]).decode().rstrip("=").lower()
    found: list[Job] = []
    platform, colon, token = device.device_id.partition(":")
    target = platform.partition("-v")[0]
    provider = next((one for start, one in PROVIDERS.items() if target.startswith(start)), None)
    if style.by_proxy and colon:
        provider, target = "proxy", "proxy"
    if provider is not None and token:
        signature = jwt.encode({"ack_id": ack_id, "device_id": token}, key, algorithm="ES256") if key else ""
        body = structs.replace(what, ack_id=ack_id, platform=platform, device_id=token, signature=signature)
        found.append(_job(provider, target, body, digest, at))
    if device.endpoint and device.p256dh and device.auth and what.type == "message":
        where = Subscription(endpoint=device.endpoint, p256dh=device.p256dh, auth=device.auth)
        body = structs.replace(what, ack_id=ack_id, platform="webpush")
        found.append(_job("webpush", "webpush", body, digest[::-1], at, where))
    return found


def _job(
    provider: Provider,
    target: str,
    body: Notification,
    digest: bytes,
    at: int,
    subscription: Subscription | None = None,
) -> Job:
    return Job(
        provider=provider,
        target=target,
        notification=body,
        subscription=subscription,
        apns_id=str(uuid.UUID(bytes=digest[:16])),
        priority="low" if body.type in SILENT_TYPES else "high",
        created_at=at,
    )
