"""Sidebar categories. Rules are in tidewire.actions.sidebar."""

import re

from api.call import Call
from api.routing import OK, route
from tidewire.actions import sidebar
from tidewire.actions.sidebar import Categories
from tidewire.actions.sidebar_layout import CategoryBody
from tidewire.wire.errors import url_param
from tidewire.wire.models import SidebarCategory

_PATH = "/users/{user_id}/teams/{team_id}/channels/categories"
# One's own: an id; a built-in one: its type, the user's id and the team's.
_CATEGORY = re.compile(r"([a-z]+(_[a-z]+)?_[a-zA-Z0-9]{26}_)?[a-zA-Z0-9]{26}\Z")


def _ids(call: Call) -> tuple[str, str]:
    return call.path_id("user_id"), call.path_id("team_id")


def _category_id(call: Call) -> str:
    category_id = call.param("category_id")
    if not _CATEGORY.match(category_id):
        raise url_param("category_id")
    return category_id


@route("GET", _PATH)
async def get_categories(call: Call) -> Categories:
    """A user's sidebar in a team."""
    return await sidebar.get_categories(call.services, call.login, *_ids(call))


@route("POST", _PATH)
async def create_category(call: Call) -> SidebarCategory:
    """Make a category."""
    user_id, team_id = _ids(call)
    body = await call.body(CategoryBody, "category")
    return await sidebar.do_create_category(call.services, call.login, user_id, team_id, body)


@route("PUT", _PATH)
async def update_categories(call: Call) -> list[SidebarCategory]:
    """Change several categories at once, as moving a channel from one to another does."""
    user_id, team_id = _ids(call)
    bodies = await call.body(list[CategoryBody], "categories")
    return await sidebar.do_update_categories(call.services, call.login, user_id, team_id, bodies)


@route("GET", _PATH + "/order")
async def get_order(call: Call) -> list[str]:
    """The ids of a user's categories in order."""
    return (await sidebar.get_categories(call.services, call.login, *_ids(call))).order


@route("PUT", _PATH + "/order")
async def put_order(call: Call) -> list[str]:
    """Put the categories in another order."""
    user_id, team_id = _ids(call)
    order: list[str] = await call.body(list[str], "order")
    return await sidebar.do_order_categories(call.services, call.login, user_id, team_id, order)


@route("GET", _PATH + "/{category_id}")
async def get_category(call: Call) -> SidebarCategory:
    """One category."""
    return await sidebar.get_category(call.services, call.login, *_ids(call), _category_id(call))


@route("PUT", _PATH + "/{category_id}")
async def update_category(call: Call) -> SidebarCategory:
    """Change one category."""
    user_id, team_id = _ids(call)
    category_id, body = _category_id(call), await call.body(CategoryBody, "category")
    body.id = category_id
    [found] = await sidebar.do_update_categories(call.services, call.login, user_id, team_id, [body])
    return found


@route("DELETE", _PATH + "/{category_id}")
async def delete_category(call: Call) -> bytes:
    """Delete a category of one's own."""
    await sidebar.do_delete_category(call.services, call.login, *_ids(call), _category_id(call))
    return OK
