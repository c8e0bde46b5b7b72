"""Slash commands. Source: Mattermost API v4, commands."""

from msgspec import Struct

from api.call import Call
from api.routing import OK, Created, Raw, outside, route
from api.webhooks import decode_program
from tidewire.actions import command_run, commands, permissions
from tidewire.actions.command_run import CommandArgs
from tidewire.wire.errors import AppError
from tidewire.wire.ids import is_id
from tidewire.wire.integrations import Command, CommandResponse, Suggestion

UNREADABLE = "web.command_webhook.parse.app_error"


class CommandMove(Struct):
    """Where a command goes."""

    team_id: str = ""


@route("POST", "/commands")
async def create_command(call: Call) -> Created:
    """Create a command."""
    new: Command = await call.body(Command, "command")
    return Created(await commands.do_create(call.services, call.login, new))


@route("GET", "/commands")
async def list_commands(call: Call) -> list[Command]:
    """List a team's commands."""
    custom_only = call.flag("custom_only")
    return await commands.list_commands(call.services, call.login, call.query("team_id"), custom_only=custom_only)


@route("GET", "/commands/{command_id}")
async def get_command(call: Call) -> Command:
    """Get a command."""
    return await commands.get(call.services, call.login, call.path_id("command_id"))


@route("PUT", "/commands/{command_id}")
async def update_command(call: Call) -> Command:
    """Update a command."""
    command_id = call.path_id("command_id")
    new: Command = await call.body(Command, "command")
    return await commands.do_update(call.services, call.login, command_id, new)


@route("DELETE", "/commands/{command_id}")
async def delete_command(call: Call) -> bytes:
    """Delete a command."""
    await commands.do_delete(call.services, call.login, call.path_id("command_id"))
    return OK


@route("PUT", "/commands/{command_id}/move")
async def move_command(call: Call) -> bytes:
    """Move a command to another team."""
    command_id = call.path_id("command_id")
    move: CommandMove = await call.body(CommandMove)
    await commands.do_move(call.services, call.login, command_id, move.team_id)
    return OK


@route("PUT", "/commands/{command_id}/regen_token")
async def renew_token(call: Call) -> dict[str, str]:
    """Give a command a new token."""
    return {"token": await commands.do_renew_token(call.services, call.login, call.path_id("command_id"))}


@route("POST", "/commands/execute")
async def execute_command(call: Call) -> CommandResponse:
    """Run a command."""
    args: CommandArgs = await call.body(CommandArgs)
    return await command_run.do_execute(call.services, call.login, args)


@route("GET", "/teams/{team_id}/commands/autocomplete")
async def autocomplete(call: Call) -> list[Command]:
    """List what a client completes."""
    return await commands.autocomplete(call.services, call.login, call.path_id("team_id"))


@route("GET", "/teams/{team_id}/commands/autocomplete_suggestions")
async def suggestions(call: Call) -> list[Suggestion]:
    """List the commands that what was typed may become."""
    team_id, typed = call.path_id("team_id"), call.query("user_input")
    channel_id = call.query("channel_id")
    if is_id(channel_id):
        await permissions.access_channel_for_read(call.services, call.login, channel_id)
    return await commands.suggest(call.services, call.login, team_id, typed)


@outside("POST", "/hooks/commands/{id}")
async def answer_late(call: Call) -> Raw:
    """Post a late answer of a command."""
    reply_id = call.params["id"]
    if not is_id(reply_id):
        raise AppError("web.command_webhook.invalid.app_error", 404, "Invalid webhook.")
    response = decode_program(await call.read(), CommandResponse, UNREADABLE)
    await command_run.do_answer_late(call.services, reply_id, response)
    return Raw(b"ok", "text/plain")
