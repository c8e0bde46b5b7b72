"""One channel: create, find, change. Lists and searches are channel_lists; members have a module of their own."""

from api.call import Call
from api.post_tags import NOT_MODIFIED, tagged
from api.routing import OK, Created, Raw, route
from tidewire.actions import (
    channel_changes,
    channel_deletion,
    channel_moves,
    channel_search,
    channels,
    permissions,
    post_lists,
)
from tidewire.actions.channel_changes import ChannelPatch, ChannelPrivacy, ChannelUpdate
from tidewire.actions.channel_moves import Conversion, Move
from tidewire.actions.channels import NewChannel
from tidewire.actions.post_lists import View
from tidewire.store import channels as store
from tidewire.store import files as file_store
from tidewire.store import teams as team_store
from tidewire.wire.errors import body_param
from tidewire.wire.ids import is_id
from tidewire.wire.models import Channel, PostList, Team


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


@route("PUT", "/channels/{channel_id}")
async def update_channel(call: Call) -> Channel:
    """Replace a channel's texts."""
    channel_id, update = call.path_id("channel_id"), await call.body(ChannelUpdate, "channel")
    return await channel_changes.do_update_channel(call.services, call.login, channel_id, update)


@route("PUT", "/channels/{channel_id}/patch")
async def patch_channel(call: Call) -> Channel:
    """Change a channel's name or texts."""
    channel_id, patch = call.path_id("channel_id"), await call.body(ChannelPatch, "channel")
    return await channel_changes.do_patch_channel(call.services, call.login, channel_id, patch)


@route("PUT", "/channels/{channel_id}/privacy")
async def set_privacy(call: Call) -> Channel:
    """Make a channel public or private."""
    channel_id, body = call.path_id("channel_id"), await call.body(ChannelPrivacy)
    return await channel_changes.do_set_privacy(call.services, call.login, channel_id, body.privacy)


@route("DELETE", "/channels/{channel_id}")
async def archive_channel(call: Call) -> bytes:
    """Archive a channel; permanent: remove it with its posts, where the configuration allows that."""
    channel_id = call.path_id("channel_id")
    if call.flag("permanent"):
        await channel_deletion.do_delete_channel(call.services, call.login, channel_id)
    else:
        await channel_changes.do_archive_channel(call.services, call.login, channel_id)
    return OK


@route("POST", "/channels/{channel_id}/restore")
async def restore_channel(call: Call) -> Channel:
    """Bring an archived channel back."""
    return await channel_changes.do_restore_channel(call.services, call.login, call.path_id("channel_id"))


@route("POST", "/channels/{channel_id}/move")
async def move_channel(call: Call) -> Channel:
    """Move a channel to another team."""
    channel_id, move = call.path_id("channel_id"), await call.body(Move)
    return await channel_moves.do_move_channel(call.services, call.login, channel_id, move)


@route("GET", "/channels/{channel_id}/common_teams")
async def list_common_teams(call: Call) -> list[Team]:
    """The teams that all members of a group channel are in."""
    return await channel_moves.list_common_teams(call.services, call.login, call.path_id("channel_id"))


@route("POST", "/channels/{channel_id}/convert_to_channel")
async def convert_group(call: Call) -> Channel:
    """Make a private channel of a group channel."""
    channel_id, conversion = call.path_id("channel_id"), await call.body(Conversion)
    return await channel_moves.do_convert_group(call.services, call.login, channel_id, conversion)


@route("GET", "/channels/{channel_id}/stats")
async def get_stats(call: Call) -> dict[str, str | int]:
    """Counts of a channel; files_count is -1 where it was not asked for."""
    channel_id = call.path_id("channel_id")
    await permissions.access_channel(call.services, call.login, channel_id, "read_channel")
    stats = await store.stats(call.services.db, channel_id)
    db, without = call.services.db, call.flag("exclude_files_count")
    files = -1 if without else await file_store.count_in_channel(db, channel_id)
    return {"channel_id": channel_id, **stats._asdict(), "files_count": files}


@route("GET", "/channels/{channel_id}/timezones")
async def list_timezones(call: Call) -> list[str]:
    """The time zones of a channel's members."""
    return await channel_search.list_timezones(call.services, call.login, call.path_id("channel_id"))


@route("GET", "/channels/{channel_id}/pinned")
async def list_pinned(call: Call) -> PostList | Raw:
    """A channel's pinned posts."""
    channel_id = call.path_id("channel_id")
    await permissions.access_channel(call.services, call.login, channel_id, "read_channel_content")
    if call.not_modified(await post_lists.version(call.services, call.login, channel_id, View())):
        return NOT_MODIFIED
    found = await post_lists.get_pinned(call.services, call.login, channel_id)
    return tagged(call, found, found.posts.values())
