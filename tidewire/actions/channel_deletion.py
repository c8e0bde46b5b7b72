"""Deleting a channel for good, where the configuration allows it. Archiving is tidewire.actions.channel_changes."""

from msgspec import structs

from tidewire.actions.channel_changes import access_channel_for_deletion, lock_channel, tell
from tidewire.actions.copies import announce
from tidewire.actions.membership import member_key
from tidewire.actions.services import Services
from tidewire.bus.envelope import LeaveChannel, channel_key
from tidewire.store import channels, permanent, team_deletion
from tidewire.wire.errors import AppError
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session


async def do_delete_channel(services: Services, session: Session, channel_id: str) -> None:
    """Delete a channel with its posts and memberships; tell of it as of an archived one, and let everybody out.

    Raises: 403, also while ServiceSettings.EnableAPIChannelDeletion is off; 404; 400 for D, G and the default channel.
    Source: Mattermost API v4, "Delete a channel", permanent.
    """
    await access_channel_for_deletion(services, session, channel_id)
    if not services.config.flag("ServiceSettings.EnableAPIChannelDeletion"):
        # 403 and not the reference's 401, which would make clients forget their login.
        text = "Permanent channel deletion feature is not enabled."
        raise AppError("api.user.delete_channel.not_enabled.app_error", 403, text)
    async with services.db.transaction() as tx:
        left = [user_id for _, user_id in await team_deletion.end_channel_memberships(tx, [channel_id])]
        before = await lock_channel(tx, channel_id)
        now = max(now_ms(), before.update_at + 1)
        await channels.update(tx, structs.replace(before, delete_at=now, update_at=now))
        # Effects come before copies, so those who leave are told first.
        tell(tx, before, "channel_deleted", {"channel_id": channel_id, "delete_at": now})
        announce(
            tx,
            channel_key(channel_id),
            effects=[LeaveChannel(user_id, channel_id) for user_id in left],
            invalidates=["channel:" + channel_id, *(member_key(channel_id, user_id) for user_id in left)],
        )
    await team_deletion.delete_posts(services.db, [channel_id])
    await permanent.delete_channels(services.db, [channel_id])
