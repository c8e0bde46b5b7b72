"""The posts that tell a channel what happened to it. Clients render them from `props`.

Source: Mattermost API v4, system post types and their props. The message is for clients that do not know the type.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tidewire.actions.posts import do_system_post
from tidewire.actions.services import Services
from tidewire.wire.models import Channel, User
from tidewire.wire.roles import is_guest

AT_ONCE = 64  # posts under way for one request: half a group commit, so that others' posts find room


async def write_all(posts: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run calls of this module together, so that they share group commits; their order is kept.

    Raises: Unavailable.
    """
    for start in range(0, len(posts), AT_ONCE):
        await asyncio.gather(*(post() for post in posts[start : start + AT_ONCE]))


async def joined_team(services: Services, channel: Channel, user: User) -> None:
    """Say in the default channel that the user joined the team."""
    props = {"username": user.username}
    await do_system_post(
        services, channel, user.id, "system_join_team", f"{user.username} joined the team.", props
    )


async def added_to_team(services: Services, channel: Channel, adder: User, added: User) -> None:
    """Say in the default channel who added whom to the team."""
    await _added(services, channel, adder, added, "system_add_to_team", "team")


async def left_team(services: Services, channel: Channel, user: User) -> None:
    """Say in the default channel that the user left the team."""
    props = {"username": user.username}
    await do_system_post(
        services, channel, user.id, "system_leave_team", f"{user.username} left the team.", props
    )


async def removed_from_team(services: Services, channel: Channel, user: User) -> None:
    """Say in the default channel that the user was removed from the team."""
    text, props = f"{user.username} was removed from the team.", {"username": user.username}
    await do_system_post(services, channel, user.id, "system_remove_from_team", text, props)


async def joined_channel(services: Services, channel: Channel, user: User) -> None:
    """Say that the user joined the channel."""
    props = {"username": user.username}
    kind = "system_guest_join_channel" if is_guest(user.roles) else "system_join_channel"
    await do_system_post(services, channel, user.id, kind, f"{user.username} joined the channel.", props)


async def added_to_channel(
    services: Services, channel: Channel, adder: User, added: User, root_id: str = ""
) -> None:
    """Say who added whom to the channel; root_id: in that thread, or ""."""
    kind = "system_add_guest_to_chan" if is_guest(added.roles) else "system_add_to_channel"
    await _added(services, channel, adder, added, kind, "channel", root_id)


async def _added(
    services: Services, channel: Channel, adder: User, added: User, kind: str, place: str, root_id: str = ""
) -> None:
    text = f"{added.username} added to the {place} by {adder.username}."
    props: dict[str, Any] = {
        "userId": adder.id,
        "username": adder.username,
        "addedUserId": added.id,
        "addedUsername": added.username,
    }
    await do_system_post(services, channel, adder.id, kind, text, props, root_id=root_id)


async def left_channel(services: Services, channel: Channel, user: User) -> None:
    """Say that the user left the channel."""
    props = {"username": user.username}
    await do_system_post(
        services, channel, user.id, "system_leave_channel", f"{user.username} left the channel.", props
    )


async def removed_from_channel(services: Services, channel: Channel, remover: User, removed: User) -> None:
    """Say that the user was removed from the channel."""
    text = f"{removed.username} was removed from the channel."
    props = {"removedUserId": removed.id, "removedUsername": removed.username}
    await do_system_post(services, channel, remover.id, "system_remove_from_channel", text, props)


async def archived(services: Services, channel: Channel, user: User) -> None:
    """Say that the channel is being archived."""
    text, props = f"{user.username} archived the channel.", {"username": user.username}
    await do_system_post(services, channel, user.id, "system_channel_deleted", text, props)


async def restored(services: Services, channel: Channel, user: User) -> None:
    """Say that the channel is no longer archived."""
    text, props = f"{user.username} unarchived the channel.", {"username": user.username}
    await do_system_post(services, channel, user.id, "system_channel_restored", text, props)


async def privacy_changed(services: Services, channel: Channel, user: User) -> None:
    """Say that the channel became public or private."""
    became = "public" if channel.type == "O" else "private"
    text = f"This channel has been converted to a {became} channel."
    await do_system_post(
        services, channel, user.id, "system_change_chan_privacy", text, {"username": user.username}
    )


async def moved(services: Services, channel: Channel, from_team: str, user: User) -> None:
    """Say from which team (its name) the channel came."""
    text = f"This channel has been moved to this team from {from_team}."
    await do_system_post(services, channel, user.id, "system_move_channel", text, {"username": user.username})


async def converted(services: Services, channel: Channel, user: User, member_ids: Sequence[str]) -> None:
    """Say that a group channel became a private channel."""
    text = f"{user.username} created this channel from a group message."
    props: dict[str, Any] = {
        "convertedByUserId": user.id,
        "gmMembersDuringConversionIDs": list(member_ids),
    }
    await do_system_post(services, channel, user.id, "system_gm_to_channel", text, props)


_CHANGES = {"display_name": "displayname", "header": "header", "purpose": "purpose"}


async def changed(services: Services, before: Channel, after: Channel, user: User) -> None:
    """Say which of name, header and purpose changed, one post each."""
    for field, kind in _CHANGES.items():
        old, new = getattr(before, field), getattr(after, field)
        if old == new:
            continue
        what = field.replace("_", " ")
        text = f"{user.username} updated the channel {what} from: {old} to: {new}"
        props = {"username": user.username, f"old_{kind}": old, f"new_{kind}": new}
        await do_system_post(services, after, user.id, f"system_{kind}_change", text, props)
