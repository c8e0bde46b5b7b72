"""Drafts. Source: Mattermost API v4, drafts."""

from api.call import Call
from api.routing import OK, Created, route
from tidewire.actions import drafts
from tidewire.wire.ids import is_id
from tidewire.wire.models import Draft, DraftView


def _connection(call: Call) -> str:
    """Return the caller's own WebSocket connection as he names it, or ""."""
    named = call.header("Connection-Id")
    return named if is_id(named) else ""


@route("POST", "/drafts")
async def put_draft(call: Call) -> Created:
    """Store a draft over the one in its place."""
    draft: Draft = await call.body(Draft, "draft")
    return Created(await drafts.do_put_draft(call.services, call.login, draft, _connection(call)))


@route("GET", "/users/{user_id}/teams/{team_id}/drafts")
async def get_drafts(call: Call) -> list[DraftView]:
    """List a user's drafts in a team and in his direct and group channels."""
    user_id, team_id = call.path_id("user_id"), call.path_id("team_id")
    return await drafts.list_drafts(call.services, call.login, user_id, team_id)


@route("DELETE", "/users/{user_id}/channels/{channel_id}/drafts")
async def delete_draft(call: Call) -> bytes:
    """Delete the draft of a channel."""
    user_id, channel_id = call.path_id("user_id"), call.path_id("channel_id")
    await drafts.do_delete_draft(call.services, call.login, user_id, channel_id, "", _connection(call))
    return OK


@route("DELETE", "/users/{user_id}/channels/{channel_id}/drafts/{thread_id}")
async def delete_thread_draft(call: Call) -> bytes:
    """Delete the draft of a reply."""
    user_id, channel_id, root_id = (call.path_id(name) for name in ("user_id", "channel_id", "thread_id"))
    await drafts.do_delete_draft(call.services, call.login, user_id, channel_id, root_id, _connection(call))
    return OK
