"""Channels. Rules are in tidewire.actions.channels; members have a module of their own."""

from api.call import Call
from api.routing import OK, Created, route
from tidewire.actions import categories, channels, permissions
from tidewire.actions.categories import Categories
from tidewire.actions.channels import ChannelPatch, NewChannel
from tidewire.store import channels as store
from tidewire.store import teams as team_store
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id
from tidewire.wire.models import Channel


@route("POST", "/channels")
async def create_channel(call: Call) -> Created:
    """Make a public or private channel."""
    return Created(await channels.do_create_channel(call.services, call.login, await call.body(NewChannel)))


@route("POST", "/channels/direct")
async def create_direct(call: Call) -> Created:
    """Find or make the direct channel of two users; the same id twice is the one with oneself."""
    user_ids: list[str] = await call.body(list[str])
    if len(user_ids) != 2 or not all(is_id(user_id) for user_id in user_ids):
        raise body_param("user_ids")
    return Created(await channels.do_create_direct(call.services, call.login, user_ids))


@route("POST", "/channels/group")
async def create_group(call: Call) -> Created:
    """Find or make the group channel of the caller and others."""
    user_ids = await call.id_list()
    if not all(is_id(user_id) for user_id in user_ids):
        raise body_param("user_ids")
    return Created(await channels.do_create_group(call.services, call.login, user_ids))


@route("GET", "/channels/{channel_id}")
async def get_channel(call: Call) -> Channel:
    """One channel."""
    return await channels.get_channel(call.services, call.login, call.path_id("channel_id"))


@route("GET", "/teams/{team_id}/channels/name/{channel_name}")
async def get_channel_by_name(call: Call) -> Channel:
    """One channel of a team, by name."""
    return await _by_name(call, call.path_id("team_id"))


@route("GET", "/teams/name/{team_name}/channels/name/{channel_name}")
async def get_channel_by_names(call: Call) -> Channel:
    """One channel, by its team's name and its own."""
    team = await team_store.by_name(call.services.db, call.param("team_name").lower())
    if team is None:
        raise permissions.team_missing()
    return await _by_name(call, team.id)


async def _by_name(call: Call, team_id: str) -> Channel:
    name, archived = call.param("channel_name").lower(), call.flag("include_deleted")
    return await channels.get_channel_by_name(call.services, call.login, team_id, name, archived=archived)


@route("GET", "/teams/{team_id}/channels")
async def list_public_channels(call: Call) -> list[Channel]:
    """A page of a team's public channels."""
    team_id, (page, per_page) = call.path_id("team_id"), call.paging()
    await permissions.access_team(call.services, call.login, team_id, "list_team_channels")
    return await store.public(call.services.db, team_id, limit=per_page, offset=page * per_page)


@route("PUT", "/channels/{channel_id}/patch")
async def patch_channel(call: Call) -> Channel:
    """Change a channel's name or texts."""
    channel_id, patch = call.path_id("channel_id"), await call.body(ChannelPatch)
    return await channels.do_patch_channel(call.services, call.login, channel_id, patch)


@route("DELETE", "/channels/{channel_id}")
async def archive_channel(call: Call) -> bytes:
    """Archive a channel."""
    await channels.do_archive_channel(call.services, call.login, call.path_id("channel_id"))
    return OK


@route("GET", "/channels/{channel_id}/stats")
async def get_stats(call: Call) -> dict[str, str | int]:
    """Counts of a channel. Files are not kept by this server, so there are none; -1 where they were not asked for."""
    channel_id = call.path_id("channel_id")
    await permissions.access_channel(call.services, call.login, channel_id, "read_channel")
    stats = await store.stats(call.services.db, channel_id)
    files = -1 if call.flag("exclude_files_count") else 0
    return {"channel_id": channel_id, **stats._asdict(), "files_count": files}


@route("GET", "/users/{user_id}/channels")
async def list_channels_of_user(call: Call) -> list[Channel]:
    """A user's channels of all teams, D and G among them."""
    return await _channels_of_user(call, "")


@route("GET", "/users/{user_id}/teams/{team_id}/channels")
async def list_channels_of_user_in_team(call: Call) -> list[Channel]:
    """A user's channels of one team, and D and G."""
    team_id = call.path_id("team_id")
    if not await permissions.has_team(call.services, call.login, team_id, "view_team"):
        raise forbidden()
    found = await _channels_of_user(call, team_id)
    if not found:
        raise AppError("app.channel.get_channels.not_found.app_error", 404, "No channels were found.")
    return found


@route("GET", "/users/{user_id}/teams/{team_id}/channels/categories")
async def get_categories(call: Call) -> Categories:
    """A user's sidebar in a team."""
    user_id, team_id = call.path_id("user_id"), call.path_id("team_id")
    return await categories.get_categories(call.services, call.login, user_id, team_id)


async def _channels_of_user(call: Call, team_id: str) -> list[Channel]:
    user_id = call.path_id("user_id")
    permissions.check_self(call.login, user_id)
    since = call.number("last_delete_at", 0) if call.flag("include_deleted") else -1
    return await store.of_user(call.services.db, user_id, team_id, archived_since=since)
