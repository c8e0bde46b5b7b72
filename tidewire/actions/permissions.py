"""Who may do what: the one place where roles meet permissions. Reads cached rows; changes nothing.

What each role permits is in services.roles. On a cache hit nothing in here waits.
"""

from functools import partial

from tidewire.actions.services import Services
from tidewire.store import channels, members, teams
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.models import Channel, Session, Team, User
from tidewire.wire.roles import ROLES

SYSTEM_ADMIN = "system_admin"


def grant(services: Services, session: Session) -> None:
    """Note on the session what the caller's system roles permit now; done for each request."""
    vars(session)["granted"] = services.roles.grants(session.roles)


def _granted(session: Session) -> frozenset[str]:
    """Return what was noted; for a session that no request brought, what the built-in roles permit."""
    noted: frozenset[str] | None = vars(session).get("granted")
    if noted is not None:
        return noted
    return frozenset().union(*(ROLES[role].permissions for role in session.roles.split() if role in ROLES))


def acting_as(services: Services, user: User) -> Session:
    """Return a session of no login, for what the server does in the name of a user."""
    session = Session("", user.id, 0, 0, roles=user.roles)
    grant(services, session)
    return session


def is_admin(session: Session) -> bool:
    """Tell whether the caller is a system admin."""
    return SYSTEM_ADMIN in session.roles.split()


def has_system(session: Session, permission: str) -> bool:
    """Tell whether the caller's system roles permit it. A system admin may do everything."""
    return permission in _granted(session) or is_admin(session)


def check_system(session: Session, permission: str) -> None:
    """Raise 403 unless the caller's system roles permit it."""
    if not has_system(session, permission):
        raise forbidden()


def check_self(session: Session, user_id: str, permission: str = "edit_other_users") -> None:
    """Raise 403 unless the user is the caller, or the permission lets him act on others."""
    if user_id != session.user_id:
        check_system(session, permission)


def check_not_oauth(session: Session) -> None:
    """Raise 403 for an OAuth app: it must not get hold of the account, nor of more than it was granted."""
    if session.is_oauth:
        raise forbidden()


async def load_channel(services: Services, channel_id: str) -> Channel | None:
    """Return a channel, or None. Counters and last_post_at may be old: what is cached changes with patches only."""
    key = "channel:" + channel_id
    known: Channel | None = services.cache.peek(key) or await services.cache.get(
        key, partial(_channel, services, channel_id)
    )
    return known


async def _channel(services: Services, channel_id: str) -> Channel | None:
    rows = await channels.by_ids(services.db, [channel_id])
    return rows[0] if rows else None


async def load_team(services: Services, team_id: str) -> Team | None:
    """Return a team, or None."""

    async def load() -> Team | None:
        rows = await teams.by_ids(services.db, [team_id])
        return rows[0] if rows else None

    key = "team:" + team_id
    known: Team | None = services.cache.peek(key) or await services.cache.get(key, load)
    return known


async def channel_roles(services: Services, channel_id: str, user_id: str) -> str:
    """Return a member's channel roles, space separated; "" for one who is no member."""
    key = f"member:{channel_id}:{user_id}"
    known: str | None = services.cache.peek(key) or await services.cache.get(
        key, partial(_channel_roles, services, channel_id, user_id)
    )
    return known or ""


async def _channel_roles(services: Services, channel_id: str, user_id: str) -> str | None:
    # None is not kept: one who was just added by another worker must not be told "no" from here.
    return await members.roles_of(services.db, channel_id, user_id) or None


async def team_roles(services: Services, team_id: str, user_id: str) -> str:
    """Return a member's team roles, space separated; "" for one who is no member."""

    async def load() -> str | None:
        rows = await teams.members(services.db, team_id, [user_id])
        return rows[0].roles if rows and not rows[0].delete_at else None

    key = f"tmember:{team_id}:{user_id}"
    known: str | None = services.cache.peek(key) or await services.cache.get(key, load)
    return known or ""


async def own_team_roles(services: Services, user_id: str) -> dict[str, str]:
    """Return a user's live teams with his roles there: one query for lists of teams."""
    return {member.team_id: member.roles for member in await teams.memberships_of(services.db, user_id)}


def permits(services: Services, roles: str, permission: str) -> bool:
    """Tell whether roles (space separated) permit it by themselves."""
    return permission in services.roles.grants(roles)


async def has_team(services: Services, session: Session, team_id: str, permission: str) -> bool:
    """Tell whether the caller's roles in the team, or his system roles, permit it. False for an unknown team."""
    if has_system(session, permission):
        return True
    return permission in services.roles.grants(await team_roles(services, team_id, session.user_id))


async def has_channel(services: Services, session: Session, channel_id: str, permission: str) -> bool:
    """Tell whether the caller's roles in the channel, its team or the system permit it. Unknown channel: False."""
    if permission in services.roles.grants(await channel_roles(services, channel_id, session.user_id)):
        return True
    channel = await load_channel(services, channel_id)
    if channel is None:
        return is_admin(session)
    if channel.team_id:
        return await has_team(services, session, channel.team_id, permission)
    return has_system(session, permission)


async def check_team(services: Services, session: Session, team_id: str, permission: str) -> None:
    """Raise 403 unless the caller may do it in the team."""
    if not await has_team(services, session, team_id, permission):
        raise forbidden()


async def access_channel(services: Services, session: Session, channel_id: str, permission: str) -> Channel:
    """Return a channel in which the caller may do this; counters as in load_channel.

    Raises: 403, also for an id that does not exist (it looks the same to one without rights); 404 for an admin.
    """
    if not await has_channel(services, session, channel_id, permission):
        raise forbidden()
    channel = await load_channel(services, channel_id)
    if channel is None:
        raise channel_missing()
    return channel


async def access_channel_for_post(services: Services, session: Session, channel_id: str) -> Channel:
    """Return a channel in which the caller may post: by create_post, or in a public one by create_post_public.

    Raises: as access_channel. Source: Mattermost API v4, "Create a post" and the roles *_post_all_public.
    """
    try:
        return await access_channel(services, session, channel_id, "create_post")
    except AppError:
        channel = await load_channel(services, channel_id)
        if channel is None or channel.type != "O":
            raise
        if not await has_team(services, session, channel.team_id, "create_post_public"):
            raise
        return channel


async def access_team(services: Services, session: Session, team_id: str, permission: str) -> Team:
    """Return a team in which the caller may do this. Raises: 403 as in access_channel; 404 for an admin."""
    await check_team(services, session, team_id, permission)
    team = await load_team(services, team_id)
    if team is None:
        raise team_missing()
    return team


async def access_channel_for_read(services: Services, session: Session, channel_id: str) -> Channel:
    """Return a channel that the caller may read: his own, or a public one of his team.

    Raises: 403, 404.
    """
    channel = await load_channel(services, channel_id)
    if channel is None:
        raise channel_missing()
    if not await reads_channel(services, session, channel):
        raise forbidden()
    return channel


async def reads_channel(services: Services, session: Session, channel: Channel) -> bool:
    """Tell whether the caller may read a channel: his own, or a public one of his team."""
    if channel.type == "O" and await has_team(services, session, channel.team_id, "read_public_channel"):
        return True
    return await has_channel(services, session, channel.id, "read_channel")


def may_read(services: Services, session: Session, kind: str, roles: str, team_roles: str) -> bool:
    """Tell what access_channel_for_read would: whether the caller may read a channel in which he has these roles.

    kind: O, P, D or G. roles, team_roles: space separated, "" where he is no member.
    """
    team = services.roles.grants(team_roles)
    if kind == "O" and ("read_public_channel" in team or has_system(session, "read_public_channel")):
        return True
    here = services.roles.grants(roles)
    return "read_channel" in here or "read_channel" in team or has_system(session, "read_channel")


def team_reads_public(services: Services) -> bool:
    """Tell whether members of a team who are no guests may read its public channels."""
    return "read_public_channel" in services.roles.grants("team_user")


def channel_missing() -> AppError:
    """Return the 404 for a channel that is not there."""
    return AppError("app.channel.get.existing.app_error", 404)


def team_missing() -> AppError:
    """Return the 404 for a team that is not there."""
    return AppError("app.team.get.find.app_error", 404)
