"""Presence and chosen statuses. Rules are in tidewire.actions.status, choose_status and custom_status."""

from api.call import Call
from api.routing import OK, route
from tidewire.actions import choose_status, custom_status
from tidewire.actions.choose_status import NewStatus
from tidewire.actions.custom_status import CustomStatus
from tidewire.actions.users import get_user
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.models import Status

IDS_MAX = 200


@route("POST", "/users/status/ids")
async def list_statuses(call: Call) -> list[Status]:
    """Presence of users; unknown ones are offline."""
    ids = await call.id_list(IDS_MAX)
    if any(len(user_id) > 64 for user_id in ids):
        raise body_param("user_ids")
    found = await choose_status.get_statuses(call.services, ids)
    return [found[user_id] for user_id in ids]


@route("GET", "/users/{user_id}/status")
async def get_status(call: Call) -> Status:
    """Presence of a user."""
    user_id = call.path_id("user_id")
    try:
        await get_user(call.services, user_id)
    except AppError as error:
        raise AppError("api.status.user_not_found.app_error", 404, "User not found.") from error
    return (await choose_status.get_statuses(call.services, [user_id]))[user_id]


@route("PUT", "/users/{user_id}/status")
async def put_status(call: Call) -> Status:
    """Choose online, away, dnd (until when, in seconds) or offline."""
    user_id, wanted = call.path_id("user_id"), await call.body(NewStatus, "status")
    return await choose_status.do_choose_status(call.services, call.login, user_id, wanted)


@route("PUT", "/users/{user_id}/status/custom")
async def put_custom_status(call: Call) -> bytes:
    """Say what one is doing: an emoji, a text, and until when."""
    user_id, wanted = call.path_id("user_id"), await call.body(CustomStatus, "custom_status")
    await custom_status.do_set_custom_status(call.services, call.login, user_id, wanted)
    return OK


@route("DELETE", "/users/{user_id}/status/custom")
async def delete_custom_status(call: Call) -> bytes:
    """Say nothing any more."""
    await custom_status.do_clear_custom_status(call.services, call.login, call.path_id("user_id"))
    return OK


@route("POST", "/users/{user_id}/status/custom/recent/delete")
async def delete_recent_status(call: Call) -> bytes:
    """Forget one of the statuses that are offered again."""
    return await _forget_recent(call)


@route("DELETE", "/users/{user_id}/status/custom/recent")
async def delete_recent_status_with_body(call: Call) -> bytes:
    """The same by a DELETE with a body, which some clients send."""
    return await _forget_recent(call)


async def _forget_recent(call: Call) -> bytes:
    user_id, gone = call.path_id("user_id"), await call.body(CustomStatus, "recent_custom_status")
    await custom_status.do_forget_recent(call.services, call.login, user_id, gone)
    return OK
