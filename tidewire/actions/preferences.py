"""Preferences: what a user's clients remember, told to all of his devices."""

from tidewire.actions import permissions
from tidewire.actions.copies import announce, to_user
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.store import preferences, users
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.events import as_text
from tidewire.wire.ids import is_id
from tidewire.wire.models import Preference, Session

MAX_AT_ONCE = 100
NAME_MAX, VALUE_MAX = 32, 20_000  # characters; Mattermost API v4
SAVED_POST = "flagged_post"


def _check(user_id: str, items: list[Preference]) -> None:
    if not 1 <= len(items) <= MAX_AT_ONCE:
        raise body_param("preferences")
    for item in items:
        if item.user_id != user_id:
            raise AppError(
                "api.preference.update_preferences.set.app_error", 403, "Another user's preference."
            )
        if not 1 <= len(item.category) <= NAME_MAX:
            raise AppError("model.preference.is_valid.category.app_error", 400, "Invalid category.")
        if len(item.name) > NAME_MAX:
            raise AppError("model.preference.is_valid.name.app_error", 400, "Invalid name.")
        if len(item.value) > VALUE_MAX:
            raise AppError("model.preference.is_valid.value.app_error", 400, "Value is too long.")


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
    _check(user_id, items)
    await _check_saved_posts(services, session, items)
    async with services.db.transaction() as tx:
        await _take_turn(tx, user_id)
        await preferences.put(tx, user_id, items)
        _announce(tx, "preferences_changed", user_id, items)


async def do_delete_preferences(
    services: Services, session: Session, user_id: str, items: list[Preference]
) -> None:
    """Forget preferences and tell the user's devices. Raises: 403, 400."""
    permissions.check_self(session, user_id)
    _check(user_id, items)
    async with services.db.transaction() as tx:
        await _take_turn(tx, user_id)
        await preferences.delete(tx, user_id, items)
        _announce(tx, "preferences_deleted", user_id, items)


async def _take_turn(tx: Transaction, user_id: str) -> None:
    """Two writers of one user's rows, in whatever order, wait for each other here instead of deadlocking."""
    if await users.lock(tx, user_id) is None:
        raise forbidden()


def _announce(tx: Transaction, event: str, user_id: str, items: list[Preference]) -> None:
    # Mattermost API v4: a data-less sidebar_category_updated goes before; favourites and shown DMs are preferences.
    copies = [
        to_user("sidebar_category_updated", {}, user_id),
        to_user(event, {"preferences": as_text(items)}, user_id),
    ]
    announce(tx, user_key(user_id), copies)
