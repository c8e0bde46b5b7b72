"""Lists and searches of accounts. Rules are in tidewire.actions.people."""

from hashlib import sha256

import msgspec

from api.call import Call
from api.routing import Raw, route
from tidewire.actions import people
from tidewire.actions.people import SEARCH_DEFAULT, SEARCH_MAX, Autocompleted, UserSearch
from tidewire.store.people import Filter
from tidewire.wire.errors import url_param
from tidewire.wire.ids import is_id
from tidewire.wire.views import UserView

_SCOPES = ("in_team", "not_in_team", "in_channel", "not_in_channel")
_encode = msgspec.json.Encoder().encode


@route("GET", "/users")
async def list_users(call: Call) -> Raw:
    """A page of accounts: all, or by team, channel, role."""
    window = call.window()
    ids = {name: _id_or_blank(call, name) for name in _SCOPES}
    if _id_or_blank(call, "in_group") or _id_or_blank(call, "not_in_group"):
        raise people.no_groups()
    if ids["not_in_channel"] and not ids["in_team"]:
        raise url_param("in_team")
    active, inactive, sort = call.flag("active"), call.flag("inactive"), call.query("sort")
    if active and inactive:
        raise url_param("inactive")
    wanted = Filter(
        **ids,
        without_team=call.flag("without_team"),
        active=active,
        inactive=inactive,
        role=call.query("role"),
        roles=_roles(call, "roles"),
        team_roles=_roles(call, "team_roles"),
        channel_roles=_roles(call, "channel_roles"),
    )
    if not people.may_sort(wanted, sort):
        raise url_param("sort")
    found = await people.list_people(
        call.services, call.login, wanted, sort=sort, **window
    )
    body = _encode(found)
    # Of what is sent: who is in it, in which order, and all that the viewer may see of them.
    if call.not_modified(f"{call.services.version_id}.{sha256(body).hexdigest()[:32]}"):
        return Raw(b"", "application/json", 304)
    return Raw(body, "application/json")


def _id_or_blank(call: Call, name: str) -> str:
    value = call.query(name)
    if value and not is_id(value):
        raise url_param(name)
    return value


def _roles(call: Call, name: str) -> list[str]:
    roles = [role for role in call.query(name).split(",") if role]
    if not people.are_roles(roles):
        raise url_param(name)
    return roles


@route("POST", "/users/search")
async def search_users(call: Call) -> list[UserView]:
    """Accounts whose name or address begins with the term."""
    return await people.search(call.services, call.login, await call.body(UserSearch))


@route("GET", "/users/autocomplete")
async def autocomplete_users(call: Call) -> Autocompleted:
    """Accounts whose name begins so, those of the channel first."""
    team_id, channel_id = _id_or_blank(call, "in_team"), _id_or_blank(call, "in_channel")
    limit = call.number("limit", SEARCH_DEFAULT, low=1, high=SEARCH_MAX)
    name = call.query("name")
    return await people.autocomplete(
        call.services, call.login, name, team_id=team_id, channel_id=channel_id, limit=limit
    )


@route("GET", "/users/known")
async def list_known(call: Call) -> list[str]:
    """Ids of those one shares a channel with."""
    return await people.list_known(call.services, call.login)


@route("GET", "/users/stats")
async def get_stats(call: Call) -> dict[str, int]:
    """How many active accounts there are."""
    return await people.count(call.services, call.login)
