"""Teams: create, find, show. Who is in them is tidewire.actions.team_members; changes are team_changes."""

from msgspec import Struct

from tidewire.actions import permissions, validate
from tidewire.actions.services import Services
from tidewire.actions.team_members import invite_missing, join, tell_joined
from tidewire.actions.users import get_user
from tidewire.store import channels, teams
from tidewire.store.text import contains_pattern
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import new_id, new_token, now_ms
from tidewire.wire.models import Channel, Session, Team
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


class TeamSearch(Struct):
    """What to look for; paged only where both numbers are given."""

    term: str = ""
    page: int | None = None
    per_page: int | None = None


class TeamPage(Struct):
    """A page of teams, and how many there are. Source: Mattermost API v4, TeamsWithCount."""

    teams: list[Team]
    total_count: int


async def view_for(services: Services, session: Session, team: Team) -> Team:
    """Return what the caller may see of a team."""
    manages = await permissions.has_team(services, session, team.id, "manage_team")
    invites = await permissions.has_team(services, session, team.id, "invite_user")
    return team_view(team, manages=manages, invites=invites)


async def views_for(services: Services, session: Session, found: list[Team]) -> list[Team]:
    """Return what the caller may see of these teams, with one query for all of them."""
    manages = permissions.has_system(session, "manage_team")
    invites = permissions.has_system(session, "invite_user")
    roles = await permissions.own_team_roles(services, session.user_id) if found and not manages else {}
    return [
        team_view(
            team,
            manages=manages or permissions.permits(services, roles.get(team.id, ""), "manage_team"),
            invites=invites or permissions.permits(services, roles.get(team.id, ""), "invite_user"),
        )
        for team in found
    ]


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
        await join(tx, team, [user.id], made, at=now, admin=user.id)
    await tell_joined(services, made, [user], user)
    return team


async def get_invite_info(services: Services, invite_id: str) -> Team:
    """Return the live open team of an invite id. Raises: 404; 403 for a team that is not open."""
    team = await teams.by_invite_id(services.db, invite_id)
    if team is None:
        raise invite_missing()
    if team.type != "O":
        raise AppError(
            "api.team.get_invite_info.not_open_team", 403, "Invite is invalid: this is not an open team."
        )
    return team


async def list_teams_of(services: Services, session: Session, user_id: str) -> list[Team]:
    """Return a user's teams as the caller may see them. Raises: 403."""
    permissions.check_self(session, user_id, "sysconsole_read_user_management_users")
    return await views_for(services, session, await teams.of_user(services.db, user_id))


SEARCH_MAX = 100  # teams that a search without pages finds


async def search_teams(services: Services, session: Session, wanted: TeamSearch) -> list[Team] | TeamPage:
    """Return teams that the caller may find and whose name or display name holds the term.

    Raises: 501 for pages, unless the caller may list all teams.
    Source: Mattermost API v4, "Search teams".
    """
    opened = permissions.has_system(session, "list_public_teams")
    closed = permissions.has_system(session, "list_private_teams")
    pattern = contains_pattern(wanted.term)
    if wanted.page is None and wanted.per_page is None:
        found = await teams.search(
            services.db, pattern, opened=opened, closed=closed, limit=SEARCH_MAX, offset=0
        )
        return await views_for(services, session, found)
    if not (opened and closed):
        kind = "private" if closed else "public"
        raise AppError(f"api.team.search_teams.pagination_not_implemented.{kind}_team_search", 501)
    limit = min(wanted.per_page or 60, 200)
    offset = max(wanted.page or 0, 0) * limit
    found = await teams.search(
        services.db, pattern, opened=True, closed=True, limit=max(limit, 0), offset=min(offset, 10**6)
    )
    views = await views_for(services, session, found)
    total = await teams.count_found(services.db, pattern, opened=True, closed=True)
    return TeamPage(views, total)
