"""Accounts: find, change. They are made in tidewire.actions.signup."""

from msgspec import UNSET, Struct, structs

from tidewire.actions import mail, mention_map, own_password, permissions, validate, verification
from tidewire.actions.copies import announce, to_all, to_user
from tidewire.actions.services import Services
from tidewire.bus.envelope import Copy, Only, user_key
from tidewire.store import users
from tidewire.store.users import Filter
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session, User
from tidewire.wire.views import UserView, admin_view, own_view, profile_view


class UserPatch(Struct):
    """What one may change about an account; what is missing or null stays."""

    username: str | None = None
    email: str | None = None
    password: str | None = None
    nickname: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    position: str | None = None
    locale: str | None = None
    props: dict[str, str] | None = None
    notify_props: dict[str, str] | None = None
    timezone: dict[str, str] | None = None


def missing() -> AppError:
    """Return the 404 for an account that is not there."""
    return AppError("app.user.missing_account.const", 404, "Unable to find the user.")


async def get_user(services: Services, user_id: str) -> User:
    """Return an account, deactivated ones too. Raises: 404."""

    async def load() -> User | None:
        rows = await users.by_ids(services.db, [user_id])
        return rows[0] if rows else None

    key = "user:" + user_id
    user: User | None = services.cache.peek(key) or await services.cache.get(key, load)
    if user is None:
        raise missing()
    return user


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


async def do_patch_user(services: Services, session: Session, user_id: str, patch: UserPatch) -> User:
    """Change an account and tell: admins, the others and the user himself, each with his own view.

    Raises: 403, 404; 400 for what may not be chosen, is taken, or for a new e-mail without the caller's password.
    """
    permissions.check_self(session, user_id)
    if patch.email is not None:
        await _check_email_change(services, session, user_id, patch)
    async with services.db.transaction() as tx:
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        changed = {
            name: value
            for name in UserPatch.__struct_fields__
            if name != "password" and (value := getattr(patch, name)) is not None
        }
        for name in ("username", "email"):
            if name in changed:
                changed[name] = changed[name].strip().lower()
        verified = user.email_verified and changed.get("email", user.email) == user.email
        # The clock may stand still for two changes, but a version may not.
        at = max(now_ms(), user.update_at + 1)
        former = user.email if changed.get("email", user.email) != user.email else ""
        before, user = user, structs.replace(user, **changed, email_verified=verified, update_at=at)
        validate.check_user(user)
        stale = ["user:" + user.id, *await mention_map.stale_keys(tx, before, user)]
        await users.update(tx, user)
        announce(tx, user_key(user.id), user_updated(services, user), invalidates=stale)
    _mail_new_email(services, user, former)
    return user


async def _check_email_change(services: Services, session: Session, user_id: str, patch: UserPatch) -> None:
    """A new address needs the caller's password, unless an admin changes another's."""
    if (await get_user(services, user_id)).email == (patch.email or "").strip().lower():
        return
    if user_id != session.user_id:
        return
    if not patch.password:
        raise body_param("password")
    wrong = "api.user.check_user_password.invalid.app_error"
    await own_password.check(services, user_id, patch.password, wrong=wrong)


def _mail_new_email(services: Services, user: User, former: str) -> None:
    """Tell the former address, which may have been taken over, and let the new one be verified."""
    if former and not user.is_bot:
        mail.send(services, "email_changed", former, username=user.username, new_email=user.email)
        verification.send(services, user)


def user_updated(services: Services, user: User) -> list[Copy]:
    """Return the three copies of `user_updated`."""
    return [
        to_all("user_updated", {"user": admin_view(user)}, omit=[user.id], only=Only.ADMINS),
        to_all("user_updated", {"user": _profile(services, user)}, omit=[user.id], only=Only.NON_ADMINS),
        to_user("user_updated", {"user": own_view(user)}, user.id),
    ]


async def list_users(
    services: Services, session: Session, wanted: Filter, *, limit: int, offset: int
) -> list[UserView]:
    """Return a page of accounts as the caller may see them. Raises: 403 for a team or channel that he may not read."""
    for team_id in filter(None, (wanted.in_team, wanted.not_in_team)):
        await permissions.check_team(services, session, team_id, "view_team")
    for channel_id in filter(None, (wanted.in_channel, wanted.not_in_channel)):
        if not await permissions.has_channel(services, session, channel_id, "read_channel"):
            raise forbidden()
    found = await users.page(services.db, wanted, limit=limit, offset=offset)
    return [view_for(services, session, user) for user in found]
