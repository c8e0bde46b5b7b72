"""Lists and searches of channels. Rules are in tidewire.actions.channel_search."""

from hashlib import sha256

import msgspec
from msgspec import Struct

from api.call import Call
from api.routing import Raw, route
from tidewire.actions import channel_mentions, channel_search, permissions
from tidewire.actions.channel_search import ChannelPage, ChannelSearch
from tidewire.store import channels as store
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.models import Channel, ChannelWithTeam

_encode = msgspec.json.Encoder().encode


class Term(Struct):
    """What to look for."""

    term: str = ""


@route("GET", "/teams/{team_id}/channels")
async def list_public_channels(call: Call) -> list[Channel]:
    """A page of a team's public channels."""
    team_id, window = call.path_id("team_id"), call.window()
    return await channel_search.list_public(call.services, call.login, team_id, **window)


@route("GET", "/teams/{team_id}/channels/deleted")
async def list_archived_channels(call: Call) -> list[Channel]:
    """A page of a team's archived channels."""
    team_id, window = call.path_id("team_id"), call.window()
    return await channel_search.list_archived(call.services, call.login, team_id, **window)


@route("POST", "/teams/{team_id}/channels/ids")
async def get_public_channels(call: Call) -> list[Channel]:
    """The public channels of a team among these ids."""
    team_id, ids = call.path_id("team_id"), await call.id_list()
    return await channel_search.get_public_by_ids(call.services, call.login, team_id, ids)


@route("GET", "/teams/{team_id}/channels/autocomplete")
async def autocomplete(call: Call) -> list[Channel]:
    """What may be meant in a text."""
    team_id = call.path_id("team_id")
    return await channel_search.autocomplete(call.services, call.login, team_id, call.query("name"))


@route("GET", "/teams/{team_id}/channels/search_autocomplete")
async def autocomplete_for_search(call: Call) -> list[Channel]:
    """What may be meant in a search for posts."""
    team_id, term = call.path_id("team_id"), call.query("name")
    return await channel_search.autocomplete_for_search(call.services, call.login, team_id, term)


@route("POST", "/teams/{team_id}/channels/search")
async def search_team(call: Call) -> list[Channel]:
    """Channels of a team."""
    team_id, wanted = call.path_id("team_id"), await call.body(ChannelSearch)
    return await channel_search.search_team(call.services, call.login, team_id, wanted)


@route("POST", "/channels/group/search")
async def search_groups(call: Call) -> list[Channel]:
    """One's group channels, by members."""
    body: Term = await call.body(Term)
    return await channel_search.search_groups(call.services, call.login, body.term)


@route("POST", "/channels/search")
async def search_all(call: Call) -> list[ChannelWithTeam] | ChannelPage:
    """Channels of all teams."""
    search, console = await call.body(ChannelSearch), call.query("system_console", "true")
    return await channel_search.search_all(
        call.services,
        call.login,
        search,
        for_console=console not in ("false", "0", "f", "F", "FALSE", "False"),
    )


@route("POST", "/channels/stats/member_count")
async def count_members(call: Call) -> dict[str, int]:
    """How many are in each of these channels."""
    return await channel_search.count_members(call.services, call.login, await call.id_list())


@route("GET", "/users/{user_id}/channels")
async def list_channels_of_user(call: Call) -> list[Channel]:
    """A user's channels of all teams, D and G among them."""
    return await _channels_of_user(call, "")


@route("GET", "/users/{user_id}/teams/{team_id}/channels")
async def list_channels_of_user_in_team(call: Call) -> Raw:
    """A user's channels of one team, and D and G. The ETag is of the bytes: counters are in them."""
    team_id = call.path_id("team_id")
    if not await permissions.has_team(call.services, call.login, team_id, "view_team"):
        raise forbidden()
    found = await _channels_of_user(call, team_id)
    if not found:
        raise AppError("app.channel.get_channels.not_found.app_error", 404, "No channels were found.")
    data = _encode(found)
    if call.not_modified(f"{call.services.version_id}.{sha256(data).hexdigest()[:32]}"):
        return Raw(b"", "application/json", 304)
    return Raw(data, "application/json")


async def _channels_of_user(call: Call, team_id: str) -> list[Channel]:
    user_id = call.path_id("user_id")
    permissions.check_self(call.login, user_id)
    since = call.number("last_delete_at", 0) if call.flag("include_deleted") else -1
    found = await store.of_user(call.services.db, user_id, team_id, archived_since=since)
    return await channel_mentions.fill(call.services.db, found)
