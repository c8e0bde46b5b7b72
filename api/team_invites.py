"""Invitations to teams. Rules are in tidewire.actions.team_invites, and teams and team_members for invite ids."""

from msgspec import Struct, field

from api.call import Call
from api.errors import ErrorView, view_of
from api.routing import OK, Created, route
from tidewire.actions import team_invites, team_members, teams
from tidewire.wire.errors import AppError, body_param


class Invite(Struct):
    """Whom to invite, to which channels, with which words."""

    emails: list[str]
    channel_ids: list[str] = field(default_factory=list, name="channelIds")
    message: str = ""


class InviteWithError(Struct):
    """What became of one address. Source: Mattermost API v4, EmailInviteWithError."""

    email: str
    error: ErrorView | None


@route("POST", "/teams/{team_id}/invite/email")
async def invite_by_email(call: Call) -> list[InviteWithError] | bytes:
    """Send invitations; the body is a list of addresses, or an object with channels and words too."""
    team_id, graceful = call.path_id("team_id"), call.flag("graceful")
    body: Invite | list[str] = await call.body(Invite | list[str], "user_email")
    invite = Invite(body) if isinstance(body, list) else body
    if len(invite.emails) > team_invites.AT_ONCE:
        raise body_param("user_email")
    sent = await team_invites.do_invite(
        call.services,
        call.login,
        team_id,
        invite.emails,
        invite.channel_ids,
        invite.message,
        graceful=graceful,
    )
    return [InviteWithError(one.email, view_of(one.error)) for one in sent] if graceful else OK


@route("POST", "/teams/members/invite")
async def join_by_invite(call: Call) -> Created:
    """Join by an invite link, or by the token of an e-mail."""
    token, invite_id = call.query("token"), call.query("invite_id")
    if token:
        return Created(await team_invites.do_join_by_token(call.services, call.login, token))
    if not invite_id:
        raise AppError(
            "api.team.add_user_to_team.missing_parameter.app_error", 400, "An invite id or a token is needed."
        )
    return Created(await team_members.do_join_by_invite_id(call.services, call.login, invite_id))


@route("GET", "/teams/invite/{invite_id}", session=False)
async def get_invite_info(call: Call) -> dict[str, str]:
    """What one who holds an invite link learns of the team before he logs in."""
    team = await teams.get_invite_info(call.services, call.path_id("invite_id"))
    return {name: getattr(team, name) for name in ("id", "name", "display_name", "description")}
