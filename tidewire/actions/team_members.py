"""Who is in a team: join, add, remove, roles. Joining brings the default channels, leaving takes all of the team's."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from tidewire.actions import permissions, system_posts, validate
from tidewire.actions.copies import announce, to_team, to_user
from tidewire.actions.membership import add_to_channel, announce_left, announce_team_roles, team_member_key
from tidewire.actions.services import Services
from tidewire.actions.users import get_user, get_users
from tidewire.actions.visibility import check_visible, sees_only_shared, visible
from tidewire.bus.envelope import JoinTeam, LeaveTeam, team_key
from tidewire.store import channels, members, sidebar, teams, threads
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import now_ms
from tidewire.wire.member_roles import Change, SchemeRoles, by_flags, by_names
from tidewire.wire.models import Channel, Session, Team, TeamMember, User
from tidewire.wire.roles import is_guest

TELL_OF_MEMBERS = "ServiceSettings.ExperimentalEnableDefaultChannelLeaveJoinMessages"


class Addition(NamedTuple):
    """What became of one of those who were to be added: a membership or an error."""

    user_id: str
    member: TeamMember | None
    error: AppError | None


def member_missing() -> AppError:
    """Return the 404 for one who is not in the team."""
    return AppError(
        "app.team.get_member.missing.app_error", 404, "No team member found for that user and team."
    )


async def get_members(
    services: Services, session: Session, team_id: str, user_ids: list[str]
) -> list[TeamMember]:
    """Return the live memberships among these users, in the order asked for; guests see whom they share channels with.

    Raises: 403.
    """
    await permissions.access_team(services, session, team_id, "view_team")
    seen = await visible(services, session, user_ids)
    rows = {member.user_id: member for member in await teams.members(services.db, team_id, list(seen))}
    return [rows[user_id] for user_id in user_ids if user_id in rows and not rows[user_id].delete_at]


async def get_member(services: Services, session: Session, team_id: str, user_id: str) -> TeamMember:
    """Return one membership. Raises: 403, also for whom the caller may not see; 404."""
    await permissions.access_team(services, session, team_id, "view_team")
    await check_visible(services, session, [user_id])
    found = await teams.members(services.db, team_id, [user_id])
    if not found or found[0].delete_at:
        raise member_missing()
    return found[0]


async def list_members(
    services: Services,
    session: Session,
    team_id: str,
    *,
    active_only: bool,
    by_username: bool,
    limit: int,
    offset: int,
) -> list[TeamMember]:
    """Return a page of a team's memberships. Raises: 403."""
    await permissions.access_team(services, session, team_id, "view_team")
    return await teams.page_of_members(
        services.db,
        team_id,
        active_only=active_only,
        by_username=by_username,
        limit=limit,
        offset=offset,
        seen_by=sees_only_shared(session),
    )


async def get_stats(services: Services, session: Session, team_id: str) -> tuple[int, int]:
    """Return (members, active members) as the caller may see them. Raises: 403."""
    await permissions.access_team(services, session, team_id, "view_team")
    return await teams.stats(services.db, team_id, seen_by=sees_only_shared(session))


async def memberships_of(services: Services, session: Session, user_id: str) -> list[TeamMember]:
    """Return a user's memberships. Raises: 403."""
    permissions.check_self(session, user_id, "read_other_users_teams")
    await check_visible(services, session, [user_id])
    return await teams.memberships_of(services.db, user_id)


def default_names(services: Services) -> list[str]:
    """Return the names of the channels that everybody who comes into a team joins: ExperimentalDefaultChannels."""
    names = services.config.words("TeamSettings.ExperimentalDefaultChannels")
    return [defaults.DEFAULT_CHANNEL, *names] if names else list(defaults.DEFAULT_CHANNELS)


async def load_default_channels(services: Services, tx: Transaction, team_id: str) -> list[Channel]:
    """Return the channels that everybody who comes into a team joins."""
    return await channels.defaults(tx, team_id, default_names(services))


async def join(
    tx: Transaction,
    team: Team,
    user_ids: list[str],
    default_channels: list[Channel],
    *,
    at: int,
    admin: str = "",
    limit: int = 0,
) -> list[str]:
    """Make users members of a team and its default channels and tell; return those who were none before.

    Guests get no default channels. limit: the most members of a team, 0 for none. At most five statements, however
    many they are. Raises: 400 above the limit.
    """
    if limit:
        await teams.lock_joining(tx, team.id)
    joined = await teams.join(tx, team.id, sorted(user_ids), at=at, admin=admin)
    if joined and limit and (await teams.stats(tx, team.id))[1] > limit:
        text = "This team has reached the maximum number of allowed accounts."
        raise AppError("app.team.join_user_to_team.max_accounts.app_error", 400, text)
    for user_id in joined:
        announce(
            tx,
            team_key(team.id),
            [to_user("added_to_team", {"team_id": team.id, "user_id": user_id}, user_id)],
            effects=[JoinTeam(user_id, team.id)],
            invalidates=[team_member_key(team.id, user_id)],
        )
    regular = [user_id for user_id, guest in joined.items() if not guest]
    if regular:
        for channel in default_channels:
            await add_to_channel(tx, channel, regular, at=at)
    return list(joined)


async def tell_joined(
    services: Services, default_channels: list[Channel], joined: list[User], adder: User
) -> None:
    """Post to the default channels who joined, or who was added by whom, where the configuration wants that."""
    if not services.config.flag(TELL_OF_MEMBERS):
        return
    posts: list[Callable[[], Awaitable[None]]] = []
    for user in joined:
        if is_guest(user.roles):
            continue
        alone = user.id == adder.id
        for channel in default_channels:
            in_team = channel.name == defaults.DEFAULT_CHANNEL
            if alone:
                tell = system_posts.joined_team if in_team else system_posts.joined_channel
                posts.append(partial(tell, services, channel, user))
            else:
                tell_of = system_posts.added_to_team if in_team else system_posts.added_to_channel
                posts.append(partial(tell_of, services, channel, adder, user))
    await system_posts.write_all(posts)


async def do_add_members(
    services: Services, session: Session, team_id: str, user_ids: list[str], *, graceful: bool = False
) -> list[Addition]:
    """Make users members of a team; return what became of each, in the order asked for, also of those who were members.

    graceful: who cannot be added has an error in the answer; otherwise the first such error is raised.
    Raises: 403, 404 for an unknown team (to admins) or account, 400 for one who may not be in the team.
    """
    team = await permissions.load_team(services, team_id)
    if user_ids == [session.user_id]:
        await _check_self_join(services, session, team)
    else:
        await permissions.check_team(services, session, team_id, "add_user_to_team")
    if team is None or team.delete_at:
        raise permissions.team_missing()
    found = {user.id: user for user in await get_users(services, user_ids)}
    invites_guests = await permissions.has_team(services, session, team_id, "invite_guest")
    errors = {
        user_id: error
        for user_id in user_ids
        if (error := why_not(team, found.get(user_id), session, invites_guests=invites_guests))
    }
    if errors and not graceful:
        raise next(iter(errors.values()))
    able = [user_id for user_id in user_ids if user_id not in errors]
    rows = await _add(services, session, team, [found[user_id] for user_id in able]) if able else {}
    return [Addition(user_id, rows.get(user_id), errors.get(user_id)) for user_id in user_ids]


async def _add(services: Services, session: Session, team: Team, users: list[User]) -> dict[str, TeamMember]:
    ids = [user.id for user in users]
    async with services.db.transaction() as tx:
        default_channels = await load_default_channels(services, tx, team.id)
        limit = services.config.number("TeamSettings.MaxUsersPerTeam")
        joined = set(await join(tx, team, ids, default_channels, at=now_ms(), limit=limit))
        rows = {member.user_id: member for member in await teams.members(tx, team.id, ids)}
    adder = await get_user(services, session.user_id)
    await tell_joined(services, default_channels, [user for user in users if user.id in joined], adder)
    return rows


async def do_join_by_invite_id(services: Services, session: Session, invite_id: str) -> TeamMember:
    """Make the caller a member of the team that has this invite id. Raises: 403 for guests; 404; 400."""
    user = await get_user(services, session.user_id)
    if is_guest(user.roles):
        raise AppError(
            "api.team.add_user_to_team_from_invite.guest.app_error", 403, "Guests cannot join by this."
        )
    team = await teams.by_invite_id(services.db, invite_id)
    if team is None:
        raise invite_missing()
    if error := why_not(team, user, session, invites_guests=False):
        raise error
    return (await _add(services, session, team, [user]))[user.id]


def invite_missing() -> AppError:
    """Return the 404 for an invite id that no live team has."""
    return AppError("app.team.get_by_invite_id.finding.app_error", 404, "Unable to find the existing team.")


def why_not(team: Team, user: User | None, session: Session, *, invites_guests: bool) -> AppError | None:
    """Return why an account cannot come into a team, or None."""
    if user is None:
        return AppError("api.team.user.missing_account", 404, "Unable to find the user.")
    if user.delete_at:
        return AppError("api.team.add_members.error", 400, "A deactivated user cannot be added.")
    if is_guest(user.roles) and user.id != session.user_id and not invites_guests:
        return forbidden()
    if not user.is_bot and not validate.domain_allowed(user.email, team.allowed_domains):
        text = "The user's e-mail address does not belong to the team's domains."
        return AppError("api.team.join_user_to_team.allowed_domains.app_error", 400, text)
    return None


async def _check_self_join(services: Services, session: Session, team: Team | None) -> None:
    """One may join an open team by oneself, others by an invitation or with a system permission."""
    if team is None:
        if permissions.is_admin(session):
            raise permissions.team_missing()
        raise forbidden()
    if await permissions.team_roles(services, team.id, session.user_id):
        return
    needed = "join_public_teams" if team.allow_open_invite else "join_private_teams"
    permissions.check_system(session, needed)


async def do_remove_member(services: Services, session: Session, team_id: str, user_id: str) -> None:
    """End a membership and tell: one event per channel, `leave_team` to the team and to the user. Raises: 403, 404."""
    if user_id != session.user_id:
        await permissions.check_team(services, session, team_id, "remove_user_from_team")
    user = await get_user(services, user_id)
    async with services.db.transaction() as tx:
        if not await leave(tx, team_id, user_id, remover_id=session.user_id):
            raise member_missing()
    if not services.config.flag(TELL_OF_MEMBERS):
        return
    for channel in await channels.defaults(services.db, team_id, [defaults.DEFAULT_CHANNEL]):
        tell = system_posts.left_team if user_id == session.user_id else system_posts.removed_from_team
        await tell(services, channel, user)


async def leave(tx: Transaction, team_id: str, user_id: str, *, remover_id: str) -> bool:
    """End a membership and those of the team's channels, and tell; False if there was none."""
    # First of all: from here on nobody adds the user to another channel of the team.
    if not await teams.leave(tx, team_id, user_id, at=now_ms()):
        return False
    unfollowed = await threads.forget_in_team(tx, user_id, team_id)
    for channel_id in await members.leave_team(tx, team_id, user_id):
        roots = unfollowed.get(channel_id, ())
        announce_left(tx, channel_id, user_id, remover_id, unfollowed=roots, quiet=True)
    await sidebar.forget_team(tx, user_id, team_id)
    announce_left_team(tx, team_id, user_id)
    return True


def announce_left_team(tx: Transaction, team_id: str, user_id: str) -> None:
    """Announce that a user is out of a team, to those who stay and to himself."""
    data = {"user_id": user_id, "team_id": team_id}
    announce(
        tx,
        team_key(team_id),
        [to_team("leave_team", data, team_id, omit=[user_id]), to_user("leave_team", data, user_id)],
        effects=[LeaveTeam(user_id, team_id)],
        invalidates=[team_member_key(team_id, user_id)],
    )


async def do_set_roles(services: Services, session: Session, team_id: str, user_id: str, roles: str) -> None:
    """Give a member these roles (space separated) and tell him. Raises: 403, 404; 400 as parse_roles."""

    await _set_roles(services, session, team_id, user_id, by_names("team", roles))


async def do_set_scheme_roles(
    services: Services, session: Session, team_id: str, user_id: str, wanted: SchemeRoles
) -> None:
    """Set a member's three flags and tell him. Raises: 403, 404; 400 as check_scheme_roles."""

    await _set_roles(services, session, team_id, user_id, by_flags("team", wanted))


async def _set_roles(
    services: Services, session: Session, team_id: str, user_id: str, change: Change
) -> None:
    await permissions.check_team(services, session, team_id, "manage_team_roles")
    async with services.db.transaction() as tx:
        before = await teams.lock_member(tx, team_id, user_id)
        if before is None:
            raise member_missing()
        after = await teams.set_roles(tx, team_id, user_id, change(before))
        announce_team_roles(tx, after)
