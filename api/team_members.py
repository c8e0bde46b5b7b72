"""Who is in a team, and what waits for them there. Rules are in tidewire.actions.team_members."""

from typing import Any

from msgspec import Struct

from api.call import Call
from api.errors import ErrorView, view_of
from api.routing import OK, Created, route
from tidewire.actions import permissions, team_members
from tidewire.store import teams as store
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id
from tidewire.wire.member_roles import SchemeRoles
from tidewire.wire.models import Session, TeamMember

BATCH_MAX = 256  # memberships at once; Mattermost API v4


class MemberBody(Struct):
    """Whom to add to which team."""

    user_id: str
    team_id: str = ""


class RolesBody(Struct):
    """Roles of a membership, space separated."""

    roles: str


class SchemeRolesBody(Struct):
    """The three flags of a membership."""

    scheme_user: bool
    scheme_admin: bool
    scheme_guest: bool = False

    def roles(self) -> SchemeRoles:
        """Return the flags as the rules take them."""
        return SchemeRoles(self.scheme_guest, self.scheme_user, self.scheme_admin)


class MemberWithError(Struct):
    """What became of one addition. Source: Mattermost API v4, TeamMemberWithError."""

    user_id: str
    member: TeamMember | None
    error: ErrorView | None


@route("GET", "/teams/{team_id}/stats")
async def get_stats(call: Call) -> dict[str, str | int]:
    """How many are in the team."""
    team_id = call.path_id("team_id")
    total, active = await team_members.get_stats(call.services, call.login, team_id)
    return {"team_id": team_id, "total_member_count": total, "active_member_count": active}


@route("GET", "/teams/{team_id}/members")
async def list_members(call: Call) -> list[TeamMember]:
    """A page of memberships."""
    team_id, window = call.path_id("team_id"), call.window()
    return await team_members.list_members(
        call.services,
        call.login,
        team_id,
        active_only=call.flag("exclude_deleted_users"),
        by_username=call.query("sort") == "Username",
        **window,
    )


@route("GET", "/teams/{team_id}/members/{user_id}")
async def get_member(call: Call) -> TeamMember:
    """One membership."""
    team_id, user_id = call.path_id("team_id"), call.path_id("user_id")
    return await team_members.get_member(call.services, call.login, team_id, user_id)


@route("POST", "/teams/{team_id}/members/ids")
async def get_members(call: Call) -> list[TeamMember]:
    """The memberships that these users have."""
    team_id, user_ids = call.path_id("team_id"), await call.id_list()
    return await team_members.get_members(call.services, call.login, team_id, user_ids)


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
    [added] = await team_members.do_add_members(call.services, call.login, team_id, user_ids)
    return Created(added.member)


@route("POST", "/teams/{team_id}/members/batch")
async def add_members(call: Call) -> Created:
    """Add several users; graceful: answer in the shape that can hold an error for each."""
    team_id, graceful = call.path_id("team_id"), call.flag("graceful")
    user_ids = _checked(team_id, await call.body(list[MemberBody]))
    if not 1 <= len(user_ids) <= BATCH_MAX:
        raise body_param("members")
    added = await team_members.do_add_members(call.services, call.login, team_id, user_ids, graceful=graceful)
    if graceful:
        return Created([MemberWithError(one.user_id, one.member, view_of(one.error)) for one in added])
    return Created([one.member for one in added])


@route("DELETE", "/teams/{team_id}/members/{user_id}")
async def remove_member(call: Call) -> bytes:
    """Remove a user, or leave."""
    team_id, user_id = call.path_id("team_id"), call.path_id("user_id")
    await team_members.do_remove_member(call.services, call.login, team_id, user_id)
    return OK


@route("PUT", "/teams/{team_id}/members/{user_id}/roles")
async def set_roles(call: Call) -> bytes:
    """Give a member roles."""
    team_id, user_id, body = call.path_id("team_id"), call.path_id("user_id"), await call.body(RolesBody)
    await team_members.do_set_roles(call.services, call.login, team_id, user_id, body.roles)
    return OK


@route("PUT", "/teams/{team_id}/members/{user_id}/schemeRoles")
async def set_scheme_roles(call: Call) -> bytes:
    """Make a member an admin of the team, or an ordinary one."""
    team_id, user_id = call.path_id("team_id"), call.path_id("user_id")
    body: SchemeRolesBody = await call.body(SchemeRolesBody)
    await team_members.do_set_scheme_roles(call.services, call.login, team_id, user_id, body.roles())
    return OK


@route("GET", "/users/{user_id}/teams/members")
async def list_memberships_of_user(call: Call) -> list[TeamMember]:
    """A user's memberships."""
    return await team_members.memberships_of(call.services, call.login, call.path_id("user_id"))


def _unread(row: store.Unread, threads: tuple[int, int, int] = (0, 0, 0)) -> dict[str, Any]:
    names = ("thread_count", "thread_mention_count", "thread_urgent_mention_count")
    return {**row._asdict(), **dict(zip(names, threads, strict=True))}


@route("GET", "/users/{user_id}/teams/unread")
async def list_unread_of_user(call: Call) -> list[dict[str, Any]]:
    """What waits for a user, by team; include_collapsed_threads: replies count in their threads only."""
    user_id, excluded = call.path_id("user_id"), call.query("exclude_team")
    _check_unread(call.login, user_id)
    rows = [row for row in await store.unreads(call.services.db, user_id) if row.team_id != excluded]
    if not call.flag("include_collapsed_threads"):
        return [_unread(row) for row in rows]
    threads = await store.thread_unreads(call.services.db, user_id)
    roots = [row._replace(msg_count=row.msg_count_root, mention_count=row.mention_count_root) for row in rows]
    return [_unread(row, threads.get(row.team_id, (0, 0, 0))) for row in roots]


@route("GET", "/users/{user_id}/teams/{team_id}/unread")
async def get_unread_of_user(call: Call) -> dict[str, Any]:
    """What waits for a user in one team."""
    user_id, team_id = call.path_id("user_id"), call.path_id("team_id")
    _check_unread(call.login, user_id)
    await permissions.access_team(call.services, call.login, team_id, "view_team")
    rows = await store.unreads(call.services.db, user_id, team_id)
    return _unread(rows[0] if rows else store.Unread(team_id, 0, 0, 0, 0))


def _check_unread(session: Session, user_id: str) -> None:
    if user_id != session.user_id and not permissions.is_admin(session):
        raise forbidden()
