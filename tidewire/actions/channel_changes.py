"""Changes of a channel itself: texts, privacy, archive, restore. Moves between teams are channel_moves."""

from typing import Any

from msgspec import Struct, structs

from tidewire.actions import channel_mentions, permissions, system_posts, validate
from tidewire.actions.copies import announce, to_channel, to_team
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.bus.envelope import channel_key, team_key
from tidewire.store import channels
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.events import as_text
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Channel, Session

_PROPERTIES = {"O": "manage_public_channel_properties", "P": "manage_private_channel_properties"}
_DELETES = {"O": "delete_public_channel", "P": "delete_private_channel"}
_CONVERTS = {"O": "convert_private_channel_to_public", "P": "convert_public_channel_to_private"}


class ChannelUpdate(Struct):
    """A whole channel as a client sends it back; only what may change is read. An empty name keeps the old one."""

    id: str = ""
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
    banner_info: dict[str, Any] | None = None  # of licensed servers
    autotranslation: bool | None = None


class ChannelPrivacy(Struct):
    """O or P."""

    privacy: str = ""


async def do_update_channel(
    services: Services, session: Session, channel_id: str, update: ChannelUpdate
) -> Channel:
    """Replace a channel's texts and tell its members. Raises: 403, 404, 400 as do_patch_channel."""
    if update.id != channel_id:
        raise body_param("channel_id")
    known = await _access(services, session, channel_id)
    changed: dict[str, str] = {
        name: value for name in ("name", "display_name") if (value := getattr(update, name))
    }
    if known.type in _PROPERTIES:
        changed["purpose"] = update.purpose
    elif update.purpose:
        raise _not_for_groups("update_channel")
    changed["header"] = update.header
    return await _change(services, session, channel_id, changed, "update_channel", update.type)


async def do_patch_channel(
    services: Services, session: Session, channel_id: str, patch: ChannelPatch
) -> Channel:
    """Change a channel and tell its members. Members of D and G may change the header only.

    Raises: 403, 404; 400 for an archived channel, an empty patch, a taken or forbidden name.
    """
    await _access(services, session, channel_id)
    if patch.banner_info is not None or patch.autotranslation is not None:
        raise AppError(
            "api.channel.patch_update_channel.feature_not_available.app_error",
            403,
            "Your licence does not support this feature.",
        )
    names = ("name", "display_name", "header", "purpose")
    changed = {name: value for name in names if (value := getattr(patch, name)) is not None}
    if not changed:
        raise AppError("api.channel.patch_update_channel.no_changes.app_error", 400, "Nothing to change.")
    return await _change(services, session, channel_id, changed, "patch_update_channel")


async def _access(services: Services, session: Session, channel_id: str) -> Channel:
    """Return a channel that the caller may change; all refusals look the same. Raises: 403; 404 for an admin."""
    known = await permissions.load_channel(services, channel_id)
    needed = _PROPERTIES.get(known.type, "read_channel") if known else "read_channel"
    if not await permissions.has_channel(services, session, channel_id, needed):
        raise AppError(
            "api.channel.patch_update_channel.forbidden.app_error", 403, "You cannot change this channel."
        )
    if known is None:
        raise permissions.channel_missing()
    return known


async def _change(
    services: Services, session: Session, channel_id: str, changed: dict[str, str], call: str, type: str = ""
) -> Channel:
    """Change a channel. call: the operation as error ids name it; type: "" or what the caller takes it for."""
    async with services.db.transaction() as tx:
        before = await lock_channel(tx, channel_id)
        _check_change(before, changed, call, type)
        after = structs.replace(before, **changed, update_at=max(now_ms(), before.update_at + 1))
        if after.type in _PROPERTIES:
            validate.check_channel(after)
        else:
            validate.check_channel_texts(after)
        await channels.update(tx, after)
        [after] = await channel_mentions.fill(tx, [after])
        announce_updated(tx, after)
    await system_posts.changed(services, before, after, await get_user(services, session.user_id))
    return after


async def lock_channel(tx: Transaction, channel_id: str) -> Channel:
    """Return a channel, locked against changes and posts until the transaction ends. Raises: 404."""
    channel = await channels.lock(tx, channel_id)
    if channel is None:
        raise permissions.channel_missing()
    return channel


def announce_updated(tx: Transaction, channel: Channel) -> None:
    """Tell a channel's members its new row."""
    announce(
        tx,
        channel_key(channel.id),
        [to_channel("channel_updated", {"channel": as_text(channel)}, channel.id)],
        invalidates=["channel:" + channel.id],
    )


def _not_for_groups(call: str) -> AppError:
    return AppError(
        f"api.channel.{call}.update_direct_or_group_messages_not_allowed.app_error",
        400,
        "Only the header of a direct or group channel can be changed.",
    )


def _check_change(channel: Channel, changed: dict[str, str], call: str, type: str) -> None:
    if channel.delete_at:
        raise AppError("api.channel.update_channel.deleted.app_error", 400, "The channel has been archived.")
    if type not in ("", channel.type):
        raise AppError("api.channel.update_channel.typechange.app_error", 400, "A channel keeps its type.")
    others = (getattr(channel, name) != value for name, value in changed.items() if name != "header")
    if channel.type not in _PROPERTIES and any(others):
        raise _not_for_groups(call)
    if channel.name == defaults.DEFAULT_CHANNEL and changed.get("name", channel.name) != channel.name:
        raise AppError(
            "api.channel.update_channel.tried.app_error", 400, "The default channel keeps its name."
        )


async def do_set_privacy(services: Services, session: Session, channel_id: str, privacy: str) -> Channel:
    """Make a channel public or private; tell its members, and the team of one that is now private.

    Raises: 403, 404; 400 for the default channel, D and G.
    """
    if privacy not in _CONVERTS:
        raise body_param("privacy")
    known = await permissions.access_channel(services, session, channel_id, _CONVERTS[privacy])
    if known.type not in _PROPERTIES:
        raise AppError("api.channel.update_channel.typechange.app_error", 400, "D and G keep their type.")
    if known.name == defaults.DEFAULT_CHANNEL and privacy == "P":
        text = "The default channel cannot be made private."
        raise AppError("api.channel.update_channel_privacy.default_channel_error", 400, text)
    async with services.db.transaction() as tx:
        before = await lock_channel(tx, channel_id)
        if before.delete_at:
            raise AppError(
                "api.channel.update_channel.deleted.app_error", 400, "The channel has been archived."
            )
        after = structs.replace(before, type=privacy, update_at=max(now_ms(), before.update_at + 1))
        await channels.update(tx, after)
        announce_updated(tx, after)
        if privacy == "P" and before.type == "O":
            told = to_team("channel_converted", {"channel_id": channel_id}, after.team_id)
            announce(tx, team_key(after.team_id), [told])
    if before.type != after.type:
        await system_posts.privacy_changed(services, after, await get_user(services, session.user_id))
    return after


async def access_channel_for_deletion(services: Services, session: Session, channel_id: str) -> Channel:
    """Return an O or P channel, archived ones too, that the caller may archive. Raises: 403, 404, 400."""
    known = await permissions.load_channel(services, channel_id)
    if known is not None and known.type not in _DELETES:
        # Only those who are in it learn that it is a direct or group channel.
        await permissions.access_channel(services, session, channel_id, "read_channel")
        raise AppError("api.channel.delete_channel.type.invalid", 400, "Direct and group channels stay.")
    needed = _DELETES[known.type] if known else "delete_public_channel"
    channel = await permissions.access_channel(services, session, channel_id, needed)
    if channel.name == defaults.DEFAULT_CHANNEL:
        raise AppError("api.channel.delete_channel.cannot.app_error", 400, "The default channel stays.")
    return channel


async def do_archive_channel(services: Services, session: Session, channel_id: str) -> None:
    """Archive an O or P channel and tell: the team for O, the members for P. Raises: 403, 404, 400."""
    channel = await access_channel_for_deletion(services, session, channel_id)
    if channel.delete_at:
        raise _archived_already()
    await system_posts.archived(services, channel, await get_user(services, session.user_id))
    async with services.db.transaction() as tx:
        before = await lock_channel(tx, channel_id)
        if before.delete_at:
            raise _archived_already()
        now = max(now_ms(), before.update_at + 1)
        await channels.update(tx, structs.replace(before, delete_at=now, update_at=now))
        tell(tx, before, "channel_deleted", {"channel_id": channel_id, "delete_at": now})


def _archived_already() -> AppError:
    return AppError(
        "api.channel.delete_channel.deleted.app_error", 400, "The channel has been archived already."
    )


async def do_restore_channel(services: Services, session: Session, channel_id: str) -> Channel:
    """Bring an archived channel back and tell: the team for O, the members for P. Raises: 403, 404, 400."""
    await permissions.access_channel(services, session, channel_id, "manage_team")
    async with services.db.transaction() as tx:
        before = await lock_channel(tx, channel_id)
        if not before.delete_at:
            raise AppError(
                "api.channel.restore_channel.restored.app_error", 400, "The channel is not archived."
            )
        if await channels.count_locked(tx, before.team_id) >= services.config.number("TeamSettings.MaxChannelsPerTeam"):
            raise channels.too_many()
        after = structs.replace(before, delete_at=0, update_at=max(now_ms(), before.update_at + 1))
        await channels.update(tx, after)
        tell(tx, after, "channel_restored", {"channel_id": channel_id})
    await system_posts.restored(services, after, await get_user(services, session.user_id))
    return after


def tell(tx: Transaction, channel: Channel, event: str, data: dict[str, Any]) -> None:
    """Announce to those who may know of the channel: its team, or its members."""
    stale = ["channel:" + channel.id]
    if channel.type == "O":
        announce(tx, team_key(channel.team_id), [to_team(event, data, channel.team_id)], invalidates=stale)
    else:
        announce(tx, channel_key(channel.id), [to_channel(event, data, channel.id)], invalidates=stale)
