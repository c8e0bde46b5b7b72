"""Channel memberships and read state. Rules are in tidewire.actions.channel_members."""

from collections.abc import AsyncIterator

from msgspec import Struct, field

from api.call import Call
from api.routing import OK, Created, Stream, route
from tidewire.actions import channel_members, permissions
from tidewire.actions.channel_members import Typing
from tidewire.actions.users import missing
from tidewire.store import members as store
from tidewire.store.db import Database
from tidewire.wire.errors import body_param
from tidewire.wire.ids import is_id
from tidewire.wire.models import ChannelMember, ChannelMemberWithTeam

ADD_MAX = 1000  # users added at once
PIECE = 500  # memberships of one piece of the stream: 250 KB


class NewMembers(Struct):
    """Whom to add: one user, or several; post_root_id: in which thread that is told, or ""."""

    user_id: str = ""
    user_ids: list[str] = field(default_factory=list)
    post_root_id: str = ""


@route("GET", "/channels/{channel_id}/members")
async def list_members(call: Call) -> list[ChannelMember]:
    """A page of memberships."""
    channel_id, window = call.path_id("channel_id"), call.window()
    return await channel_members.list_members(call.services, call.login, channel_id, **window)


@route("POST", "/channels/{channel_id}/members/ids")
async def get_members(call: Call) -> list[ChannelMember]:
    """The memberships that these users have."""
    channel_id, user_ids = call.path_id("channel_id"), await call.id_list()
    return await channel_members.get_members(call.services, call.login, channel_id, user_ids)


@route("GET", "/channels/{channel_id}/members/{user_id}")
async def get_member(call: Call) -> ChannelMember:
    """One membership."""
    channel_id, user_id = call.path_id("channel_id"), call.path_id("user_id")
    return await channel_members.get_member(call.services, call.login, channel_id, user_id)


@route("POST", "/channels/{channel_id}/members")
async def add_members(call: Call) -> Created:
    """Add a user, or join: one object for `user_id`, a list for `user_ids`."""
    channel_id, body = call.path_id("channel_id"), await call.body(NewMembers)
    user_ids = list(dict.fromkeys(body.user_ids or [body.user_id]))
    if len(user_ids) > ADD_MAX or not all(is_id(user_id) for user_id in user_ids):
        raise body_param("user_id or user_ids")
    added = await channel_members.do_add_members(
        call.services, call.login, channel_id, user_ids, body.post_root_id
    )
    if not added and not body.user_ids:  # deleted for good meanwhile
        raise missing()
    return Created(added if body.user_ids else added[0])


@route("DELETE", "/channels/{channel_id}/members/{user_id}")
async def remove_member(call: Call) -> bytes:
    """Remove a user, or leave."""
    channel_id, user_id = call.path_id("channel_id"), call.path_id("user_id")
    await channel_members.do_remove_member(call.services, call.login, channel_id, user_id)
    return OK


@route("POST", "/users/{user_id}/typing")
async def user_typing(call: Call) -> bytes:
    """Say that a user types; what clients with a WebSocket say there."""
    user_id, typing = call.path_id("user_id"), await call.body(Typing)
    await channel_members.do_type(call.services, call.login, user_id, typing)
    await call.extend_session()
    return OK


@route("GET", "/users/{user_id}/channel_members")
async def list_memberships_of_user(call: Call) -> list[ChannelMemberWithTeam] | Stream:
    """A user's memberships of all teams: a page, or with page=-1 all of them, one a line, some hundred at a time."""
    user_id = call.path_id("user_id")
    permissions.check_self(call.login, user_id)
    if call.query("page") == "-1":
        # The first piece before the status goes out: a database that is away must be a 503.
        first = await store.lines_of_user_after(call.services.db, user_id, "", limit=PIECE)
        return Stream(_lines(call.services.db, user_id, first), "application/x-ndjson")
    return await store.of_user(call.services.db, user_id, **call.window())


async def _lines(db: Database, user_id: str, piece: tuple[bytes, int, str]) -> AsyncIterator[bytes]:
    lines, count, last = piece
    while count:
        yield lines + b"\n"
        if count < PIECE:
            return
        lines, count, last = await store.lines_of_user_after(db, user_id, last, limit=PIECE)


@route("GET", "/users/{user_id}/teams/{team_id}/channels/members")
async def list_memberships_of_user_in_team(call: Call) -> list[ChannelMember]:
    """A user's memberships in one team, and in D and G."""
    user_id, team_id = call.path_id("user_id"), call.path_id("team_id")
    permissions.check_self(call.login, user_id, "manage_system")
    await permissions.check_team(call.services, call.login, team_id, "view_team")
    return await store.of_user_in_team(call.services.db, user_id, team_id)
