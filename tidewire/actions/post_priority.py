"""Which priority a new post may have. Source: Mattermost API v4, PostMetadata and its notes."""

from tidewire.actions.services import Services
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.models import PostPriority

_LABELS = ("", "important", "urgent")


def check(services: Services, wanted: PostPriority, *, is_reply: bool) -> PostPriority | None:
    """Return the priority to store, None where it says nothing.

    Raises: 403 where the configuration allows none, and for what repeats notifications; 400 on replies and for an
    unknown label.
    """
    repeats = bool(wanted.persistent_notifications)  # AllowPersistentNotifications is off for good
    if repeats or not services.config.flag("ServiceSettings.PostPriority"):
        raise AppError(
            "api.post.post_priority.priority_post_not_allowed_for_user.request_error",
            403,
            "Posts may not have such a priority.",
        )
    if is_reply:
        raise AppError(
            "api.post.post_priority.priority_post_only_allowed_for_root_post.request_error",
            400,
            "Only root posts have a priority.",
        )
    label = wanted.priority or ""
    if label not in _LABELS:
        raise body_param("metadata.priority")
    if not label and not wanted.requested_ack:
        return None
    return PostPriority(label, bool(wanted.requested_ack), False)
