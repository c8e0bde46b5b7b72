"""Where a post stands, for one who follows a link to it and may be no member there yet."""

from msgspec import Struct

from tidewire.actions import permissions
from tidewire.actions.permissions import has_channel, has_team
from tidewire.actions.posts import post_missing
from tidewire.actions.services import Services
from tidewire.store import posts as store
from tidewire.wire.models import Channel, Session


class PostInfo(Struct):
    """Where a post stands and whether the caller is there. Source: Mattermost API v4, "Get post info"."""

    channel_id: str
    channel_type: str
    channel_display_name: str
    has_joined_channel: bool
    team_id: str = ""
    team_type: str = ""
    team_display_name: str = ""
    has_joined_team: bool = False


async def get_info(services: Services, session: Session, post_id: str) -> PostInfo:
    """Return where a post stands. Raises: 404, also for who could not get there by himself."""
    found = await store.load(services.db, [post_id])
    channel = await permissions.load_channel(services, found[0].channel_id) if found else None
    if channel is None:
        raise post_missing()
    joined = bool(await permissions.channel_roles(services, channel.id, session.user_id))
    info = PostInfo(channel.id, channel.type, channel.display_name, joined)
    if channel.team_id:
        team = await permissions.load_team(services, channel.team_id)
        if team is None:
            raise post_missing()
        info.team_id, info.team_type, info.team_display_name = team.id, team.type, team.display_name
        info.has_joined_team = bool(await permissions.team_roles(services, team.id, session.user_id))
        needed = "join_public_teams" if team.allow_open_invite else "join_private_teams"
        if not info.has_joined_team and not permissions.has_system(session, needed):
            raise post_missing()
    if not joined and not await _may_enter(services, session, channel):
        raise post_missing()
    return info


async def _may_enter(services: Services, session: Session, channel: Channel) -> bool:
    if channel.type == "O":
        if await has_team(services, session, channel.team_id, "join_public_channels"):
            return True
        return not await permissions.team_roles(services, channel.team_id, session.user_id)
    needed = "manage_private_channel_members" if channel.type == "P" else "read_channel_content"
    return await has_channel(services, session, channel.id, needed)
