"""Roles and notify_props of channel members. Rules are in tidewire.actions.channel_member_settings."""

from api.call import Call
from api.routing import OK, route
from api.team_members import RolesBody, SchemeRolesBody
from tidewire.actions import channel_member_settings as settings


@route("PUT", "/channels/{channel_id}/members/{user_id}/roles")
async def set_roles(call: Call) -> bytes:
    """Give a member roles."""
    channel_id, user_id = call.path_id("channel_id"), call.path_id("user_id")
    body: RolesBody = await call.body(RolesBody)
    await settings.do_set_roles(call.services, call.login, channel_id, user_id, body.roles)
    return OK


@route("PUT", "/channels/{channel_id}/members/{user_id}/schemeRoles")
async def set_scheme_roles(call: Call) -> bytes:
    """Make a member an admin of the channel, or an ordinary one."""
    channel_id, user_id = call.path_id("channel_id"), call.path_id("user_id")
    body: SchemeRolesBody = await call.body(SchemeRolesBody)
    await settings.do_set_scheme_roles(call.services, call.login, channel_id, user_id, body.roles())
    return OK


@route("PUT", "/channels/{channel_id}/members/{user_id}/notify_props")
async def set_notify_props(call: Call) -> bytes:
    """Change some of a member's notify_props."""
    channel_id, user_id = call.path_id("channel_id"), call.path_id("user_id")
    props: dict[str, str] = await call.body(dict[str, str], "notify_props")
    await settings.do_set_notify_props(call.services, call.login, channel_id, user_id, props)
    return OK
