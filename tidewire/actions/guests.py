"""Guests: who becomes one, who is none any more, and what happens when they are switched off.

A guest sees the channels that he was put into, and who is in them.
Source: Mattermost API v4, "Promote a guest to user", "Demote a user to a guest", GuestAccountsSettings.
"""

from collections.abc import Callable

from msgspec import structs

from tidewire.actions import mention_map, permissions
from tidewire.actions.copies import announce, to_all, to_channel, to_user
from tidewire.actions.membership import announce_joined, announce_member_updated, announce_team_roles
from tidewire.actions.services import Services
from tidewire.actions.sessions import cache_key, end_all_sessions
from tidewire.actions.team_members import default_names, tell_joined
from tidewire.actions.users import announce_updated, get_user, missing
from tidewire.bus.envelope import Roles, user_key
from tidewire.store import channels, guests, sessions, statuses, users
from tidewire.store.db import Transaction
from tidewire.store.guests import Turned
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, Unavailable, forbidden
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Channel, Session, User
from tidewire.wire.roles import is_guest

TRIES = 5  # against joins under way: each waits 0.3 s at most for a lock


async def do_promote(services: Services, session: Session, user_id: str) -> None:
    """Make a guest a user, everywhere, and let him into the default channels of his teams.

    Raises: 403, 404; 501 for one who is no guest; Unavailable.
    """
    permissions.check_system(session, "promote_guest")
    if not is_guest((await get_user(services, user_id)).roles):
        text = "Unable to convert the guest to a regular user because is not a guest."
        raise AppError("api.user.promote_guest_to_user.no_guest.app_error", 501, text)
    await _turn(services, session, user_id, lambda user: _roles(user.roles, guest=False), guest=False)


async def do_demote(services: Services, session: Session, user_id: str) -> None:
    """Make a user a guest, everywhere: he stays in his channels, and runs none of them.

    Raises: 403, for an admin's account from others than admins too; 404; 501 where guests are switched off, and for one
    who is a guest; Unavailable.
    """
    if not services.config.flag("GuestAccountsSettings.Enable"):
        raise AppError("api.team.demote_user_to_guest.disabled.error", 501, "Guest accounts are switched off.")
    permissions.check_system(session, "demote_to_guest")
    user = await get_user(services, user_id)
    if permissions.SYSTEM_ADMIN in user.roles.split() and not permissions.is_admin(session):
        raise forbidden()
    if is_guest(user.roles):
        text = "Unable to convert the user to guest because is already a guest."
        raise AppError("api.user.demote_user_to_guest.already_guest.app_error", 501, text)
    await _turn(services, session, user_id, lambda user: _roles(user.roles, guest=True), guest=True)


async def do_turn_by_roles(
    services: Services, session: Session, user_id: str, roles: str, check: Callable[[User], None]
) -> None:
    """Give an account roles that make it a guest or none any more; memberships follow as in promotion and demotion.

    check: raises if the account, locked then, may not get them. Raises: 404, Unavailable.
    """

    def checked(user: User) -> str:
        check(user)
        return roles

    await _turn(services, session, user_id, checked, guest=is_guest(roles))


def _roles(roles: str, *, guest: bool) -> str:
    """Return a user's system roles as a guest's or the other way round; a guest administrates nothing."""
    wanted = {"system_user": "system_guest"} if guest else {"system_guest": "system_user"}
    names = [wanted.get(name, name) for name in roles.split() if not guest or name != permissions.SYSTEM_ADMIN]
    return " ".join(dict.fromkeys(names))


async def _turn(
    services: Services, session: Session, user_id: str, roles: Callable[[User], str], *, guest: bool
) -> None:
    """Store it, tell it, and who is no guest any more comes into the default channels. Raises: 404, Unavailable.

    roles: what the account, locked then, is to have.
    """
    for _ in range(TRIES):
        try:
            user, joined = await _try_turn(services, user_id, roles, guest=guest)
            break
        except guests.GAVE_WAY:
            continue
    else:
        raise Unavailable("database")
    adder = await get_user(services, session.user_id)
    for channel in joined:
        await tell_joined(services, [channel], [user], adder)


async def _try_turn(
    services: Services, user_id: str, roles: Callable[[User], str], *, guest: bool
) -> tuple[User, list[Channel]]:
    async with services.db.transaction() as tx:
        at = now_ms()
        turned = await guests.turn(tx, user_id, guest=guest, at=at)
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        at = max(at, user.update_at + 1)
        user = structs.replace(user, roles=roles(user), update_at=at)
        await users.set_roles(tx, user_id, user.roles, at=at)
        await _announce_turned(services, tx, user, turned)
        return user, [] if guest else await _join_defaults(services, tx, user_id, at=at)


async def _announce_turned(services: Services, tx: Transaction, user: User, turned: Turned) -> None:
    """Tell everybody of the account, and the user of his roles in each team and channel."""
    hashes = await sessions.hashes_of_user(tx, user.id)
    announce(
        tx,
        user_key(user.id),
        [to_user("user_role_updated", {"user_id": user.id, "roles": user.roles}, user.id)],
        effects=[Roles(user.id, user.roles)],
        invalidates=["user:" + user.id, *map(cache_key, hashes)],
    )
    await announce_updated(services, tx, user)
    for member in turned.teams:
        announce_team_roles(tx, member)
    for one in turned.channels:
        announce_member_updated(tx, one)


async def _join_defaults(services: Services, tx: Transaction, user_id: str, *, at: int) -> list[Channel]:
    """Let one who is no guest any more into the default channels of his teams; return those he was not in."""
    names, props = default_names(services), defaults.CHANNEL_NOTIFY_PROPS
    channel_ids = await guests.join_defaults(tx, user_id, names, at=at, notify_props=props)
    joined = sorted(await channels.by_ids(tx, channel_ids), key=lambda channel: channel.id) if channel_ids else []
    for channel in joined:
        data = {"user_id": user_id, "team_id": channel.team_id}
        copies = [
            to_channel("user_added", data, channel.id, omit=[user_id]),
            to_user("user_added", data, user_id, channel_id=channel.id),
        ]
        announce_joined(tx, channel, [user_id], copies)
    return joined


async def do_deactivate_all(tx: Transaction, session: Session) -> None:
    """Deactivate every guest, as part of the change that switches guests off: logins and sockets are dead with it."""
    user_ids = await guests.deactivate_all(tx, at=now_ms())
    if not user_ids:
        return
    await statuses.forget(tx, user_ids)
    stale = [mention_map.key(channel_id) for channel_id in await guests.channels_of(tx, user_ids)]
    await end_all_sessions(tx, user_ids)
    announce(
        tx,
        user_key(session.user_id),
        [to_all("guests_deactivated", {})],
        invalidates=[*("user:" + user_id for user_id in user_ids), *stale],
    )
