"""Channels: create, find, change, archive. Who is in them is tidewire.actions.channel_members."""

from hashlib import sha1

from msgspec import Struct, structs

from tidewire.actions import permissions, system_posts, validate
from tidewire.actions.copies import announce, to_channel, to_team, to_user
from tidewire.actions.membership import announce_joined
from tidewire.actions.services import Services
from tidewire.actions.users import get_user, get_users
from tidewire.bus.envelope import channel_key, team_key
from tidewire.store import channels, members
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


class ChannelPatch(Struct):
    """What one may change about a channel; what is missing or null stays."""

    name: str | None = None
    display_name: str | None = None
    header: str | None = None
    purpose: str | None = None


async def get_channel(services: Services, session: Session, channel_id: str) -> Channel:
    """Return a channel the caller may see, with today's counters. Raises: 403, 404."""
    await permissions.access_channel_for_read(services, session, channel_id)
    rows = await channels.by_ids(services.db, [channel_id])
    if not rows:
        raise permissions.channel_missing()
    return rows[0]


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
    return found


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
            raise AppError(
                "store.sql_channel.save_channel.limit.app_error", 400, "The team has too many channels."
            )
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
    await _check_people(services, ids, "api.channel.create_direct_channel.invalid_user.app_error")
    now = now_ms()
    channel = Channel(
        new_id(now),
        "",
        "D",
        "__".join(sorted(user_ids)),
        create_at=now,
        update_at=now,
        creator_id=session.user_id,
    )
    other = next((user_id for user_id in user_ids if user_id != session.user_id), session.user_id)
    data = {"creator_id": session.user_id, "teammate_id": other}
    async with services.db.transaction() as tx:
        if made := await channels.insert(tx, channel):
            await _first_members(tx, channel, ids, at=now)
            announce_joined(tx, channel, ids, [to_channel("direct_added", data, channel.id)])
    return channel if made else await _existing(services, channel.name)


async def do_create_group(services: Services, session: Session, user_ids: list[str]) -> Channel:
    """Return the group channel of the caller and 2 to 7 others, made now if there was none. Raises: 403; 400."""
    permissions.check_system(session, "create_group_channel")
    ids = sorted({*user_ids, session.user_id})
    if not GROUP_MIN <= len(ids) <= GROUP_MAX:
        raise AppError(
            "api.channel.create_group.bad_size.app_error", 400, "Group channels have 3 to 8 members."
        )
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


_PROPERTIES = {"O": "manage_public_channel_properties", "P": "manage_private_channel_properties"}


async def do_patch_channel(
    services: Services, session: Session, channel_id: str, patch: ChannelPatch
) -> Channel:
    """Change a channel and tell its members. Members of D and G may change the header only.

    Raises: 403, 404; 400 for an archived channel, an empty patch, a taken or forbidden name.
    """
    known = await permissions.load_channel(services, channel_id)
    needed = _PROPERTIES.get(known.type, "read_channel") if known else "read_channel"
    await permissions.access_channel(services, session, channel_id, needed)
    changed = {
        name: value for name in ChannelPatch.__struct_fields__ if (value := getattr(patch, name)) is not None
    }
    if not changed:
        raise AppError("api.channel.patch_update_channel.no_changes.app_error", 400, "Nothing to change.")
    async with services.db.transaction() as tx:
        before = await channels.lock(tx, channel_id)
        if before is None:
            raise permissions.channel_missing()
        _check_patch(before, changed)
        after = structs.replace(before, **changed, update_at=max(now_ms(), before.update_at + 1))
        if after.type in _PROPERTIES:
            validate.check_channel(after)
        else:
            validate.check_channel_texts(after)
        await channels.update(tx, after)
        announce(
            tx,
            channel_key(channel_id),
            [to_channel("channel_updated", {"channel": as_text(after)}, channel_id)],
            invalidates=["channel:" + channel_id],
        )
    await system_posts.changed(services, before, after, await get_user(services, session.user_id))
    return after


def _check_patch(channel: Channel, changed: dict[str, str]) -> None:
    if channel.delete_at:
        raise AppError("api.channel.update_channel.deleted.app_error", 400, "The channel has been archived.")
    if channel.type not in _PROPERTIES and changed.keys() - {"header"}:
        raise AppError(
            "api.channel.patch_update_channel.update_direct_or_group_messages_not_allowed.app_error",
            400,
            "Only the header of a direct or group channel can be changed.",
        )
    if channel.name == defaults.DEFAULT_CHANNEL and changed.get("name", channel.name) != channel.name:
        raise AppError(
            "api.channel.update_channel.tried.app_error", 400, "The default channel keeps its name."
        )


_DELETES = {"O": "delete_public_channel", "P": "delete_private_channel"}


async def do_archive_channel(services: Services, session: Session, channel_id: str) -> None:
    """Archive an O or P channel and tell: the team for O, the members for P. Raises: 403, 404, 400."""
    known = await permissions.load_channel(services, channel_id)
    if known is not None and known.type not in _DELETES:
        # Only those who are in it learn that it is a direct or group channel.
        await permissions.access_channel(services, session, channel_id, "read_channel")
        raise AppError("api.channel.delete_channel.type.invalid", 400, "Direct and group channels stay.")
    needed = _DELETES[known.type] if known else "delete_public_channel"
    channel = await permissions.access_channel(services, session, channel_id, needed)
    if channel.name == defaults.DEFAULT_CHANNEL:
        raise AppError("api.channel.delete_channel.cannot.app_error", 400, "The default channel stays.")
    if channel.delete_at:
        raise _archived_already()
    await system_posts.archived(services, channel, await get_user(services, session.user_id))
    async with services.db.transaction() as tx:
        before = await channels.lock(tx, channel_id)
        if before is None or before.delete_at:
            raise _archived_already()
        now = max(now_ms(), before.update_at + 1)
        await channels.update(tx, structs.replace(before, delete_at=now, update_at=now))
        data = {"channel_id": channel_id, "delete_at": now}
        to_whom = (
            (team_key(channel.team_id), to_team("channel_deleted", data, channel.team_id))
            if channel.type == "O"
            else (channel_key(channel_id), to_channel("channel_deleted", data, channel_id))
        )
        announce(tx, to_whom[0], [to_whom[1]], invalidates=["channel:" + channel_id])


def _archived_already() -> AppError:
    return AppError(
        "api.channel.delete_channel.deleted.app_error", 400, "The channel has been archived already."
    )
