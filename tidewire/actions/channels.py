"""Channels: create and find. Changes are tidewire.actions.channel_changes; who is in them channel_members."""

from hashlib import sha1

from msgspec import Struct

from tidewire.actions import channel_mentions, permissions, system_posts, validate
from tidewire.actions.copies import to_channel, to_user
from tidewire.actions.membership import announce_joined
from tidewire.actions.services import Services
from tidewire.actions.users import get_user, get_users
from tidewire.actions.visibility import check_visible
from tidewire.store import channels, members, teams
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.events import as_text
from tidewire.wire.ids import is_id, new_id, now_ms
from tidewire.wire.models import Channel, Session, User

GROUP_MIN, GROUP_MAX = 3, 8  # members of a group channel, its creator among them


class NewChannel(Struct):
    """What one may say about a new channel; other members of the body are ignored."""

    team_id: str = ""
    type: str = ""
    name: str = ""
    display_name: str = ""
    header: str = ""
    purpose: str = ""


async def get_channel(services: Services, session: Session, channel_id: str) -> Channel:
    """Return a channel the caller may see, with today's counters. Raises: 403, 404."""
    await permissions.access_channel_for_read(services, session, channel_id)
    rows = await channels.by_ids(services.db, [channel_id])
    if not rows:
        raise permissions.channel_missing()
    return (await channel_mentions.fill(services.db, rows))[0]


async def get_channel_by_name(
    services: Services, session: Session, team_id: str, name: str, *, archived: bool
) -> Channel:
    """Return a channel of a team by name, D and G too. Raises: 404, also for what the caller may not see."""
    found = await channels.by_name(services.db, team_id, name, archived=archived)
    if found is None:
        # D and G belong to no team but are found in each, as in the reference.
        found = await channels.by_name(services.db, "", name, archived=archived)
    missing = AppError("app.channel.get_by_name.missing.app_error", 404, "Channel does not exist.")
    if found is None:
        raise missing
    try:
        await permissions.access_channel_for_read(services, session, found.id)
    except AppError as error:
        raise missing from error
    return (await channel_mentions.fill(services.db, [found]))[0]


async def do_create_channel(services: Services, session: Session, new: NewChannel) -> Channel:
    """Store an O or P channel; the caller runs it. Raises: 403; 400 for what may not be, is taken or over the limit."""
    now = now_ms()
    channel = Channel(
        id=new_id(now),
        team_id=new.team_id,
        type=new.type,
        name=new.name,
        display_name=new.display_name or new.name,
        create_at=now,
        update_at=now,
        header=new.header,
        purpose=new.purpose,
        creator_id=session.user_id,
    )
    if not is_id(new.team_id):
        raise body_param("team_id")
    validate.check_channel(channel)
    needed = "create_public_channel" if new.type == "O" else "create_private_channel"
    team = await permissions.access_team(services, session, new.team_id, needed)
    if team.delete_at:
        raise permissions.team_missing()
    user = await get_user(services, session.user_id)
    data = {"channel_id": channel.id, "team_id": channel.team_id}
    async with services.db.transaction() as tx:
        if await channels.count_locked(tx, channel.team_id) >= services.config.number(
            "TeamSettings.MaxChannelsPerTeam"
        ):
            raise channels.too_many()
        if not await channels.insert(tx, channel):
            raise channels.name_taken()
        await _first_members(tx, channel, [user.id], at=now, admin=user.id)
        announce_joined(tx, channel, [user.id], [to_user("channel_created", data, user.id)])
    await system_posts.joined_channel(services, channel, user)
    return channel


async def _first_members(
    tx: Transaction, channel: Channel, user_ids: list[str], *, at: int, admin: str = ""
) -> None:
    await members.join(
        tx, channel.id, sorted(user_ids), at=at, notify_props=defaults.CHANNEL_NOTIFY_PROPS, admin=admin
    )


async def _check_people(services: Services, ids: list[str], error_id: str) -> list[User]:
    """Return the accounts, all of which must exist and be active."""
    found = await get_users(services, ids)
    if len(found) != len(ids) or any(user.delete_at for user in found):
        raise AppError(error_id, 400, "A user does not exist or is deactivated.")
    return found


async def do_create_direct(services: Services, session: Session, user_ids: list[str]) -> Channel:
    """Return the direct channel of two users, made now if there was none. Raises: 403; 400 for unknown users."""
    permissions.check_system(session, "create_direct_channel")
    if session.user_id not in user_ids and not permissions.is_admin(session):
        raise forbidden()
    ids = sorted(set(user_ids))
    await check_visible(services, session, ids)
    found = await _check_people(services, ids, "api.channel.create_direct_channel.invalid_user.app_error")
    if services.config.text("TeamSettings.RestrictDirectMessage") == "team":
        await _check_common_team(services, session, found)
    return await open_direct(services, session.user_id, user_ids)


async def open_direct(services: Services, creator_id: str, user_ids: list[str]) -> Channel:
    """Return the direct channel of two users, or of one with himself; made now, by creator_id, if there was none."""
    now, ids = now_ms(), sorted(set(user_ids))
    channel = Channel(
        new_id(now),
        "",
        "D",
        "__".join(sorted(user_ids)),
        create_at=now,
        update_at=now,
        creator_id=creator_id,
    )
    other = next((user_id for user_id in user_ids if user_id != creator_id), creator_id)
    data = {"creator_id": creator_id, "teammate_id": other}
    async with services.db.transaction() as tx:
        if made := await channels.insert(tx, channel):
            await _first_members(tx, channel, ids, at=now)
            announce_joined(tx, channel, ids, [to_channel("direct_added", data, channel.id)])
    return channel if made else await _existing(services, channel.name)


async def _check_common_team(services: Services, session: Session, people: list[User]) -> None:
    """Raise 403 unless two users share a team. Bots may write to everybody, and so may admins."""
    if len(people) < 2 or permissions.is_admin(session) or any(user.is_bot for user in people):
        return
    if not await teams.share_team(services.db, people[0].id, people[1].id):
        text = "You cannot message users who share no team with you."
        raise AppError("api.channel.create_channel.direct_channel.team_restricted_error", 403, text)


async def do_create_group(services: Services, session: Session, user_ids: list[str]) -> Channel:
    """Return the group channel of the caller and 2 to 7 others, made now if there was none. Raises: 403; 400."""
    permissions.check_system(session, "create_group_channel")
    ids = sorted({*user_ids, session.user_id})
    if not GROUP_MIN <= len(ids) <= GROUP_MAX:
        raise AppError(
            "api.channel.create_group.bad_size.app_error", 400, "Group channels have 3 to 8 members."
        )
    await check_visible(services, session, ids)
    found = await _check_people(services, ids, "api.channel.create_group.bad_user.app_error")
    now = now_ms()
    channel = Channel(
        id=new_id(now),
        team_id="",
        type="G",
        name=sha1("".join(ids).encode(), usedforsecurity=False).hexdigest(),
        display_name=", ".join(sorted(user.username for user in found))[:64],
        create_at=now,
        update_at=now,
        creator_id=session.user_id,
    )
    data = {"teammate_ids": as_text(ids)}
    async with services.db.transaction() as tx:
        if made := await channels.insert(tx, channel):
            await _first_members(tx, channel, ids, at=now)
            copies = [to_user("group_added", data, user_id, channel_id=channel.id) for user_id in ids]
            announce_joined(tx, channel, ids, copies)
    return channel if made else await _existing(services, channel.name)


async def _existing(services: Services, name: str) -> Channel:
    channel = await channels.by_name(services.db, "", name, archived=True)
    assert channel is not None, "D and G are never deleted"
    return channel
