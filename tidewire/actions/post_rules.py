"""What a post may hold, and what is read out of its text. Pure functions, linear in their input.

Source: Mattermost API v4, Post notes. Whatever a client may not decide is dropped (unknown members) or refused.
"""

import re
from typing import Any

import msgspec

from tidewire.wire.errors import AppError, body_param
from tidewire.wire.ids import is_id
from tidewire.wire.models import Post, PostMetadata, PostPriority

MESSAGE_RUNES = 16_383
PROPS_BYTES = 800_000
# Values in props, at all depths: a hundred attachments of twenty fields. Each costs memory far beyond its text: a page
# of posts that held nothing but empty objects took a worker 470 MB for 27 MB of text.
PROPS_VALUES = 10_000
HASHTAGS_RUNES = 1000
PENDING_RUNES = 64  # the clients send <user id>:<ms>, 40 characters
EMOJI_RUNES = 64
USER_TYPES = frozenset({"", "slack_attachment", "me", "reminder"})
# Props that say who speaks or what the server found out. Only the server writes them.
SERVER_PROPS = frozenset(
    {
        "from_webhook", "from_bot", "from_plugin", "from_oauth_app", "override_username",
        "override_icon_url", "override_icon_emoji", "webhook_display_name", "previewed_post",
        "channel_mentions", "deleteBy", "add_channel_member", "unsafe_links", "persistent_notifications",
        "ai_generated_by", "force_notification",
    }
)  # fmt: skip
# Types that tell of joining and leaving: they are shown, but nobody has to read them.
UNCOUNTED = frozenset(
    {
        "system_join_leave", "system_add_remove", "system_join_channel", "system_leave_channel",
        "system_join_team", "system_leave_team", "system_add_to_channel", "system_remove_from_channel",
        "system_add_to_team", "system_remove_from_team", "system_guest_join_channel",
        "system_add_guest_to_chan",
    }
)  # fmt: skip
_HASHTAG = re.compile(r"#[^\W\d_](?:[\w.-]*[^\W_])?\Z")
_BEGIN = re.compile(r"[\w#]")
_EMOJI = re.compile(r"[a-zA-Z0-9_+-]+\Z")


class NewMetadata(msgspec.Struct):
    """What a client decides of a post's metadata."""

    priority: PostPriority | None = None


class NewPostBody(msgspec.Struct):
    """What a client may say of a new post. Other members are ignored, those of `metadata` too."""

    channel_id: str = ""
    message: str = ""
    root_id: str = ""
    type: str = ""
    file_ids: list[str] | None = None
    props: dict[str, Any] | None = None
    pending_post_id: str = ""
    metadata: NewMetadata | None = None


class PostChange(msgspec.Struct):
    """An edit: None leaves a member as it is. `id` is there in whole posts only."""

    id: str = ""
    message: str | None = None
    props: dict[str, Any] | None = None
    is_pinned: bool | None = None
    file_ids: list[str] | None = None


def check_message(message: str) -> None:
    """Raise 400 for a message that is too long."""
    if len(message) > MESSAGE_RUNES:
        raise AppError("model.post.is_valid.message_length.app_error", 400, "The message is too long.")


def check_props(props: dict[str, Any]) -> None:
    """Raise 400 for props that are too large."""
    if props and (_has_more_values(props, PROPS_VALUES) or len(msgspec.json.encode(props)) > PROPS_BYTES):
        raise AppError("model.post.is_valid.props.app_error", 400, "The post's props are too large.")


def _has_more_values(props: dict[str, Any], most: int) -> bool:
    """Tell whether there are more values in props than that; looks at no more of them than it must."""
    waiting: list[Any] = [props]
    while waiting:
        one = waiting.pop()
        inner = one.values() if isinstance(one, dict) else one
        most -= len(inner)
        if most < 0:
            return True
        waiting += [value for value in inner if isinstance(value, dict | list)]
    return False


def client_props(given: dict[str, Any] | None, stored: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the props a client gave without those of the server, which keep their stored values."""
    props = {name: value for name, value in (given or {}).items() if name not in SERVER_PROPS}
    props.update((name, value) for name, value in (stored or {}).items() if name in SERVER_PROPS)
    return props


def check_new_post(body: NewPostBody) -> None:
    """Raise 400 for a body that no post can be made of."""
    if not is_id(body.channel_id):
        raise body_param("channel_id")
    if body.root_id and not is_id(body.root_id):
        raise bad_root()
    if body.type.startswith("system_"):
        raise body_param("post.type")
    if body.type not in USER_TYPES and not body.type.startswith("custom_"):
        raise AppError("model.post.is_valid.type.app_error", 400, "Invalid type.")
    if len(body.type) > 26 or len(body.pending_post_id) > PENDING_RUNES:
        raise body_param("pending_post_id" if len(body.type) <= 26 else "post.type")
    check_message(body.message)
    if body.props:
        check_props(body.props)


def bad_root() -> AppError:
    """Return the 400 for a root that is none: unknown, deleted, itself a reply or in another channel."""
    return AppError("api.post.create_post.root_id.app_error", 400, "Invalid root_id.")


def _trimmed(word: str) -> str:
    """Return a word without the punctuation around it, but for the sign of a hashtag. Linear."""
    begin, end = _BEGIN.search(word), len(word)
    while end and not (word[end - 1].isalnum() or word[end - 1] == "_"):
        end -= 1
    return word[begin.start() : end] if begin else ""


def find_hashtags(message: str, *, shortest: int) -> str:
    """Return the message's hashtags, "#" included, separated by spaces, each once; at most 1,000 characters.

    shortest: letters and digits behind the sign. Source: Mattermost API v4, MinimumHashtagLength.
    """
    if "#" not in message:
        return ""
    found: dict[str, None] = {}
    for word in message.split():
        if "#" in word:
            tag = _trimmed(word)
            if len(tag) > shortest and _HASHTAG.match(tag):
                found[tag] = None
    text = " ".join(found)
    return text if len(text) <= HASHTAGS_RUNES else text[: max(0, text.rfind(" ", 0, HASHTAGS_RUNES + 1))]


def is_emoji_name(name: str) -> bool:
    """Tell whether this can be an emoji's name."""
    return len(name) <= EMOJI_RUNES and _EMOJI.match(name) is not None


def check_emoji_name(name: str) -> None:
    """Raise 400 for what cannot be an emoji's name."""
    if not is_emoji_name(name):
        raise AppError("model.reaction.is_valid.emoji_name.app_error", 400, "Invalid emoji name.")


def blank(post: Post) -> Post:
    """Return what may still be seen of a deleted post: that it was there. Source: `since` lists and post_deleted."""
    return msgspec.structs.replace(
        post,
        message="",
        props={},
        hashtags="",
        file_ids=[],
        has_reactions=False,
        participants=None,
        metadata=PostMetadata(),
    )
