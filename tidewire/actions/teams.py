"""Teams: create, find, join, leave. Joining brings the default channels, leaving takes all of the team's channels."""

from msgspec import Struct

from tidewire.actions import permissions, system_posts, validate
from tidewire.actions.copies import announce, to_team, to_user
from tidewire.actions.membership import add_to_channel, announce_left, team_member_key
from tidewire.actions.services import Services
from tidewire.actions.users import get_user, get_users
from tidewire.bus.envelope import JoinTeam, LeaveTeam, team_key
from tidewire.store import channels, members, teams
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import new_id, new_token, now_ms
from tidewire.wire.models import Channel, Session, Team, TeamMember, User
from tidewire.wire.views import team_view


class NewTeam(Struct):
    """What one may say about a new team; other members of the body are ignored."""

    name: str = ""
    display_name: str = ""
    type: str = ""
    description: str = ""
    email: str = ""
    company_name: str = ""
    allowed_domains: str = ""
    allow_open_invite: bool = False


def member_missing() -> AppError:
    """Return the 404 for one who is not in the team."""
    return AppError(
        "app.team.get_member.missing.app_error", 404, "No team member found for that user and team."
    )


async def view_for(services: Services, session: Session, team: Team) -> Team:
    """Return what the caller may see of a team."""
    manages = await permissions.has_team(services, session, team.id, "manage_team")
    invites = await permissions.has_team(services, session, team.id, "invite_user")
    return team_view(team, manages=manages, invites=invites)


async def access_team_for_read(services: Services, session: Session, team: Team | None) -> Team:
    """Return a found team as the caller may see it: his own, or one that is open to all. Raises: 403, 404."""
    if team is None:
        raise permissions.team_missing()
    is_open = team.allow_open_invite and permissions.has_system(session, "list_public_teams")
    if not is_open and not await permissions.has_team(services, session, team.id, "view_team"):
        raise forbidden()
    return await view_for(services, session, team)


async def do_create_team(services: Services, session: Session, new: NewTeam) -> Team:
    """Store a team with its default channels; the caller becomes its admin. Raises: 403; 400 for what may not be."""
    permissions.check_system(session, "create_team")
    now = now_ms()
    team = Team(
        id=new_id(now),
        name=new.name,
        display_name=new.display_name,
        type=new.type,
        create_at=now,
        update_at=now,
        description=new.description,
        email=new.email.lower() or (await get_user(services, session.user_id)).email,
        company_name=new.company_name,
        allowed_domains=new.allowed_domains,
        invite_id=new_token(),
        allow_open_invite=new.allow_open_invite,
    )
    validate.check_team(team)
    user = await get_user(services, session.user_id)
    made = [
        Channel(new_id(now), team.id, "O", name, display_name, create_at=now, update_at=now)
        for name, display_name in defaults.DEFAULT_CHANNELS.items()
    ]
    async with services.db.transaction() as tx:
        await teams.insert(tx, team)
        for channel in made:
            await channels.insert(tx, channel)
        await _join(tx, team, user.id, made, at=now, admin=True)
    await _tell_joined(services, made, user, user)
    return team


async def _join(
    tx: Transaction,
    team: Team,
    user_id: str,
    default_channels: list[Channel],
    *,
    at: int,
    admin: bool = False,
) -> bool:
    """Make a user a member of a team and its default channels and tell; False if he was one."""
    if not await teams.join(tx, team.id, user_id, at=at, admin=admin):
        return False
    announce(
        tx,
        team_key(team.id),
        [to_user("added_to_team", {"team_id": team.id, "user_id": user_id}, user_id)],
        effects=[JoinTeam(user_id, team.id)],
        invalidates=[team_member_key(team.id, user_id)],
    )
    for channel in default_channels:
        await add_to_channel(tx, channel, [user_id], at=at)
    return True


async def _tell_joined(services: Services, default_channels: list[Channel], user: User, adder: User) -> None:
    for channel in default_channels:
        if channel.name == defaults.DEFAULT_CHANNEL:
            if user.id == adder.id:
                await system_posts.joined_team(services, channel, user)
            else:
                await system_posts.added_to_team(services, channel, adder, user)
        elif user.id == adder.id:
            await system_posts.joined_channel(services, channel, user)
        else:
            await system_posts.added_to_channel(services, channel, adder, user)


async def do_add_members(
    services: Services, session: Session, team_id: str, user_ids: list[str]
) -> list[TeamMember]:
    """Make users members of a team; return the memberships, also of those who had one.

    Raises: 403, 404 for an unknown team (to admins) or account, 400 for a deactivated account.
    """
    team = await permissions.load_team(services, team_id)
    if user_ids == [session.user_id]:
        await _check_self_join(services, session, team)
    else:
        await permissions.check_team(services, session, team_id, "add_user_to_team")
    if team is None or team.delete_at:
        raise permissions.team_missing()
    found = {user.id: user for user in await get_users(services, user_ids)}
    for user_id in user_ids:
        if user_id not in found:
            raise AppError("api.team.user.missing_account", 404, "Unable to find the user.")
        if found[user_id].delete_at:
            raise AppError("api.team.add_members.error", 400, "A deactivated user cannot be added.")
    joined: list[User] = []
    async with services.db.transaction() as tx:
        default_channels = await channels.defaults(tx, team.id)
        # In id order, as everybody who locks several memberships.
        for user_id in sorted(user_ids):
            if await _join(tx, team, user_id, default_channels, at=now_ms()):
                joined.append(found[user_id])
        rows = {member.user_id: member for member in await teams.members(tx, team.id, user_ids)}
    adder = await get_user(services, session.user_id)
    for user in joined:
        await _tell_joined(services, default_channels, user, adder)
    return [rows[user_id] for user_id in user_ids]


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
    data = {"user_id": user_id, "team_id": team_id}
    async with services.db.transaction() as tx:
        # First of all: from here on nobody adds the user to another channel of the team.
        if not await teams.leave(tx, team_id, user_id, at=now_ms()):
            raise member_missing()
        for channel_id in await members.leave_team(tx, team_id, user_id):
            announce_left(tx, channel_id, user_id, session.user_id, quiet=True)
        announce(
            tx,
            team_key(team_id),
            [to_team("leave_team", data, team_id, omit=[user_id]), to_user("leave_team", data, user_id)],
            effects=[LeaveTeam(user_id, team_id)],
            invalidates=[team_member_key(team_id, user_id)],
        )
    for channel in await channels.defaults(services.db, team_id):
        if channel.name == defaults.DEFAULT_CHANNEL:
            tell = system_posts.left_team if user_id == session.user_id else system_posts.removed_from_team
            await tell(services, channel, user)


async def get_members(services: Services, team_id: str, user_ids: list[str]) -> list[TeamMember]:
    """Return the live memberships among these users, in the order asked for."""
    rows = {member.user_id: member for member in await teams.members(services.db, team_id, user_ids)}
    return [rows[user_id] for user_id in user_ids if user_id in rows and not rows[user_id].delete_at]


async def list_teams_of(services: Services, session: Session, user_id: str) -> list[Team]:
    """Return a user's teams as the caller may see them. Raises: 403."""
    permissions.check_self(session, user_id, "sysconsole_read_user_management_users")
    return [await view_for(services, session, team) for team in await teams.of_user(services.db, user_id)]
