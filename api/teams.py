"""Teams. Rules are in tidewire.actions.teams and team_changes; members have a module of their own."""

from typing import Any

from api.call import Call
from api.routing import OK, Created, route
from tidewire.actions import permissions, team_changes, team_deletion, teams
from tidewire.actions.team_changes import TeamPatch, TeamPrivacy, TeamUpdate
from tidewire.actions.teams import NewTeam, TeamPage, TeamSearch
from tidewire.store import teams as store
from tidewire.wire.errors import AppError
from tidewire.wire.models import Team


@route("POST", "/teams")
async def create_team(call: Call) -> Created:
    """Make a team; the caller becomes its admin."""
    return Created(await teams.do_create_team(call.services, call.login, await call.body(NewTeam)))


@route("GET", "/teams")
async def list_teams(call: Call) -> Any:
    """A page of teams that the caller may find."""
    window = call.window()
    closed = permissions.has_system(call.login, "list_private_teams")
    if not closed and not permissions.has_system(call.login, "list_public_teams"):
        raise AppError("api.team.get_all_teams.insufficient_permissions", 403)
    found = await store.page(call.services.db, closed=closed, **window)
    views = await teams.views_for(call.services, call.login, found)
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


@route("POST", "/teams/search")
async def search_teams(call: Call) -> list[Team] | TeamPage:
    """Teams whose name holds a term."""
    return await teams.search_teams(call.services, call.login, await call.body(TeamSearch))


@route("PUT", "/teams/{team_id}")
async def update_team(call: Call) -> Team:
    """Replace a team's texts."""
    team_id, update = call.path_id("team_id"), await call.body(TeamUpdate)
    return await team_changes.do_update_team(call.services, call.login, team_id, update)


@route("PUT", "/teams/{team_id}/patch")
async def patch_team(call: Call) -> Team:
    """Change some of a team's texts."""
    team_id, patch = call.path_id("team_id"), await call.body(TeamPatch)
    return await team_changes.do_patch_team(call.services, call.login, team_id, patch)


@route("PUT", "/teams/{team_id}/privacy")
async def set_privacy(call: Call) -> Team:
    """Open a team to all, or close it."""
    team_id, body = call.path_id("team_id"), await call.body(TeamPrivacy)
    return await team_changes.do_set_privacy(call.services, call.login, team_id, body.privacy)


@route("DELETE", "/teams/{team_id}")
async def archive_team(call: Call) -> bytes:
    """Archive a team, or delete it for good."""
    team_id = call.path_id("team_id")
    if call.flag("permanent"):
        await team_deletion.do_delete_team(call.services, call.login, team_id)
        return OK
    await team_changes.do_archive_team(call.services, call.login, team_id)
    return OK


@route("POST", "/teams/{team_id}/restore")
async def restore_team(call: Call) -> Team:
    """Bring an archived team back."""
    return await team_changes.do_restore_team(call.services, call.login, call.path_id("team_id"))


@route("POST", "/teams/{team_id}/regenerate_invite_id")
async def regenerate_invite_id(call: Call) -> Team:
    """Give a team another invite id."""
    return await team_changes.do_regenerate_invite_id(call.services, call.login, call.path_id("team_id"))


@route("GET", "/users/{user_id}/teams")
async def list_teams_of_user(call: Call) -> list[Team]:
    """A user's teams."""
    return await teams.list_teams_of(call.services, call.login, call.path_id("user_id"))
