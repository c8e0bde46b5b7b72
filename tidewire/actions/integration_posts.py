"""Posts that programs write: a webhook, a command's answer. What they say is theirs, who speaks is in the props."""

from typing import Any

from tidewire.actions import action_rows, integration_text, permissions, post_priority, post_rules, posts
from tidewire.actions.services import Services
from tidewire.actions.users import get_users
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Channel, Post, PostPriority, User

NAME_MAX, URL_MAX = 64, 1024
PROPS_MAX = 100


async def usernames_in(services: Services, text: str, attachments: Any) -> dict[str, str]:
    """Return id → username of the users whom a text names by their ids."""
    texts = [text]
    for one in attachments if isinstance(attachments, list) else []:
        if isinstance(one, dict):
            texts += [value for value in one.values() if isinstance(value, str)]
    ids = list(dict.fromkeys(user_id for each in texts for user_id in integration_text.user_ids_in(each)))
    return {user.id: user.username for user in await get_users(services, ids)} if ids else {}


def speaker(services: Services, username: str, icon_url: str, icon_emoji: str = "") -> dict[str, Any]:
    """Return the props that let a post appear under another name or picture, where the configuration permits."""
    props: dict[str, Any] = {}
    if services.config.flag("ServiceSettings.EnablePostUsernameOverride") and username:
        props["override_username"] = username[:NAME_MAX]
    if services.config.flag("ServiceSettings.EnablePostIconOverride"):
        if icon_url:
            props["override_icon_url"] = icon_url[:URL_MAX]
        if icon_emoji:
            props["override_icon_emoji"] = icon_emoji[:NAME_MAX]
    return props


async def do_post(
    services: Services,
    author: User,
    channel: Channel,
    text: str,
    *,
    attachments: list[dict[str, Any]] | None = None,
    given: dict[str, Any] | None = None,
    props: dict[str, Any] | None = None,
    type: str = "",
    root_id: str = "",
    priority: PostPriority | None = None,
) -> Post:
    """Write what a program says as one or more posts, and return the last, which carries the attachments.

    given: props that the program chose; props: those of the server. priority: of the first, unless it is a reply.
    Raises: 400, 403, Unavailable.
    """
    if attachments:
        type = type or "slack_attachment"
    if type and type != "slack_attachment" and not type.startswith("custom_"):
        raise AppError("api.context.invalid_body_param.app_error", 400, "Invalid type.")
    post_rules.check_props(given or {})
    if priority is not None:
        priority = None if root_id else post_priority.check(services, priority, is_reply=False)
    session = permissions.acting_as(services, author)
    root = await posts.check_root(services, channel.id, root_id) if root_id else None
    pieces = list(integration_text.parts_of(text))
    for number, piece in enumerate(pieces):
        now = now_ms()
        post = Post(
            new_id(now),
            channel.id,
            author.id,
            now,
            now,
            root_id=root_id,
            message=piece,
            type=type[:26],
            props={**post_rules.client_props(given), **(props or {})},
            hashtags=posts.hashtags_of(services, piece),
        )
        if number == 0:
            post.metadata.priority = priority
        if attachments and number == len(pieces) - 1:
            integrations = action_rows.take_integrations(attachments)
            post.props["attachments"] = attachments
            post_rules.check_props(post.props)
            await action_rows.keep(services, post, integrations)
        post = await posts.do_write(services, session, channel, post, author.username, root=root)
    return post
