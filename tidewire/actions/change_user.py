"""Changes of accounts: what people say about themselves, and what administrators decide (roles, active or not)."""

import re
from collections.abc import Callable

from msgspec import Struct, structs

from tidewire.actions import (
    bots,
    guests,
    mail,
    mention_map,
    own_password,
    permissions,
    user_deletion,
    validate,
    verification,
)
from tidewire.actions.copies import announce, to_all, to_user
from tidewire.actions.services import Services
from tidewire.actions.sessions import cache_key, end_all_sessions
from tidewire.actions.users import announce_updated, get_user, missing
from tidewire.bus.envelope import Roles, user_key
from tidewire.store import sessions, statuses, users
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session, User
from tidewire.wire.roles import ROLES, is_guest

ROLES_MAX = 256  # characters
# Roles that the reference gives out with a licence only.
_LICENSED = frozenset({"system_user_manager", "system_read_only_admin", "system_manager"})
_ROLE = re.compile(r"[a-z0-9_]{1,64}\Z")


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


class WholeUser(UserPatch):
    """A user as clients send him back; texts that are missing are blank."""

    id: str = ""

    def as_patch(self, user_id: str) -> UserPatch:
        """Return what it says. Raises: 400 for another user's."""
        if self.id != user_id:
            raise body_param("user_id")
        kept = {name: getattr(self, name) for name in UserPatch.__struct_fields__}
        for name in ("nickname", "first_name", "last_name", "position"):
            kept[name] = kept[name] or ""
        return UserPatch(**kept)


async def check_may_change(services: Services, session: Session, user_id: str) -> None:
    """Raise 403 unless the account is the caller's, a bot that he manages, or he may edit other users.

    A system admin's account is changed by system admins only.
    """
    if user_id == session.user_id:
        return
    if not permissions.has_system(session, "edit_other_users"):
        if not await bots.is_managed_by(services, session, user_id):
            raise forbidden()
    elif not permissions.is_admin(session) and _is_admin(await get_user(services, user_id)):
        raise forbidden()


def _is_admin(user: User) -> bool:
    return permissions.SYSTEM_ADMIN in user.roles.split()


async def do_patch_user(services: Services, session: Session, user_id: str, patch: UserPatch) -> User:
    """Change an account and tell: admins, the others and the user himself, each with his own view.

    Raises: 403, 404; 400 for what may not be chosen, is taken, or for a new e-mail without the caller's password.
    """
    await check_may_change(services, session, user_id)
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
        stale = await mention_map.stale_keys(tx, before, user)
        await users.update(tx, user)
        await announce_updated(services, tx, user, stale=stale)
        if former and not user.is_bot:  # the former address may have been taken over
            await mail.send(services, tx, "email_changed", former, username=user.username, new_email=user.email)
    if former and not user.is_bot:
        verification.send(services, user)
    return user


async def _check_email_change(services: Services, session: Session, user_id: str, patch: UserPatch) -> None:
    """A new address needs the caller's password, unless an admin changes another's. Raises: 403 for an OAuth app."""
    if (await get_user(services, user_id)).email == (patch.email or "").strip().lower():
        return
    permissions.check_not_oauth(session)
    if user_id != session.user_id:
        return
    if not patch.password:
        raise body_param("password")
    wrong = "api.user.check_user_password.invalid.app_error"
    await own_password.check(services, user_id, patch.password, wrong=wrong)


def _check_roles(text: str) -> str:
    """Return the roles, each once, in the order given. Raises: 400 for none, an unknown or a licensed one."""
    names = list(dict.fromkeys(text.split()))
    # Everybody is a user or a guest; an admin too, so that nobody becomes one by mistake.
    base = any(name in names for name in ("system_user", "system_guest"))
    if not base or len(text) > ROLES_MAX or not all(map(_ROLE.match, names)):
        raise body_param("roles")
    if _LICENSED & set(names):
        raise AppError("api.user.update_user_roles.license.app_error", 400, "These roles need a licence.")
    if not set(names) <= ROLES.keys():
        raise AppError("app.role.check_roles_exist.role_not_found", 400, "No such role.")
    return " ".join(names)


async def do_set_roles(services: Services, session: Session, user_id: str, text: str) -> None:
    """Give a user other system roles, in force at once for his logins and sockets everywhere.

    Who becomes a guest by that, or is none any more, changes in all teams and channels as by demotion and promotion.
    Raises: 400, 403, 404; Unavailable.
    """
    permissions.check_system(session, "manage_roles")
    roles = _check_roles(text)

    def check(user: User) -> None:
        if not permissions.is_admin(session) and permissions.SYSTEM_ADMIN in (*roles.split(), *user.roles.split()):
            raise forbidden()

    known = await get_user(services, user_id)
    if is_guest(known.roles) != is_guest(roles) or not await _set_roles(services, user_id, roles, check):
        await guests.do_turn_by_roles(services, session, user_id, roles, check)


async def _set_roles(services: Services, user_id: str, roles: str, check: Callable[[User], None]) -> bool:
    """Store roles and tell; False if by now they would make a guest of a user or the other way round."""
    async with services.db.transaction() as tx:
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        check(user)
        if is_guest(user.roles) != is_guest(roles):
            return False
        at = max(now_ms(), user.update_at + 1)
        await users.set_roles(tx, user_id, roles, at=at)
        hashes = await sessions.hashes_of_user(tx, user_id)
        announce(
            tx,
            user_key(user_id),
            [to_user("user_role_updated", {"user_id": user_id, "roles": roles}, user_id)],
            effects=[Roles(user_id, roles)],
            invalidates=["user:" + user_id, *map(cache_key, hashes)],
        )
    return True


def _check_self_deactivation(services: Services, session: Session) -> None:
    if not services.config.flag("TeamSettings.EnableUserDeactivation") and not permissions.is_admin(session):
        # 403 and not the reference's 401, which would make clients forget their login.
        raise AppError("api.user.update_active.not_enable.app_error", 403, "You may not deactivate yourself.")


async def do_set_active(services: Services, session: Session, user_id: str, *, active: bool) -> None:
    """Activate or deactivate an account. Deactivated, its logins, tokens and sockets are dead at once, its bots too.

    Raises: 403 without the right to it, for oneself where the configuration does not allow it, and for an admin's
    account by others than admins; 404.
    """
    if user_id == session.user_id and not active:
        _check_self_deactivation(services, session)
    else:
        permissions.check_system(session, "sysconsole_write_user_management_users")
    await _set_active(services, session, user_id, active=active)


async def do_delete_user(services: Services, session: Session, user_id: str, *, permanent: bool) -> None:
    """Deactivate an account, as DELETE does, or remove it. Raises: as do_set_active; 403 where that is not allowed."""
    permissions.check_self(session, user_id)
    if permanent:
        permissions.check_system(session, "manage_system")
        if not services.config.flag("ServiceSettings.EnableAPIUserDeletion"):
            raise AppError("api.user.delete_user.not_enabled.app_error", 403, "Permanent deletion is switched off.")
        await user_deletion.do_delete_user(services, session, user_id)
        return
    if user_id == session.user_id:
        _check_self_deactivation(services, session)
    await _set_active(services, session, user_id, active=False)


async def _set_active(services: Services, session: Session, user_id: str, *, active: bool) -> None:
    known = await get_user(services, user_id)
    if _is_admin(known) and not permissions.is_admin(session):
        raise forbidden()
    if active and is_guest(known.roles) and not services.config.flag("GuestAccountsSettings.Enable"):
        raise AppError(
            "api.user.update_active.cannot_enable_guest_when_guest_feature_is_disabled.app_error", 403,
            "Guest accounts are switched off.",
        )  # fmt: skip
    if known.is_bot:
        await bots.do_set_bot_active(services, session, user_id, active=active)
        return
    async with services.db.transaction() as tx:
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        if (user.delete_at == 0) == active:
            return
        at = max(now_ms(), user.update_at + 1)
        before, user = user, structs.replace(user, delete_at=0 if active else at, update_at=at)
        await users.set_active(tx, user_id, delete_at=user.delete_at, at=at)
        await announce_updated(services, tx, user, stale=await mention_map.stale_keys(tx, before, user))
        announce(tx, user_key(user_id), [to_all("user_activation_status_change", {})])
        if active:
            await statuses.let_online(tx, user_id)
        else:
            await statuses.forget(tx, [user_id])
            await bots.do_disable_bots_of(tx, services, user_id, at=at)
            await end_all_sessions(tx, [user_id])
