"""Channels that change their team: moved by an admin, or a group channel that becomes a private one of a team."""

from msgspec import Struct, structs

from tidewire.actions import permissions, system_posts, validate
from tidewire.actions.channel_changes import announce_updated, lock_channel
from tidewire.actions.copies import announce, to_user
from tidewire.actions.membership import announce_left
from tidewire.actions.services import Services
from tidewire.actions.teams import views_for
from tidewire.actions.users import get_user
from tidewire.bus.envelope import channel_key
from tidewire.store import channels, members, sidebar, teams, threads
from tidewire.store.db import Transaction
from tidewire.store.holds import hold
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.ids import is_id, now_ms
from tidewire.wire.models import Channel, Session, Team


class Move(Struct):
    """Where to move a channel; force: members who are not there are removed."""

    team_id: str
    force: bool = False


class Conversion(Struct):
    """What a group channel becomes."""

    channel_id: str
    team_id: str
    name: str
    display_name: str


async def do_move_channel(services: Services, session: Session, channel_id: str, move: Move) -> Channel:
    """Move an O or P channel to another team and tell its members.

    Raises: 403, also for D and G; 404; 400 where a member is not in that team (unless forced) or the name is taken.
    """
    permissions.check_system(session, "manage_system")
    if not is_id(move.team_id):
        raise body_param("team_id")
    known = await permissions.load_channel(services, channel_id)
    if known is None:
        raise permissions.channel_missing()
    if known.type not in ("O", "P"):
        raise AppError(
            "api.channel.move_channel.type.invalid", 403, "Direct and group channels belong to no team."
        )
    if known.name == defaults.DEFAULT_CHANNEL:
        raise AppError("api.channel.update_channel.tried.app_error", 400, "The default channel stays.")
    team = await permissions.load_team(services, move.team_id)
    origin = await permissions.load_team(services, known.team_id)
    if team is None or team.delete_at or origin is None:
        raise permissions.team_missing()
    async with services.db.transaction() as tx:
        user_ids = await _keep_team_members(tx, channel_id, team.id, session.user_id, force=move.force)
        before = await lock_channel(tx, channel_id)
        if before.team_id == team.id:
            return before
        after = await _give_team(services, tx, before, team, user_ids)
    await system_posts.moved(services, after, origin.name, await get_user(services, session.user_id))
    return after


async def _keep_team_members(
    tx: Transaction, channel_id: str, team_id: str, remover_id: str, *, force: bool
) -> list[str]:
    """Take those out of the channel who are not in the team; return those who stay. Deactivated ones always go.

    Raises: 400 for an active one, unless forced.
    """
    unfollowed = await threads.forget_of_outsiders(tx, channel_id, team_id)
    active = await members.lock_all(tx, channel_id)
    staying = await teams.hold_members(tx, team_id, sorted(active))
    if not force and any(is_active for user_id, is_active in active.items() if user_id not in staying):
        raise AppError(
            "app.channel.move_channel.members_do_not_match.error",
            400,
            "Cannot move a channel unless all its members are already members of the destination team.",
        )
    leaving = sorted(active.keys() - staying)
    await members.leave_many(tx, channel_id, leaving)
    for user_id in leaving:
        announce_left(tx, channel_id, user_id, remover_id, unfollowed=unfollowed.get(user_id, ()))
    return sorted(staying)


async def _give_team(
    services: Services, tx: Transaction, before: Channel, team: Team, user_ids: list[str], **changed: str
) -> Channel:
    """Put a locked channel into a team, out of all sidebar categories, and tell its members. Raises: 404."""
    if not await hold(tx, teams=[team.id]):
        raise permissions.team_missing()
    after = structs.replace(before, team_id=team.id, update_at=max(now_ms(), before.update_at + 1), **changed)
    validate.check_channel(after)
    if await channels.count_locked(tx, team.id) >= services.config.number("TeamSettings.MaxChannelsPerTeam"):
        raise channels.too_many()
    await channels.update(tx, after)
    await sidebar.forget_channel(tx, after.id)
    announce_updated(tx, after)
    # Mattermost API v4: without data, "fetch your categories again".
    reload = [to_user("sidebar_category_updated", {}, user_id) for user_id in user_ids]
    announce(tx, channel_key(after.id), reload)
    return after


async def _access_group(services: Services, session: Session, channel_id: str) -> None:
    """Check that the caller is a member, and no guest, of a group channel. Raises: 403, 404, 400."""
    channel = await permissions.access_channel(services, session, channel_id, "read_channel")
    roles = await permissions.channel_roles(services, channel_id, session.user_id)
    if "channel_user" not in roles.split():
        raise AppError(
            "api.channel.gm_to_channel_conversion.not_allowed_for_user.request_error",
            403,
            "Only regular members can convert a group message.",
        )
    if channel.type != "G":
        raise _no_group()


def _no_group() -> AppError:
    error_id = "app.channel.group_message_conversion.incorrect_channel_type.app_error"
    return AppError(error_id, 400, "This is no group message.")


async def list_common_teams(services: Services, session: Session, channel_id: str) -> list[Team]:
    """Return the live teams that all active members of a group channel are in. Raises: 403, 404, 400."""
    await _access_group(services, session, channel_id)
    return await views_for(services, session, await teams.common_of(services.db, channel_id))


async def do_convert_group(
    services: Services, session: Session, channel_id: str, conversion: Conversion
) -> Channel:
    """Make a private channel of a group channel and tell its members.

    Raises: 403, 404; 400 where an active member is not in the team, or for a name that may not be or is taken.
    """
    if conversion.channel_id != channel_id:
        raise body_param("channel_id")
    if not is_id(conversion.team_id):
        raise body_param("team_id")
    await _access_group(services, session, channel_id)
    team = await permissions.access_team(services, session, conversion.team_id, "create_private_channel")
    if team.delete_at:
        raise permissions.team_missing()
    async with services.db.transaction() as tx:
        user_ids = await _keep_team_members(tx, channel_id, team.id, session.user_id, force=False)
        before = await lock_channel(tx, channel_id)
        if before.type != "G":
            raise _no_group()
        after = await _give_team(
            services,
            tx,
            before,
            team,
            user_ids,
            type="P",
            name=conversion.name,
            display_name=conversion.display_name,
        )
    user = await get_user(services, session.user_id)
    await system_posts.converted(services, after, user, user_ids)
    return after
