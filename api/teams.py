"""Teams and who is in them. Rules are in tidewire.actions.teams."""

from typing import Any

from msgspec import Struct

from api.call import Call
from api.routing import OK, Created, route
from tidewire.actions import permissions, teams
from tidewire.actions.teams import NewTeam
from tidewire.store import teams as store
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import is_id
from tidewire.wire.models import Session, Team, TeamMember

BATCH_MAX = 256  # memberships at once; Mattermost API v4


class MemberBody(Struct):
    """Whom to add to which team."""

    user_id: str
    team_id: str = ""


@route("POST", "/teams")
async def create_team(call: Call) -> Created:
    """Make a team; the caller becomes its admin."""
    return Created(await teams.do_create_team(call.services, call.login, await call.body(NewTeam)))


@route("GET", "/teams")
async def list_teams(call: Call) -> Any:
    """A page of teams that the caller may find."""
    page, per_page = call.paging()
    closed = permissions.has_system(call.login, "list_private_teams")
    if not closed and not permissions.has_system(call.login, "list_public_teams"):
        raise AppError("api.team.get_all_teams.insufficient_permissions", 403)
    found = await store.page(call.services.db, closed=closed, limit=per_page, offset=page * per_page)
    views = [await teams.view_for(call.services, call.login, team) for team in found]
    if call.flag("include_total_count"):
        return {"teams": views, "total_count": await store.count(call.services.db, closed=closed)}
    return views


@route("GET", "/teams/{team_id}")
async def get_team(call: Call) -> Team:
    """One team."""
    team = await permissions.load_team(call.services, call.path_id("team_id"))
    return await teams.access_team_for_read(call.services, call.login, team)


@route("GET", "/teams/name/{team_name}")
async def get_team_by_name(call: Call) -> Team:
    """One team, by name."""
    team = await store.by_name(call.services.db, call.param("team_name").lower())
    return await teams.access_team_for_read(call.services, call.login, team)


@route("GET", "/teams/name/{team_name}/exists")
async def team_exists(call: Call) -> dict[str, bool]:
    """Whether there is a team of that name which the caller may see."""
    team = await store.by_name(call.services.db, call.param("team_name").lower())
    try:
        await teams.access_team_for_read(call.services, call.login, team)
    except AppError as error:
        if error.status not in (403, 404):
            raise
        return {"exists": False}
    return {"exists": True}


@route("GET", "/teams/{team_id}/stats")
async def get_stats(call: Call) -> dict[str, str | int]:
    """How many are in the team."""
    team_id = call.path_id("team_id")
    await permissions.access_team(call.services, call.login, team_id, "view_team")
    total, active = await store.stats(call.services.db, team_id)
    return {"team_id": team_id, "total_member_count": total, "active_member_count": active}


@route("GET", "/teams/{team_id}/members")
async def list_members(call: Call) -> list[TeamMember]:
    """A page of memberships."""
    team_id, (page, per_page) = call.path_id("team_id"), call.paging()
    await permissions.access_team(call.services, call.login, team_id, "view_team")
    return await store.page_of_members(
        call.services.db,
        team_id,
        active_only=call.flag("exclude_deleted_users"),
        by_username=call.query("sort") == "Username",
        limit=per_page,
        offset=page * per_page,
    )


@route("GET", "/teams/{team_id}/members/{user_id}")
async def get_member(call: Call) -> TeamMember:
    """One membership."""
    team_id, user_id = call.path_id("team_id"), call.path_id("user_id")
    await permissions.access_team(call.services, call.login, team_id, "view_team")
    found = await teams.get_members(call.services, team_id, [user_id])
    if not found:
        raise teams.member_missing()
    return found[0]


@route("POST", "/teams/{team_id}/members/ids")
async def get_members(call: Call) -> list[TeamMember]:
    """The memberships that these users have."""
    team_id, user_ids = call.path_id("team_id"), await call.id_list()
    await permissions.access_team(call.services, call.login, team_id, "view_team")
    return await teams.get_members(call.services, team_id, user_ids)


def _checked(team_id: str, bodies: list[MemberBody]) -> list[str]:
    if any(body.team_id not in ("", team_id) or not is_id(body.user_id) for body in bodies):
        raise AppError(
            "api.team.add_team_member.invalid_body.app_error", 400, "Invalid member in request body."
        )
    return list(dict.fromkeys(body.user_id for body in bodies))


@route("POST", "/teams/{team_id}/members")
async def add_member(call: Call) -> Created:
    """Add a user, or join."""
    team_id = call.path_id("team_id")
    user_ids = _checked(team_id, [await call.body(MemberBody)])
    return Created((await teams.do_add_members(call.services, call.login, team_id, user_ids))[0])


@route("POST", "/teams/{team_id}/members/batch")
async def add_members(call: Call) -> Created:
    """Add several users; graceful: answer in the shape that can hold an error for each."""
    team_id = call.path_id("team_id")
    user_ids = _checked(team_id, await call.body(list[MemberBody]))
    if not 1 <= len(user_ids) <= BATCH_MAX:
        raise AppError("api.context.invalid_body_param.app_error", 400, name="members")
    added = await teams.do_add_members(call.services, call.login, team_id, user_ids)
    if call.flag("graceful"):
        return Created([{"user_id": member.user_id, "member": member, "error": None} for member in added])
    return Created(added)


@route("DELETE", "/teams/{team_id}/members/{user_id}")
async def remove_member(call: Call) -> bytes:
    """Remove a user, or leave."""
    await teams.do_remove_member(call.services, call.login, call.path_id("team_id"), call.path_id("user_id"))
    return OK


@route("GET", "/users/{user_id}/teams")
async def list_teams_of_user(call: Call) -> list[Team]:
    """A user's teams."""
    return await teams.list_teams_of(call.services, call.login, call.path_id("user_id"))


@route("GET", "/users/{user_id}/teams/members")
async def list_memberships_of_user(call: Call) -> list[TeamMember]:
    """A user's memberships."""
    user_id = call.path_id("user_id")
    permissions.check_self(call.login, user_id, "read_other_users_teams")
    return await store.memberships_of(call.services.db, user_id)


def _unread(row: store.Unread) -> dict[str, str | int]:
    # Threads are counted in the messages: this server keeps no read state per thread.
    return {**row._asdict(), "thread_count": 0, "thread_mention_count": 0, "thread_urgent_mention_count": 0}


@route("GET", "/users/{user_id}/teams/unread")
async def list_unread_of_user(call: Call) -> list[dict[str, str | int]]:
    """What waits for a user, by team."""
    user_id, excluded = call.path_id("user_id"), call.query("exclude_team")
    _check_unread(call.login, user_id)
    rows = await store.unreads(call.services.db, user_id)
    return [_unread(row) for row in rows if row.team_id != excluded]


@route("GET", "/users/{user_id}/teams/{team_id}/unread")
async def get_unread_of_user(call: Call) -> dict[str, str | int]:
    """What waits for a user in one team."""
    user_id, team_id = call.path_id("user_id"), call.path_id("team_id")
    _check_unread(call.login, user_id)
    await permissions.access_team(call.services, call.login, team_id, "view_team")
    rows = await store.unreads(call.services.db, user_id, team_id)
    return _unread(rows[0] if rows else store.Unread(team_id, 0, 0, 0, 0))


def _check_unread(session: Session, user_id: str) -> None:
    if user_id != session.user_id and not permissions.is_admin(session):
        raise forbidden()
