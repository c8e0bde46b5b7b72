"""Deleting a team for good, where the configuration allows it. Archiving is tidewire.actions.team_changes."""

from msgspec import structs

from tidewire.actions import permissions
from tidewire.actions.copies import announce, to_team, to_user
from tidewire.actions.membership import member_key, team_member_key
from tidewire.actions.services import Services
from tidewire.bus.envelope import LeaveChannel, LeaveTeam, channel_key, team_key
from tidewire.store import team_deletion as store
from tidewire.store import teams
from tidewire.wire.errors import AppError
from tidewire.wire.events import as_text
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session
from tidewire.wire.views import team_view


async def do_delete_team(services: Services, session: Session, team_id: str) -> None:
    """Delete a team with its channels, posts and memberships; tell the team, and each member that he is out.

    Raises: 403; 404; 401 while ServiceSettings.EnableAPITeamDeletion is off.
    Source: Mattermost API v4, "Delete a team", permanent.
    """
    await permissions.access_team(services, session, team_id, "manage_team")
    if not services.config.flag("ServiceSettings.EnableAPITeamDeletion"):
        who = "not_enabled.for_admin" if permissions.is_admin(session) else "not_enabled"
        text = "Permanent team deletion feature is not enabled."
        raise AppError(f"api.user.delete_team.{who}.app_error", 401, text)
    async with services.db.transaction() as tx:
        now = now_ms()
        channel_ids, left, members = await store.end_memberships(tx, team_id, at=now)
        team = await teams.lock(tx, team_id)
        if team is None:
            raise permissions.team_missing()
        gone = structs.replace(team, delete_at=now, update_at=max(now, team.update_at + 1))
        await teams.update(tx, gone)
        out_of: dict[str, list[str]] = {channel_id: [] for channel_id in channel_ids}
        for channel_id, user_id in left:
            out_of[channel_id].append(user_id)
        for channel_id, out in out_of.items():
            announce(
                tx,
                channel_key(channel_id),
                effects=[LeaveChannel(user_id, channel_id) for user_id in out],
                invalidates=["channel:" + channel_id, *(member_key(channel_id, user_id) for user_id in out)],
            )
        shown = as_text(team_view(gone, manages=False, invites=False))
        told = to_team("delete_team", {"team": shown}, team_id)
        announce(tx, team_key(team_id), [told], invalidates=["team:" + team_id])
        # Effects come before copies, so those who leave were told of the deletion above.
        announce(
            tx,
            team_key(team_id),
            [to_user("leave_team", {"user_id": one, "team_id": team_id}, one) for one in members],
            effects=[LeaveTeam(one, team_id) for one in members],
            invalidates=[team_member_key(team_id, one) for one in members],
        )
    await store.delete_rows(services.db, team_id, channel_ids)
