"""The pushes of a measurement: a message of 80 characters with everything that Mattermost's server sends along."""

import secrets

from tidewire.wire.ids import new_id
from tidewire.wire.push import Job, Notification, new_job

TARGET = "apple_rn"


def notification() -> Notification:
    """Return one to a device of its own."""
    return Notification(
        ack_id=new_id(),
        platform="apple_rn-v2",
        server_id=new_id(),
        device_id=secrets.token_hex(32),
        post_id=new_id(),
        category="CAN_REPLY",
        message="@ann.lee: The tide turns at half past four, so we should be there before three.",
        badge=3,
        team_id=new_id(),
        channel_id=new_id(),
        channel_name="Town Square",
        type="message",
        sender_id=new_id(),
        sender_name="@ann.lee",
        version="v2",
        is_crt_enabled=True,
        signature="eyJ" + "x" * 250,
    )


def jobs(count: int) -> list[Job]:
    """Return so many."""
    return [new_job(notification(), provider="apns") for _ in range(count)]
