"""Channel memberships: add, remove, read, view. What is announced of them is tidewire.actions.membership."""

from functools import partial

from msgspec import Struct

from tidewire.actions import permissions, system_posts
from tidewire.actions.membership import add_to_channel, remove_from_channel
from tidewire.actions.services import Services
from tidewire.actions.team_members import leave as leave_team
from tidewire.actions.users import get_user, get_users
from tidewire.store import members, posts, teams
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id, now_ms
from tidewire.wire.models import Channel, ChannelMember, Session
from tidewire.wire.roles import is_guest
from tidewire.wire.views import member_view

_MANAGES = {"O": "manage_public_channel_members", "P": "manage_private_channel_members"}


class Typing(Struct):
    """Where a user types: a channel, and the root of a thread or ""."""

    channel_id: str = ""
    parent_id: str = ""


def member_missing() -> AppError:
    """Return the 404 for one who is not in the channel."""
    return AppError("app.channel.get_member.missing.app_error", 404, "No channel member found for that user.")


async def get_member(services: Services, session: Session, channel_id: str, user_id: str) -> ChannelMember:
    """Return a membership as the caller may see it. Raises: 403, 404."""
    await permissions.access_channel(services, session, channel_id, "read_channel")
    found = await members.get(services.db, channel_id, [user_id])
    if not found:
        raise member_missing()
    return member_view(found[0], session.user_id)


async def list_members(
    services: Services, session: Session, channel_id: str, *, limit: int, offset: int
) -> list[ChannelMember]:
    """Return a page of a channel's memberships. Raises: 403, 404."""
    await permissions.access_channel(services, session, channel_id, "read_channel")
    found = await members.page(services.db, channel_id, limit=limit, offset=offset)
    return [member_view(member, session.user_id) for member in found]


async def get_members(
    services: Services, session: Session, channel_id: str, user_ids: list[str]
) -> list[ChannelMember]:
    """Return the memberships that these users have. Raises: 403, 404."""
    await permissions.access_channel(services, session, channel_id, "read_channel")
    found = await members.get(services.db, channel_id, user_ids)
    return [member_view(member, session.user_id) for member in found]


async def do_add_members(
    services: Services, session: Session, channel_id: str, user_ids: list[str], post_root_id: str = ""
) -> list[ChannelMember]:
    """Add users, or the caller himself, to an O or P channel; return the memberships, also of those who had one.

    post_root_id: the post of the channel in whose thread the additions are told, or "".
    Raises: 403, 404; 400 for D and G; of several users those who cannot be added are left out while one can.
    """
    channel = await _access_for_adding(services, session, channel_id, user_ids)
    root_id = await _root_of(services, channel_id, post_root_id) if post_root_id else ""
    known = {user.id: user for user in await get_users(services, user_ids) if not user.delete_at}
    now = now_ms()
    async with services.db.transaction() as tx:
        allowed = await teams.hold_members(tx, channel.team_id, sorted(known))
        if not allowed:
            raise AppError(
                "app.team.get_member.missing.app_error", 404, "No team member found for that user and team."
            )
        joined = await add_to_channel(tx, channel, sorted(allowed), at=now)
        found = await members.get(tx, channel_id, sorted(allowed))
    adder = await get_user(services, session.user_id)
    await system_posts.write_all(
        [
            partial(system_posts.joined_channel, services, channel, adder)
            if user_id == adder.id
            else partial(system_posts.added_to_channel, services, channel, adder, known[user_id], root_id)
            for user_id in joined
        ]
    )
    return [member_view(member, session.user_id) for member in found]


async def _root_of(services: Services, channel_id: str, post_id: str) -> str:
    """Return the root of a post of the channel. Raises: 400."""
    found = await posts.load(services.db, [post_id]) if is_id(post_id) else []
    if not found or found[0].channel_id != channel_id:
        raise body_param("post_root_id")
    return found[0].root_id or post_id


async def _access_for_adding(
    services: Services, session: Session, channel_id: str, user_ids: list[str]
) -> Channel:
    channel = await permissions.load_channel(services, channel_id)
    if channel is None:
        raise permissions.channel_missing() if permissions.is_admin(session) else forbidden()
    if channel.type not in _MANAGES:
        await permissions.access_channel(services, session, channel_id, "read_channel")
        raise AppError(
            "api.channel.add_user_to_channel.type.app_error", 400, "Cannot add a user to this channel type."
        )
    alone = user_ids == [session.user_id]
    member_already = alone and await permissions.channel_roles(services, channel_id, session.user_id)
    if alone and channel.type == "O" and not member_already:
        await permissions.check_team(services, session, channel.team_id, "join_public_channels")
    elif not member_already:
        await permissions.access_channel(services, session, channel_id, _MANAGES[channel.type])
    if channel.delete_at:
        raise AppError("api.channel.add_members.error", 400, "The channel has been archived.")
    return channel


async def do_remove_member(services: Services, session: Session, channel_id: str, user_id: str) -> None:
    """Take a user, or the caller, out of an O or P channel. Raises: 403, 404; 400 for D, G, the default channel."""
    channel = await permissions.load_channel(services, channel_id)
    if channel is None:
        raise permissions.channel_missing() if permissions.is_admin(session) else forbidden()
    if channel.type not in _MANAGES or user_id == session.user_id:
        await permissions.access_channel(services, session, channel_id, "read_channel")
    else:
        await permissions.access_channel(services, session, channel_id, _MANAGES[channel.type])
    if channel.type not in _MANAGES:
        raise AppError(
            "api.channel.remove_channel_member.type.app_error",
            400,
            "Cannot remove a user from this channel type.",
        )
    if channel.delete_at:
        raise AppError(
            "api.channel.remove_user_from_channel.deleted.app_error", 400, "The channel is archived."
        )
    user = await get_user(services, user_id)
    guest = is_guest(user.roles)
    if channel.name == defaults.DEFAULT_CHANNEL and not guest:
        raise AppError("api.channel.remove.default.app_error", 400, "Nobody leaves the default channel.")
    async with services.db.transaction() as tx:
        # Mattermost API v4: a guest without a channel is out of the team. The team's row first, as in team_members.
        if guest:
            await teams.lock_member(tx, channel.team_id, user_id)
        if not await remove_from_channel(tx, channel, user_id, remover_id=session.user_id):
            raise member_missing()
        if guest and not await members.count_in_team(tx, user_id, channel.team_id):
            await leave_team(tx, channel.team_id, user_id, remover_id=session.user_id)
    if user_id == session.user_id:
        await system_posts.left_channel(services, channel, user)
    else:
        remover = await get_user(services, session.user_id)
        await system_posts.removed_from_channel(services, channel, remover, user)


async def get_unread(
    services: Services, session: Session, user_id: str, channel_id: str
) -> dict[str, str | int]:
    """Return a ChannelUnread. Raises: 403, 404."""
    permissions.check_self(session, user_id)
    await permissions.access_channel(services, session, channel_id, "read_channel")
    found = await members.unread(services.db, user_id, channel_id)
    if found is None:
        raise member_missing()
    return found._asdict()


async def do_type(services: Services, session: Session, user_id: str, typing: Typing) -> None:
    """Tell the channel's other members that the user types; at most so often.

    Never in an archived channel, nor where the configuration wants none. Raises: 403; 400 for malformed ids.
    """
    permissions.check_self(session, user_id, "manage_system")
    if not is_id(typing.channel_id):
        raise body_param("channel_id")
    if typing.parent_id and not is_id(typing.parent_id):
        raise body_param("parent_id")
    channel = await permissions.access_channel(services, session, typing.channel_id, "create_post")
    if not channel.delete_at and services.config.flag("ServiceSettings.EnableUserTypingMessages"):
        services.typists.typing(typing.channel_id, typing.parent_id, user_id)
