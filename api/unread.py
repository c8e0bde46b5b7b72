"""Read state of channels, and what waits for a user. Rules are in tidewire.actions.unread."""

from typing import Any

from api.call import Call
from api.routing import route
from tidewire.actions import channel_members, unread
from tidewire.actions.unread import ChannelView, UnreadFrom


def _viewed(times: dict[str, int]) -> dict[str, object]:
    return {"status": "OK", "last_viewed_at_times": times}


@route("POST", "/channels/members/{user_id}/view")
async def view_channel(call: Call) -> dict[str, object]:
    """Mark the opened channel and the one left as read."""
    user_id, view = call.path_id("user_id"), await call.body(ChannelView)
    times = await unread.do_view_channel(call.services, call.login, user_id, view)
    await call.extend_session()
    return _viewed(times)


@route("POST", "/channels/members/{user_id}/mark_read")
async def mark_channels_read(call: Call) -> dict[str, object]:
    """Mark channels as read."""
    user_id, channel_ids = call.path_id("user_id"), await call.id_list()
    return _viewed(await unread.do_mark_read(call.services, call.login, user_id, channel_ids))


@route("POST", "/users/{user_id}/posts/{post_id}/set_unread")
async def set_unread(call: Call) -> dict[str, Any]:
    """Mark a channel as unread from a post on."""
    user_id, post_id = call.path_id("user_id"), call.path_id("post_id")
    how = await call.body(UnreadFrom) if call.req.content_length else UnreadFrom()
    state = await unread.do_set_unread(call.services, call.login, user_id, post_id, how)
    return state._asdict()


@route("GET", "/users/{user_id}/channels/{channel_id}/unread")
async def get_unread(call: Call) -> dict[str, str | int]:
    """What waits for a user in a channel."""
    user_id, channel_id = call.path_id("user_id"), call.path_id("channel_id")
    return await channel_members.get_unread(call.services, call.login, user_id, channel_id)
