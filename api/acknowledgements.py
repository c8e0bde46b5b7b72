"""Acknowledgements of posts. Source: Mattermost API v4, posts."""

from api.call import Call
from api.routing import OK, route
from tidewire.actions import acknowledgements
from tidewire.wire.models import PostAcknowledgement


@route("POST", "/users/{user_id}/posts/{post_id}/ack")
async def acknowledge(call: Call) -> PostAcknowledgement:
    """Acknowledge a post that asks for it."""
    user_id, post_id = call.path_id("user_id"), call.path_id("post_id")
    return await acknowledgements.do_acknowledge(call.services, call.login, user_id, post_id)


@route("DELETE", "/users/{user_id}/posts/{post_id}/ack")
async def take_back(call: Call) -> bytes:
    """Take an acknowledgement back, within 5 minutes."""
    user_id, post_id = call.path_id("user_id"), call.path_id("post_id")
    await acknowledgements.do_take_back(call.services, call.login, user_id, post_id)
    return OK
