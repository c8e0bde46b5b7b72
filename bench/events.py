"""The events of a measurement: `posted` with the members that every client reads, padded to a given size.

The API's own are larger (823 bytes and the message); the size is kept small so that figures compare with those of other
servers, whose trials used 690 bytes.
"""

from tidewire.bus.envelope import Copy, Envelope, channel_key, encode, team_key
from tidewire.wire.events import as_text, encode_prefix
from tidewire.wire.ids import new_id, now_ms

SEQ_TAIL = len('},"seq":1000}')


def posted_prefix(channel_id: str, team_id: str, user_id: str, frame_bytes: int) -> bytes:
    """Return the shared part of a `posted` event whose whole text is about frame_bytes long. Raises: ValueError."""

    def prefix(message: str) -> bytes:
        post = {
            "id": new_id(),
            "create_at": now_ms(),
            "user_id": user_id,
            "channel_id": channel_id,
            "root_id": "",
            "message": message,
            "type": "",
            "props": {},
        }
        data = {
            "channel_display_name": "Load",
            "channel_name": "load",
            "channel_type": "O",
            "post": as_text(post),
            "sender_name": "@load",
            "set_online": True,
            "team_id": team_id,
        }
        return encode_prefix("posted", data, channel_id=channel_id)

    padding = frame_bytes - SEQ_TAIL - len(prefix(""))
    if padding < 0:
        raise ValueError(f"a posted event has at least {frame_bytes - padding} bytes")
    return prefix("x" * padding)


def team_envelope(prefix: bytes, team_id: str) -> bytes:
    """Return the encoded announcement of such an event to a whole team."""
    copy = Copy(prefix, team_id=team_id, name="posted")
    return encode(Envelope(team_key(team_id), copies=[copy], at=now_ms()))


def envelope(prefix: bytes, channel_id: str) -> bytes:
    """Return the encoded announcement of such an event to its channel."""
    copy = Copy(prefix, channel_id=channel_id, name="posted")
    return encode(Envelope(channel_key(channel_id), copies=[copy], at=now_ms()))
