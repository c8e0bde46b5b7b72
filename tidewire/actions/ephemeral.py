"""Posts that one user alone sees and nobody keeps. Source: Mattermost API v4, `ephemeral_message`."""

from typing import Any

from msgspec import Struct

from tidewire.actions import action_rows, link_shown, permissions, post_rules
from tidewire.actions.copies import announce, to_user
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.wire.errors import body_param
from tidewire.wire.events import as_text
from tidewire.wire.ids import is_id, new_id, now_ms
from tidewire.wire.models import Post, Session


class EphemeralPost(Struct):
    """What one may say of such a post."""

    channel_id: str = ""
    message: str = ""
    root_id: str = ""
    props: dict[str, Any] | None = None


class NewEphemeral(Struct):
    """Who is to see what."""

    user_id: str = ""
    post: EphemeralPost | None = None


async def do_create(services: Services, session: Session, new: NewEphemeral) -> Post:
    """Show a post to one user, in a channel that he is a member of. Raises: 400, 403."""
    permissions.check_system(session, "create_post_ephemeral")
    if not is_id(new.user_id):
        raise body_param("user_id")
    if new.post is None or not is_id(new.post.channel_id):
        raise body_param("body")
    if new.post.root_id and not is_id(new.post.root_id):
        raise body_param("root_id")
    post_rules.check_message(new.post.message)
    post_rules.check_props(new.post.props or {})
    channel = await permissions.access_channel(services, session, new.post.channel_id, "create_post")
    if not await permissions.channel_roles(services, channel.id, new.user_id):
        raise body_param("user_id")
    props = post_rules.client_props(new.post.props)
    integrations = action_rows.take(props)
    shown = await show(
        services,
        new.user_id,
        channel.id,
        new.post.message,
        author=session.user_id,
        root_id=new.post.root_id,
        props=props,
    )
    await action_rows.keep(services, shown, integrations, seen_by=new.user_id)
    return shown


async def show(
    services: Services,
    user_id: str,
    channel_id: str,
    message: str,
    *,
    author: str = "",
    root_id: str = "",
    props: dict[str, Any] | None = None,
) -> Post:
    """Show a post to the user's devices, in this channel, and return it. author: "" is the user himself."""
    now = now_ms()
    post = Post(
        new_id(now),
        channel_id,
        author or user_id,
        now,
        now,
        root_id=root_id,
        message=message,
        type="system_ephemeral",
        props=props or {},
    )
    link_shown.begin(services, post)
    async with services.db.transaction() as tx:
        copy = to_user("ephemeral_message", {"post": as_text(post)}, user_id, channel_id=channel_id)
        announce(tx, user_key(user_id), [copy])
    return post
