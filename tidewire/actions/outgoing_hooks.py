"""Outgoing webhooks: who may have which. Calling them: tidewire.actions.hook_calls.

Source: Mattermost API v4, webhooks.
"""

from collections.abc import Callable

from msgspec import structs

from tidewire.actions import permissions
from tidewire.actions.copies import announce
from tidewire.actions.hook_calls import cache_key
from tidewire.actions.permissions import has_team
from tidewire.actions.program_owners import access_owner, check_kept
from tidewire.actions.services import Services
from tidewire.bus.envelope import team_key
from tidewire.outbound import FetchError
from tidewire.outbound.client import parse
from tidewire.store import webhooks as store
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id, new_id, new_token, now_ms
from tidewire.wire.integrations import OutgoingWebhook
from tidewire.wire.models import Session

OWN, OTHERS = "manage_own_outgoing_webhooks", "manage_others_outgoing_webhooks"
WORDS_BYTES, URLS_BYTES, DISPLAY_MAX, DESCRIPTION_MAX, TEXT_MAX = 1024, 1024, 64, 500, 128
HOOKS_MAX = 500  # of a team: each post is compared with all of them
STARTS_WITH = 1

Change = Callable[[OutgoingWebhook], None]


async def do_create(services: Services, session: Session, new: OutgoingWebhook) -> OutgoingWebhook:
    """Store a webhook of the caller, or of another user for who may manage others'. Raises: 400, 403, 404, 501."""
    _check_on(services)
    if not is_id(new.team_id):
        raise body_param("team_id")
    if not await has_team(services, session, new.team_id, OWN):
        raise forbidden()
    creator_id = await access_owner(services, session, new.team_id, new.creator_id, OTHERS)
    now = now_ms()
    hook = structs.replace(
        new, id=new_id(now), token=new_token(), create_at=now, update_at=now, delete_at=0, creator_id=creator_id
    )
    await _check(services, session, hook)
    count = len(await _of_team(services, new.team_id))
    if count >= HOOKS_MAX:
        raise AppError("api.webhook.create_outgoing.too_many.app_error", 400, "This team has too many webhooks.")
    async with services.db.transaction() as tx:
        await check_kept(tx, team_id=hook.team_id, channel_id=hook.channel_id, user_id=creator_id)
        await store.insert_outgoing(tx, hook)
        _tell(tx, hook)
    return hook


async def access(services: Services, session: Session, hook_id: str) -> OutgoingWebhook:
    """Return a webhook that the caller may manage. Raises: 403, 404, 501."""
    _check_on(services)
    hook = await store.outgoing(services.db, hook_id)
    if hook is None:
        raise _missing()
    needed = OWN if hook.creator_id == session.user_id else OTHERS
    if not await has_team(services, session, hook.team_id, needed):
        raise forbidden()
    return hook


async def page(
    services: Services, session: Session, *, team_id: str, channel_id: str, page: int, per_page: int
) -> list[OutgoingWebhook]:
    """Return a page of webhooks of a team or a channel: all of them, or one's own. Raises: 403, 501."""
    _check_on(services)
    if channel_id:
        channel = await permissions.access_channel_for_read(services, session, channel_id)
        team_id = team_id or channel.team_id
    if team_id:
        own = not await has_team(services, session, team_id, OTHERS)
        allowed = not own or await has_team(services, session, team_id, OWN)
    else:
        own = not permissions.has_system(session, OTHERS)
        allowed = not own or permissions.has_system(session, OWN)
    if not allowed:
        raise forbidden()
    return await store.page_of_outgoing(
        services.db, team_id=team_id, channel_id=channel_id, creator_id=session.user_id if own else "",
        limit=per_page, offset=page * per_page,
    )  # fmt: skip


async def do_update(
    services: Services, session: Session, hook_id: str, new: OutgoingWebhook
) -> OutgoingWebhook:
    """Change a webhook; its team, creator and token stay. Raises: 400, 403, 404, 501."""
    old = await access(services, session, hook_id)
    if new.team_id and new.team_id != old.team_id:
        raise AppError("api.webhook.team_mismatch.app_error", 400, "The webhook belongs to another team.")
    await _check(services, session, structs.replace(new, team_id=old.team_id))

    def change(hook: OutgoingWebhook) -> None:
        hook.channel_id, hook.trigger_words, hook.trigger_when = new.channel_id, new.trigger_words, new.trigger_when
        hook.callback_urls, hook.content_type = new.callback_urls, new.content_type
        hook.display_name, hook.description = new.display_name, new.description
        hook.username, hook.icon_url = new.username, new.icon_url

    return await _do_change(services, hook_id, change, channel_id=new.channel_id)


async def do_renew_token(services: Services, session: Session, hook_id: str) -> OutgoingWebhook:
    """Give a webhook a new token. Raises: 403, 404, 501."""
    await access(services, session, hook_id)

    def change(hook: OutgoingWebhook) -> None:
        hook.token = new_token()

    return await _do_change(services, hook_id, change)


async def do_delete(services: Services, session: Session, hook_id: str) -> None:
    """Switch a webhook off for good. Raises: 403, 404, 501."""
    await access(services, session, hook_id)

    def change(hook: OutgoingWebhook) -> None:
        hook.delete_at = max(now_ms(), hook.update_at + 1)

    await _do_change(services, hook_id, change)


async def _do_change(
    services: Services, hook_id: str, change: Change, *, channel_id: str = ""
) -> OutgoingWebhook:
    async with services.db.transaction() as tx:
        await check_kept(tx, channel_id=channel_id)
        hook = await store.lock_outgoing(tx, hook_id)
        if hook is None:
            raise _missing()
        change(hook)
        hook.update_at = max(now_ms(), hook.update_at + 1)
        await store.update_outgoing(tx, hook)
        _tell(tx, hook)
    return hook


def _tell(tx: Transaction, hook: OutgoingWebhook) -> None:
    announce(tx, team_key(hook.team_id), invalidates=[cache_key(hook.team_id)])


async def _of_team(services: Services, team_id: str) -> list[OutgoingWebhook]:
    return await store.page_of_outgoing(
        services.db, team_id=team_id, channel_id="", creator_id="", limit=HOOKS_MAX, offset=0
    )


def _check_on(services: Services) -> None:
    if not services.config.flag("ServiceSettings.EnableOutgoingWebhooks"):
        raise AppError("api.outgoing_webhook.disabled.app_error", 501, "Outgoing webhooks have been disabled.")


def _missing() -> AppError:
    return AppError("app.webhooks.get_outgoing.app_error", 404, "There is no such webhook.")


async def _check(services: Services, session: Session, hook: OutgoingWebhook) -> None:
    """Raise 400 for what cannot be called, 403 for a channel that the caller may not listen to."""
    if hook.channel_id:
        channel = await permissions.access_channel_for_read(services, session, hook.channel_id)
        if channel.type != "O":
            raise AppError("api.webhook.create_outgoing.not_open.app_error", 403, "Only public channels have them.")
        if channel.team_id != hook.team_id:
            raise AppError("api.webhook.create_outgoing.permissions.app_error", 403, "Another team's channel.")
    elif not hook.trigger_words:
        text = "Either a channel or a trigger word is needed."
        raise AppError("api.webhook.create_outgoing.triggers.app_error", 400, text)
    if hook.trigger_when not in (0, STARTS_WITH):
        raise body_param("trigger_when")
    if sum(map(len, hook.trigger_words)) > WORDS_BYTES or any(not word.strip() for word in hook.trigger_words):
        raise AppError("model.outgoing_hook.is_valid.trigger_words.app_error", 400, "Invalid trigger words.")
    if not hook.callback_urls or sum(map(len, hook.callback_urls)) > URLS_BYTES:
        raise AppError("model.outgoing_hook.is_valid.callback.app_error", 400, "Invalid callback URLs.")
    try:
        for url in hook.callback_urls:
            parse(url)
    except FetchError as error:
        raise AppError("model.outgoing_hook.is_valid.url.app_error", 400, f"Invalid URL: {error}.") from error
    for name, text, most in (
        ("display_name", hook.display_name, DISPLAY_MAX),
        ("description", hook.description, DESCRIPTION_MAX),
        ("content_type", hook.content_type, TEXT_MAX),
        ("username", hook.username, DISPLAY_MAX),
        ("icon_url", hook.icon_url, 1024),
    ):
        if len(text) > most:
            raise AppError(f"model.outgoing_hook.is_valid.{name}.app_error", 400, f"Invalid {name}.")
