"""Accounts: find them, show them, tell of their changes. They are made in signup, changed in change_user."""

from collections.abc import Sequence
from functools import partial

from msgspec import UNSET

from tidewire.actions import permissions
from tidewire.actions.copies import announce, to_all, to_user
from tidewire.actions.services import Services
from tidewire.bus.envelope import Only, user_key
from tidewire.store import people, users
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.models import Session, User
from tidewire.wire.views import UserView, admin_view, own_view, profile_view


def missing() -> AppError:
    """Return the 404 for an account that is not there."""
    return AppError("app.user.missing_account.const", 404, "Unable to find the user.")


async def get_user(services: Services, user_id: str) -> User:
    """Return an account, deactivated ones too. Raises: 404."""
    key = "user:" + user_id
    user: User | None = services.cache.peek(key) or await services.cache.get(
        key, partial(_user, services, user_id)
    )
    if user is None:
        raise missing()
    return user


async def _user(services: Services, user_id: str) -> User | None:
    rows = await users.by_ids(services.db, [user_id])
    return rows[0] if rows else None


async def get_users(services: Services, ids: list[str]) -> list[User]:
    """Return the accounts of these ids that exist, in no order: the cached ones and one query for the rest."""
    known: dict[str, User] = {}
    for user_id in ids:
        cached: User | None = services.cache.peek("user:" + user_id)
        if cached is not None:
            known[user_id] = cached
    unknown = [user_id for user_id in ids if user_id not in known]
    return [*known.values(), *(await users.by_ids(services.db, unknown) if unknown else [])]


def view_for(services: Services, session: Session, user: User) -> UserView:
    """Return what the caller may see of an account."""
    if user.id == session.user_id:
        return own_view(user)
    if permissions.is_admin(session):
        return admin_view(user)
    return _profile(services, user)


def _profile(services: Services, user: User) -> UserView:
    """Return what everybody may see of an account."""
    show_email, show_full_name = _shown(services)
    return profile_view(user, show_email=show_email, show_full_name=show_full_name)


def _shown(services: Services) -> tuple[bool, bool]:
    """Return whether users see each other's e-mail addresses, and full names."""
    config = services.config
    return config.flag("PrivacySettings.ShowEmailAddress"), config.flag("PrivacySettings.ShowFullName")


def etag(services: Services, view: UserView) -> str:
    """Return the version of a view: it changes with the row, the viewer's rights and the privacy settings."""
    flags = "".join(str(int(flag)) for flag in (*_shown(services), view.notify_props is not UNSET))
    return f"{services.version_id}.{view.id}.{view.update_at}.{flags}"


async def announce_updated(
    services: Services, tx: Transaction, *changed: User, stale: Sequence[str] = ()
) -> None:
    """Tell of changed accounts: admins, the others and the user himself, each with his own view.

    Of the guests only those hear of it who share a channel with the user. One query for all.
    stale: cache keys that are out of date besides the accounts' own.
    """
    guests = await people.guests_who_see(tx, [user.id for user in changed])
    for user in changed:
        profile, seen_by = _profile(services, user), guests.get(user.id, [])
        copies = [
            to_all("user_updated", {"user": admin_view(user)}, omit=[user.id], only=Only.ADMINS),
            to_all("user_updated", {"user": profile}, omit=[user.id], only=Only.NON_ADMINS, guests=seen_by),
            to_user("user_updated", {"user": own_view(user)}, user.id),
        ]
        announce(tx, user_key(user.id), copies, invalidates=["user:" + user.id, *stale])
