"""Guests become users and users guests. Rules are in tidewire.actions.guests."""

from api.call import Call
from api.routing import OK, route
from tidewire.actions import guests


@route("POST", "/users/{user_id}/promote", audit=True)
async def promote_guest(call: Call) -> bytes:
    """Make a guest a user."""
    await guests.do_promote(call.services, call.login, call.path_id("user_id"))
    return OK


@route("POST", "/users/{user_id}/demote", audit=True)
async def demote_user(call: Call) -> bytes:
    """Make a user a guest, where the configuration allows guests."""
    await guests.do_demote(call.services, call.login, call.path_id("user_id"))
    return OK
