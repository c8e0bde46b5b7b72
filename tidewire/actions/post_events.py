"""The events of posts and reactions as bytes. Who may see what is in the copies, nothing is looked up.

Source: Mattermost API v4, WebSocket events. All of them are ordered by their channel.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tidewire.actions import post_variants
from tidewire.actions.mentions import Audience
from tidewire.actions.post_refs import Found
from tidewire.actions.post_rules import blank
from tidewire.actions.services import Services
from tidewire.bus.envelope import After, Copy, Effect, Envelope, Only, channel_key, encode
from tidewire.bus.variants import Variants
from tidewire.wire.events import as_text, channel_prefix, encode_prefix
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Channel, Post, PostAcknowledgement, Reaction


def posted(
    services: Services,
    post: Post,
    channel: Channel,
    sender: str,
    *,
    system: bool,
    set_online: bool,
    audience: Audience,
    found: Found | None,
) -> bytes:
    """Return the envelope of a new post.

    sender: the author's username; audience: whose copies say what of them; found: what it refers to.
    """
    data = {
        "channel_type": channel.type,
        "channel_display_name": "@" + sender if channel.type == "D" else channel.display_name,
        "channel_name": channel.name,
        "sender_name": "System" if system else _webhook_name(services, post, channel) or "@" + sender,
        "team_id": channel.team_id,
        "set_online": set_online,
    }
    if post.metadata.files:
        data["otherFile"] = "true"  # texts, as the contract has them
        if any(file.mime_type.startswith("image/") for file in post.metadata.files):
            data["image"] = "true"
    body, variants = _with_post(services, "posted", data, post, found)
    copy = Copy(
        body,
        channel_id=channel.id,
        mentions=audience.mentions,
        followers=audience.told,
        ack_author=post.user_id,
        name="posted",
        notified=audience.every_post,
        variants=variants,
    )
    return encode(
        Envelope(channel_key(channel.id), [], [copy], now_ms(), audience.invalidates, audience.push)
    )


def _webhook_name(services: Services, post: Post, channel: Channel) -> str:
    """Return the name under which a webhook speaks, "" without one; in a direct channel nobody has another."""
    name = post.props.get("override_username")
    if not name or channel.type == "D" or post.props.get("from_webhook") != "true":
        return ""
    allowed = services.config.flag("ServiceSettings.EnablePostUsernameOverride")
    return name if allowed and isinstance(name, str) else ""


def edited(services: Services, post: Post, found: Found | None) -> bytes:
    """Return the envelope of a changed post: edited, pinned or unpinned. found: what it refers to."""
    body, variants = _with_post(services, "post_edited", {}, post, found)
    copy = Copy(body, channel_id=post.channel_id, name="post_edited", variants=variants)
    return _envelope(post.channel_id, [copy])


def _with_post(
    services: Services, event: str, data: dict[str, Any], post: Post, found: Found | None
) -> tuple[bytes, Variants | None]:
    if found is not None:
        return post_variants.encode(services, event, data, post, found)
    data["post"] = as_text(post)
    return channel_prefix(event, data, post.channel_id), None


def deleted(post: Post, by: str, told: Iterable[tuple[str, int]]) -> bytes:
    """Return the envelope of a deleted post; admins are told by whom, and each client gets exactly one copy.

    told: followers of the thread that it began, with the numbers of their last events. One of these may be a
    `thread_updated`, which would bring the thread back if it came after this.
    """
    data = {"post": as_text(blank(post))}
    channel_id = post.channel_id
    plain = encode_prefix("post_deleted", data, channel_id=channel_id, sanitized=True)
    full = encode_prefix("post_deleted", {**data, "delete_by": by}, channel_id=channel_id, sensitive=True)
    return _envelope(
        channel_id,
        [
            Copy(plain, channel_id=channel_id, only=Only.NON_ADMINS, name="post_deleted"),
            Copy(full, channel_id=channel_id, only=Only.ADMINS, name="post_deleted"),
        ],
        [After(user_id, n) for user_id, n in told],
    )


def reaction(event: str, changed: Reaction) -> bytes:
    """Return the envelope of `reaction_added` or `reaction_removed`."""
    body = encode_prefix(event, {"reaction": as_text(changed)}, channel_id=changed.channel_id)
    return _envelope(changed.channel_id, [Copy(body, channel_id=changed.channel_id, name=event)])


def acknowledgement(event: str, changed: PostAcknowledgement) -> bytes:
    """Return the envelope of `post_acknowledgement_added` or `post_acknowledgement_removed`."""
    body = encode_prefix(event, {"acknowledgement": as_text(changed)}, channel_id=changed.channel_id)
    return _envelope(changed.channel_id, [Copy(body, channel_id=changed.channel_id, name=event)])


def _envelope(channel_id: str, copies: list[Copy], effects: Sequence[Effect] = ()) -> bytes:
    return encode(Envelope(channel_key(channel_id), list(effects), copies, now_ms()))
