"""Preferences: what a user's clients remember, told to all of his devices."""

import msgspec

from tidewire.actions import collapsed_threads, permissions
from tidewire.actions.copies import announce, to_user
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.store import preferences, sidebar, users
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.events import as_text
from tidewire.wire.ids import is_id
from tidewire.wire.models import Preference, Session

MAX_AT_ONCE = 100
NAME_MAX, VALUE_MAX = 32, 20_000  # characters; Mattermost API v4
# Of one user: 80,000 saved posts. Clients ask for all of them at once, whenever they start.
ALL_BYTES = 8 << 20
VISIBLE_MAX = 40  # direct and group channels in the sidebar
SAVED_POST = "flagged_post"
FAVORITE = "favorite_channel"  # name = channel id; the sidebar shows those in a category of their own
_json_object = msgspec.json.Decoder(dict[str, object]).decode


def _check_owner(user_id: str, items: list[Preference], error_id: str) -> None:
    if not 1 <= len(items) <= MAX_AT_ONCE:
        raise body_param("preferences")
    if any(item.user_id != user_id for item in items):
        raise AppError(error_id, 403, "Another user's preference.")


def check_items(items: list[Preference]) -> None:
    """Raise 400 for what may not be kept."""
    for item in items:
        if not 1 <= len(item.category) <= NAME_MAX:
            raise AppError("model.preference.is_valid.category.app_error", 400, "Invalid category.")
        if len(item.name) > NAME_MAX:
            raise AppError("model.preference.is_valid.name.app_error", 400, "Invalid name.")
        if len(item.value) > VALUE_MAX:
            raise AppError("model.preference.is_valid.value.app_error", 400, "Value is too long.")
        if item.category == "theme" and not _is_object(item.value):
            raise AppError("model.preference.is_valid.theme.app_error", 400, "Invalid theme.")
        if (item.category, item.name) == ("sidebar_settings", "limit_visible_dms_gms"):
            number = (
                int(item.value)
                if item.value.isascii() and item.value.isdigit() and len(item.value) < 4
                else 0
            )
            if not 1 <= number <= VISIBLE_MAX:
                raise AppError(
                    "model.preference.is_valid.limit_visible_dms_gms.app_error", 400, "Invalid limit."
                )


def _is_object(text: str) -> bool:
    try:
        _json_object(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


async def _check_saved_posts(services: Services, session: Session, items: list[Preference]) -> None:
    """One saves only posts that one may read."""
    names = [item.name for item in items if item.category == SAVED_POST]
    if not names:
        return
    if not all(is_id(name) for name in names):
        raise body_param("name")
    found = await preferences.channels_of_posts(services.db, names)
    if len(found) < len(set(names)):
        raise forbidden()
    for channel_id in set(found.values()):
        if not await permissions.has_channel(services, session, channel_id, "read_channel_content"):
            raise forbidden()


async def list_preferences(
    services: Services, session: Session, user_id: str, category: str = "", name: str = ""
) -> list[Preference]:
    """Return a user's preferences. Raises: 403."""
    permissions.check_self(session, user_id)
    return await preferences.of_user(services.db, user_id, category, name)


async def do_put_preferences(
    services: Services, session: Session, user_id: str, items: list[Preference]
) -> None:
    """Store preferences and tell the user's devices. Raises: 403, 400."""
    permissions.check_self(session, user_id)
    _check_owner(user_id, items, "api.preference.update_preferences.set.app_error")
    check_items(items)
    await _check_saved_posts(services, session, items)
    async with services.db.transaction() as tx:
        await _take_turn(tx, user_id)
        await preferences.put(tx, user_id, items)
        if await preferences.size(tx, user_id) > ALL_BYTES:
            error_id = "api.preference.update_preferences.too_many.app_error"
            raise AppError(error_id, 400, "Too many preferences, or too long ones.")
        await _leave_places(tx, user_id, items)
        announce_changed(tx, user_id, items)


async def do_delete_preferences(
    services: Services, session: Session, user_id: str, items: list[Preference]
) -> None:
    """Forget preferences and tell the user's devices. Raises: 403, 400."""
    permissions.check_self(session, user_id)
    _check_owner(user_id, items, "api.preference.delete_preferences.delete.app_error")
    async with services.db.transaction() as tx:
        await _take_turn(tx, user_id)
        await preferences.delete(tx, user_id, items)
        await _leave_places(tx, user_id, items)
        announce_changed(tx, user_id, items, event="preferences_deleted")


async def do_collapse_previews(services: Services, user_id: str, *, collapsed: bool) -> None:
    """Remember whether a user's clients show pictures of links, and tell them. Source: Mattermost API v4, /collapse."""
    item = Preference(user_id, "display_settings", "collapse_previews", "true" if collapsed else "false")
    async with services.db.transaction() as tx:
        await _take_turn(tx, user_id)
        await preferences.put(tx, user_id, [item])
        announce(tx, user_key(user_id), [to_user("preference_changed", {"preference": as_text(item)}, user_id)])


async def _leave_places(tx: Transaction, user_id: str, items: list[Preference]) -> None:
    """A channel that becomes a favourite, or is none any more, leaves the place that it had in the sidebar."""
    channel_ids = [item.name for item in items if item.category == FAVORITE]
    if channel_ids:
        await sidebar.forget(tx, user_id, channel_ids)


async def _take_turn(tx: Transaction, user_id: str) -> None:
    """Two writers of one user's rows, in whatever order, wait for each other here instead of deadlocking."""
    if await users.lock(tx, user_id) is None:
        raise forbidden()


def announce_changed(
    tx: Transaction, user_id: str, items: list[Preference], *, event: str = "preferences_changed"
) -> None:
    """Tell the user's devices what he stored, or with preferences_deleted what he forgot."""
    # Mattermost API v4: a data-less sidebar_category_updated goes before; favourites and shown DMs are preferences.
    copies = [
        to_user("sidebar_category_updated", {}, user_id),
        to_user(event, {"preferences": as_text(items)}, user_id),
    ]
    announce(tx, user_key(user_id), copies, invalidates=collapsed_threads.stale_keys(user_id, items))
