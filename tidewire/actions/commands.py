"""Slash commands of teams: who may have which. Running them: tidewire.actions.command_run.

Source: Mattermost API v4, commands.
"""

import re
from collections.abc import Callable

from msgspec import structs

from tidewire.actions import builtin_commands, permissions
from tidewire.actions.permissions import has_team
from tidewire.actions.program_owners import access_owner, check_kept, in_force
from tidewire.actions.services import Services
from tidewire.outbound import FetchError
from tidewire.outbound.client import parse
from tidewire.store import commands as store
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id, new_id, new_token, now_ms
from tidewire.wire.integrations import Command, Suggestion
from tidewire.wire.models import Session

OWN, OTHERS = "manage_own_slash_commands", "manage_others_slash_commands"
TRIGGER_MAX, TEXT_MAX, NAME_MAX, DESCRIPTION_MAX = 128, 1024, 64, 128
COMMANDS_MAX = 1000  # of a team

Change = Callable[[Command], None]

_TRIGGER = re.compile(r"[^\s/]\S*\Z")


async def do_create(services: Services, session: Session, new: Command) -> Command:
    """Store a command in a team, of the caller or, for who may manage others', of another user. Raises: 400 to 501."""
    check_on(services)
    if not is_id(new.team_id):
        raise body_param("team_id")
    if not await has_team(services, session, new.team_id, OWN):
        raise forbidden()
    creator_id = await access_owner(services, session, new.team_id, new.creator_id, OTHERS)
    now = now_ms()
    command = structs.replace(
        new, id=new_id(now), token=new_token(), create_at=now, update_at=now, delete_at=0, creator_id=creator_id,
        trigger=new.trigger.strip().lower(), plugin_id="",
    )  # fmt: skip
    _check(command)
    if await store.count(services.db, new.team_id) >= COMMANDS_MAX:
        raise AppError("api.command.create.too_many.app_error", 400, "This team has too many commands.")
    async with services.db.transaction() as tx:
        await check_kept(tx, team_id=command.team_id, user_id=creator_id)
        await store.insert(tx, command)
    return command


async def list_commands(
    services: Services, session: Session, team_id: str, *, custom_only: bool
) -> list[Command]:
    """Return a team's commands: whole for who may manage them, else those that complete, without their secrets."""
    check_on(services)
    if not is_id(team_id):
        raise body_param("team_id")
    await permissions.check_team(services, session, team_id, "view_team")
    custom = await store.of_team(services.db, team_id, COMMANDS_MAX)
    others = await has_team(services, session, team_id, OTHERS)
    own = await has_team(services, session, team_id, OWN)
    if custom_only:
        if not own and not others:
            raise forbidden()
        return [one for one in custom if others or one.creator_id == session.user_id]
    found = [*builtin_commands.listed(), *await _completing(services, team_id, custom)]
    mine = session.user_id if own else None
    return [one if one.token and (others or one.creator_id == mine) else _public(one) for one in found]


async def autocomplete(services: Services, session: Session, team_id: str) -> list[Command]:
    """Return what a client completes in a team, without secrets. Raises: 403, 501."""
    check_on(services)
    await permissions.check_team(services, session, team_id, "view_team")
    custom = await store.of_team(services.db, team_id, COMMANDS_MAX)
    return [*builtin_commands.listed(), *map(_public, await _completing(services, team_id, custom))]


async def _completing(services: Services, team_id: str, custom: list[Command]) -> list[Command]:
    """Return those of a team's commands that complete, without those whose creators have left."""
    found = [one for one in custom if one.auto_complete]
    owners = await in_force(services, team_id, (one.creator_id for one in found))
    return [one for one in found if one.creator_id in owners]


async def suggest(services: Services, session: Session, team_id: str, typed: str) -> list[Suggestion]:
    """Return the commands whose trigger begins with what was typed ("/me" or "me"). Raises: 403, 501."""
    word = typed.removeprefix("/").lower()
    if " " in word:
        return []
    return [
        Suggestion(one.trigger, one.trigger, one.auto_complete_hint, one.auto_complete_desc, "")
        for one in await autocomplete(services, session, team_id)
        if one.trigger.startswith(word)
    ]


async def get(services: Services, session: Session, command_id: str) -> Command:
    """Return a command that the caller may manage. Raises: 404, also for who may not see the team; 403."""
    command = await _get(services, session, command_id)
    needed = OWN if command.creator_id == session.user_id else OTHERS
    if not await has_team(services, session, command.team_id, needed):
        raise forbidden()
    return command


async def do_update(services: Services, session: Session, command_id: str, new: Command) -> Command:
    """Change a command; its team, creator and token stay. Raises: 400, 403, 404."""
    old = await get(services, session, command_id)
    if new.team_id != old.team_id:
        raise AppError("api.command.team_mismatch.app_error", 400, "The command belongs to another team.")

    def change(command: Command) -> None:
        command.trigger, command.method, command.url = new.trigger.strip().lower(), new.method, new.url
        command.username, command.icon_url = new.username, new.icon_url
        command.auto_complete, command.auto_complete_desc = new.auto_complete, new.auto_complete_desc
        command.auto_complete_hint = new.auto_complete_hint
        command.display_name, command.description = new.display_name, new.description

    return await _do_change(services, command_id, change)


async def do_move(services: Services, session: Session, command_id: str, team_id: str) -> None:
    """Move a command to another team, in which its creator may have it. Raises: 400, 403, 404."""
    old = await get(services, session, command_id)
    if not is_id(team_id):
        raise body_param("team_id")
    if not await has_team(services, session, team_id, OWN):
        raise forbidden()
    if OWN not in services.roles.grants(await permissions.team_roles(services, team_id, old.creator_id)):
        text = "The command's creator may have no commands in that team."
        raise AppError("api.command.move_command.creator_no_permission.app_error", 400, text)

    def change(command: Command) -> None:
        command.team_id = team_id

    await _do_change(services, command_id, change, team_id=team_id)


async def do_renew_token(services: Services, session: Session, command_id: str) -> str:
    """Give a command a new token and return it. Raises: 403, 404."""
    await get(services, session, command_id)

    def change(command: Command) -> None:
        command.token = new_token()

    return (await _do_change(services, command_id, change)).token


async def do_delete(services: Services, session: Session, command_id: str) -> None:
    """Switch a command off for good. Raises: 403, 404."""
    await get(services, session, command_id)

    def change(command: Command) -> None:
        command.delete_at = max(now_ms(), command.update_at + 1)

    await _do_change(services, command_id, change)


async def _do_change(services: Services, command_id: str, change: Change, *, team_id: str = "") -> Command:
    async with services.db.transaction() as tx:
        await check_kept(tx, team_id=team_id)
        command = await store.lock(tx, command_id)
        if command is None:
            raise _missing()
        change(command)
        command.update_at = max(now_ms(), command.update_at + 1)
        _check(command)
        await store.update(tx, command)
    return command


async def _get(services: Services, session: Session, command_id: str) -> Command:
    check_on(services)
    command = await store.by_id(services.db, command_id)
    if command is None or not await has_team(services, session, command.team_id, "view_team"):
        raise _missing()
    return command


def _public(command: Command) -> Command:
    return structs.replace(command, token="", creator_id="", url="", method="", username="", icon_url="")


def check_on(services: Services) -> None:
    """Raise 501 where commands are switched off."""
    if not services.config.flag("ServiceSettings.EnableCommands"):
        raise AppError("api.command.disabled.app_error", 501, "Commands have been disabled.")


def _missing() -> AppError:
    return AppError("store.sql_command.get.missing.app_error", 404, "There is no such command.")


def _check(command: Command) -> None:
    if len(command.trigger) > TRIGGER_MAX or not _TRIGGER.match(command.trigger):
        raise AppError("model.command.is_valid.trigger.app_error", 400, "Invalid trigger.")
    if command.trigger in builtin_commands.COMMANDS:
        raise AppError("api.command.duplicate_trigger.app_error", 400, "This trigger word is in use.")
    if command.method not in ("P", "G"):
        raise AppError("model.command.is_valid.method.app_error", 400, "Invalid method.")
    try:
        parse(command.url)
    except FetchError as error:
        raise AppError("model.command.is_valid.url_http.app_error", 400, f"Invalid URL: {error}.") from error
    for name, text, most in (
        ("display_name", command.display_name, NAME_MAX),
        ("description", command.description, DESCRIPTION_MAX),
        ("username", command.username, NAME_MAX),
        ("icon_url", command.icon_url, TEXT_MAX),
        ("autocomplete_desc", command.auto_complete_desc, TEXT_MAX),
        ("autocomplete_hint", command.auto_complete_hint, TEXT_MAX),
    ):
        if len(text) > most:
            raise AppError(f"model.command.is_valid.{name}.app_error", 400, f"Invalid {name}.")
