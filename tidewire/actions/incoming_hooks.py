"""Incoming webhooks: who may have which, and the posts that are made of what they are sent.

Source: Mattermost API v4, webhooks; Slack's payloads.
"""

from typing import Any

from msgspec import Struct

from tidewire.actions import channels as channel_actions
from tidewire.actions import integration_posts, integration_text, permissions
from tidewire.actions.copies import announce
from tidewire.actions.permissions import has_channel, has_team
from tidewire.actions.program_owners import access_owner, check_kept, may_speak, owner_in_team
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.bus.envelope import team_key
from tidewire.store import channels, users
from tidewire.store import webhooks as store
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id, new_id, now_ms
from tidewire.wire.integrations import IncomingWebhook
from tidewire.wire.models import Channel, PostPriority, Session

OWN, OTHERS = "manage_own_incoming_webhooks", "manage_others_incoming_webhooks"
UNLOCKED = "bypass_incoming_webhook_channel_lock"
DISPLAY_MAX, DESCRIPTION_MAX, USERNAME_MAX, ICON_MAX = 64, 500, 64, 1024
HOOKS_MAX = 10_000  # of a team
TEXT_MAX = 200_000  # some dozen posts


class Payload(Struct):
    """What a program sends. Source: Mattermost API v4, IncomingWebhookRequest."""

    text: str = ""
    username: str = ""
    icon_url: str = ""
    icon_emoji: str = ""
    channel: str = ""
    type: str = ""
    props: dict[str, Any] | None = None
    attachments: list[Any] | None = None
    root_id: str = ""
    priority: PostPriority | None = None


# -- managing them


async def do_create(services: Services, session: Session, new: IncomingWebhook) -> IncomingWebhook:
    """Store a webhook of the caller, or of another user for who may manage others'. Raises: 400, 403, 404, 501."""
    _check_on(services)
    channel = await _access_channel(services, session, new.channel_id)
    if not await has_team(services, session, channel.team_id, OWN):
        raise forbidden()
    owner = await access_owner(services, session, channel.team_id, new.user_id, OTHERS)
    await _check_lock(services, session, channel, new)
    now = now_ms()
    hook = IncomingWebhook(
        new_id(now), now, now, 0, owner, channel.id, channel.team_id, new.display_name, new.description, new.username,
        new.icon_url, new.channel_locked or not _may_unlock(session, owner),
    )  # fmt: skip
    _check(hook)
    if await store.count_incoming(services.db, team_id=channel.team_id, user_id="") >= HOOKS_MAX:
        raise AppError("api.webhook.create_incoming.too_many.app_error", 400, "This team has too many webhooks.")
    async with services.db.transaction() as tx:
        await check_kept(tx, team_id=channel.team_id, channel_id=channel.id, user_id=owner)
        await store.insert_incoming(tx, hook)
    return hook


async def access(services: Services, session: Session, hook_id: str) -> IncomingWebhook:
    """Return a webhook that the caller may manage. Raises: 403, 404, 501."""
    _check_on(services)
    hook = await store.incoming(services.db, hook_id)
    if hook is None:
        raise _missing()
    needed = OWN if hook.user_id == session.user_id else OTHERS
    if not await has_team(services, session, hook.team_id, needed):
        raise forbidden()
    if not await _may_read(services, session, hook.channel_id):
        raise forbidden()
    return hook


async def page(
    services: Services, session: Session, team_id: str, *, page: int, per_page: int
) -> tuple[list[IncomingWebhook], int]:
    """Return (a page of webhooks, how many there are): all of a team, or one's own. "": of all teams, for admins."""
    _check_on(services)
    own = True
    if team_id:
        own = not await has_team(services, session, team_id, OTHERS)
        if own and not await has_team(services, session, team_id, OWN):
            raise forbidden()
    else:
        own = not permissions.has_system(session, OTHERS)
        if own and not permissions.has_system(session, OWN):
            raise forbidden()
    user_id = session.user_id if own else ""
    found = await store.page_of_incoming(
        services.db, team_id=team_id, user_id=user_id, limit=per_page, offset=page * per_page
    )
    return found, await store.count_incoming(services.db, team_id=team_id, user_id=user_id)


async def do_update(
    services: Services, session: Session, hook_id: str, new: IncomingWebhook
) -> IncomingWebhook:
    """Change a webhook; its owner and team stay. Raises: 400, 403, 404, 501."""
    old = await access(services, session, hook_id)
    if new.team_id and new.team_id != old.team_id:
        raise AppError("api.webhook.team_mismatch.app_error", 400, "The webhook belongs to another team.")
    channel = await _access_channel(services, session, new.channel_id or old.channel_id)
    if channel.team_id != old.team_id:
        raise AppError("api.webhook.team_mismatch.app_error", 400, "The channel belongs to another team.")
    await _check_lock(services, session, channel, new)
    async with services.db.transaction() as tx:
        await check_kept(tx, channel_id=channel.id)
        hook = await store.lock_incoming(tx, hook_id)
        if hook is None:
            raise _missing()
        hook.channel_id, hook.display_name, hook.description = channel.id, new.display_name, new.description
        hook.username, hook.icon_url = new.username, new.icon_url
        hook.channel_locked = new.channel_locked or (hook.channel_locked and not _may_unlock(session, hook.user_id))
        hook.update_at = max(now_ms(), hook.update_at + 1)
        _check(hook)
        await store.update_incoming(tx, hook)
        announce(tx, team_key(hook.team_id), invalidates=[_cache_key(hook.id)])
    return hook


async def do_delete(services: Services, session: Session, hook_id: str) -> None:
    """Switch a webhook off for good. Raises: 403, 404, 501."""
    await access(services, session, hook_id)
    async with services.db.transaction() as tx:
        hook = await store.lock_incoming(tx, hook_id)
        if hook is None:
            raise _missing()
        hook.delete_at = hook.update_at = max(now_ms(), hook.update_at + 1)
        await store.update_incoming(tx, hook)
        announce(tx, team_key(hook.team_id), invalidates=[_cache_key(hook.id)])


# -- being sent something


async def do_receive(services: Services, hook_id: str, payload: Payload) -> None:
    """Post what a webhook was sent. Raises: 400, 403, 404, 501."""
    if not services.config.flag("ServiceSettings.EnableIncomingWebhooks"):
        raise AppError("web.incoming_webhook.disabled.app_error", 501, "Incoming webhooks have been disabled.")
    if len(payload.text) > TEXT_MAX:
        raise AppError("web.incoming_webhook.text.length.app_error", 400, "The text is too long.")
    hook = await _live(services, hook_id)  # first: strangers cause no other queries
    names = await integration_posts.usernames_in(services, payload.text, payload.attachments)
    attachments = integration_text.clean_attachments(payload.attachments, names)
    if not payload.text and not attachments:
        raise AppError("web.incoming_webhook.text.app_error", 400, "No text specified.")
    owner = await get_user(services, hook.user_id)
    if owner.delete_at:
        raise AppError("web.incoming_webhook.user.app_error", 403, "The webhook's owner is not active.")
    session = await owner_in_team(services, owner.id, hook.team_id)
    if session is None:
        raise _may_not()
    channel = await _channel_of(services, hook, session, payload.channel)
    props = {
        "from_webhook": "true",
        "webhook_display_name": hook.display_name,
        **integration_posts.speaker(
            services, payload.username or hook.username, payload.icon_url or hook.icon_url, payload.icon_emoji
        ),
    }
    await integration_posts.do_post(
        services,
        owner,
        channel,
        integration_text.to_markdown(payload.text, names),
        attachments=attachments,
        given=payload.props,
        props=props,
        type=payload.type,
        root_id=payload.root_id if is_id(payload.root_id) else "",
        priority=payload.priority,
    )


async def _live(services: Services, hook_id: str) -> IncomingWebhook:
    async def load() -> IncomingWebhook | None:
        return await store.incoming(services.db, hook_id)

    key = _cache_key(hook_id)
    hook: IncomingWebhook | None = services.cache.peek(key) or await services.cache.get(key, load)
    if hook is None:
        raise AppError("web.incoming_webhook.invalid.app_error", 400, "Invalid webhook.")
    return hook


async def _channel_of(services: Services, hook: IncomingWebhook, owner: Session, name: str) -> Channel:
    """Return where to post: the webhook's channel, or the one that the payload names: #channel, channel or @user.

    Raises: 403 where the owner may not post in the webhook's channel; 403 for another channel of a locked webhook,
    whether it exists or not; 404 (of users 400) for one that is named, the same for what does not exist and what the
    owner may not reach.
    """
    home = await permissions.load_channel(services, hook.channel_id)
    wanted = name.removeprefix("#").lower()
    if name and hook.channel_locked:
        if home is None or wanted != home.name:
            text = "This webhook may post to its own channel only."
            raise AppError("web.incoming_webhook.channel_locked.app_error", 403, text)
        name = ""
    if name.startswith("@"):
        return await _direct(services, owner, name[1:].lower())
    channel = await channels.by_name(services.db, hook.team_id, wanted, archived=False) if name else home
    if channel is None or channel.delete_at:
        raise _no_channel()
    if not await may_speak(services, owner, channel):
        raise _no_channel() if name else _may_not()
    return channel


async def _direct(services: Services, owner: Session, username: str) -> Channel:
    """Return the owner's direct channel with a user whom he may write to. Raises: 400 for all others."""
    found = await users.by_usernames(services.db, [username])
    try:
        if found:
            return await channel_actions.do_create_direct(services, owner, [owner.user_id, found[0].id])
    except AppError as error:
        if error.status >= 500:
            raise
    raise AppError("web.incoming_webhook.user.app_error", 400, "There is no such user.")


# -- rules


def _cache_key(hook_id: str) -> str:
    return "incoming hook:" + hook_id


def _check_on(services: Services) -> None:
    if not services.config.flag("ServiceSettings.EnableIncomingWebhooks"):
        raise AppError("api.incoming_webhook.disabled.app_error", 501, "Incoming webhooks have been disabled.")


def _no_channel() -> AppError:
    return AppError("web.incoming_webhook.channel.app_error", 404, "There is no such channel.")


def _may_not() -> AppError:
    return AppError("web.incoming_webhook.permissions.app_error", 403, "The owner may not post there.")


def _missing() -> AppError:
    return AppError("app.webhooks.get_incoming.app_error", 404, "There is no such webhook.")


async def _access_channel(services: Services, session: Session, channel_id: str) -> Channel:
    """Return a channel of a team that the caller may read. Raises: 400, 403."""
    if not is_id(channel_id):
        raise body_param("channel_id")
    channel = await permissions.access_channel_for_read(services, session, channel_id)
    if not channel.team_id:
        raise body_param("channel_id")
    return channel


async def _may_read(services: Services, session: Session, channel_id: str) -> bool:
    channel = await permissions.load_channel(services, channel_id)
    if channel is None or channel.type == "O":
        return True
    return await has_channel(services, session, channel_id, "read_channel_content")


def _may_unlock(session: Session, owner_id: str) -> bool:
    """Tell whether the caller may let a webhook post elsewhere in its owner's name, in direct messages too.

    Not for another user, unless he is an admin of the server: everybody may found a team, add people to it, and make
    webhooks of theirs there.
    """
    return owner_id == session.user_id or permissions.is_admin(session)


async def _check_lock(services: Services, session: Session, channel: Channel, new: IncomingWebhook) -> None:
    if not new.channel_locked and not await has_team(services, session, channel.team_id, UNLOCKED):
        raise forbidden()


def _check(hook: IncomingWebhook) -> None:
    for name, text, most in (
        ("display_name", hook.display_name, DISPLAY_MAX),
        ("description", hook.description, DESCRIPTION_MAX),
        ("username", hook.username, USERNAME_MAX),
        ("icon_url", hook.icon_url, ICON_MAX),
    ):
        if len(text) > most:
            raise AppError(f"model.incoming_hook.{name}.app_error", 400, f"Invalid {name}.")
