"""Preferences. Rules are in tidewire.actions.preferences."""

from api.call import Call
from api.routing import OK, route
from tidewire.actions import preferences
from tidewire.wire.errors import AppError
from tidewire.wire.models import Preference


@route("GET", "/users/{user_id}/preferences")
async def list_preferences(call: Call) -> list[Preference]:
    """All of a user's preferences."""
    return await preferences.list_preferences(call.services, call.login, call.path_id("user_id"))


@route("PUT", "/users/{user_id}/preferences")
async def put_preferences(call: Call) -> bytes:
    """Store 1 to 100 preferences."""
    user_id, items = call.path_id("user_id"), await call.body(list[Preference], "preferences")
    await preferences.do_put_preferences(call.services, call.login, user_id, items)
    return OK


@route("POST", "/users/{user_id}/preferences/delete")
async def delete_preferences(call: Call) -> bytes:
    """Forget 1 to 100 preferences."""
    user_id, items = call.path_id("user_id"), await call.body(list[Preference], "preferences")
    await preferences.do_delete_preferences(call.services, call.login, user_id, items)
    return OK


@route("GET", "/users/{user_id}/preferences/{category}")
async def list_category(call: Call) -> list[Preference]:
    """A user's preferences of one category."""
    return await _some(call, call.param("category"), "")


@route("GET", "/users/{user_id}/preferences/{category}/name/{preference_name}")
async def get_preference(call: Call) -> Preference:
    """One preference."""
    return (await _some(call, call.param("category"), call.param("preference_name"), "app.preference.get.app_error"))[0]


async def _some(
    call: Call, category: str, name: str, error_id: str = "app.preference.get_category.app_error"
) -> list[Preference]:
    user_id = call.path_id("user_id")
    found = await preferences.list_preferences(call.services, call.login, user_id, category, name)
    if not found:
        raise AppError(error_id, 404, "No such preference.")
    return found
