"""Rows of slash commands, and where late answers to them may still go."""

from typing import NamedTuple

from asyncpg import UniqueViolationError
from msgspec import structs

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.integrations import Command

_Q = sql.load("commands")


class Reply(NamedTuple):
    """Where a late answer goes."""

    command_id: str
    user_id: str
    channel_id: str
    root_id: str


def _taken() -> AppError:
    return AppError("api.command.duplicate_trigger.app_error", 400, "This trigger word is in use.")


async def insert(tx: Transaction, command: Command) -> None:
    """Store a command. Raises: AppError 400 for a trigger that the team has already."""
    try:
        await tx.execute(_Q["insert_command"], *structs.astuple(command)[:-1])  # plugin_id is always ""
    except UniqueViolationError as error:
        raise _taken() from error


async def by_id(db: Database, command_id: str) -> Command | None:
    """Return a live command, or None."""
    row = await db.fetchrow(_Q["command_by_id"], command_id)
    return None if row is None else Command(**row)


async def lock(tx: Transaction, command_id: str) -> Command | None:
    """Hold a live command and return it, or None."""
    row = await tx.fetchrow(_Q["lock_command"], command_id)
    return None if row is None else Command(**row)


async def of_team(db: Database, team_id: str, limit: int) -> list[Command]:
    """Return a team's commands in the order of their triggers."""
    return [Command(**row) for row in await db.fetch(_Q["commands_of_team"], team_id, limit)]


async def by_trigger(db: Database, team_id: str, trigger: str) -> Command | None:
    """Return the team's command of this trigger, or None."""
    row = await db.fetchrow(_Q["command_by_trigger"], team_id, trigger)
    return None if row is None else Command(**row)


async def count(db: Database, team_id: str) -> int:
    """Return how many live commands a team has."""
    found: int = await db.fetchval(_Q["count_commands"], team_id)
    return found


async def update(tx: Transaction, command: Command) -> None:
    """Write what may change of a command. Raises: AppError 400 for a trigger that the team has already."""
    try:
        await tx.execute(
            _Q["update_command"], command.id, command.token, command.update_at, command.delete_at, command.team_id,
            command.trigger, command.method, command.username, command.icon_url, command.auto_complete,
            command.auto_complete_desc, command.auto_complete_hint, command.display_name, command.description,
            command.url,
        )  # fmt: skip
    except UniqueViolationError as error:
        raise _taken() from error


async def insert_reply(
    db: Database, id_hash: bytes, reply: Reply, *, now_ms: int, expires_at: int, uses: int
) -> None:
    """Store where `uses` late answers may go until expires_at."""
    await db.execute(_Q["delete_old_replies"], now_ms)
    await db.execute(_Q["insert_reply"], id_hash, *reply, expires_at, uses)


async def take_reply(db: Database, id_hash: bytes, *, now_ms: int) -> Reply | None:
    """Use a place for a late answer up by one; None where there is none left."""
    row = await db.fetchrow(_Q["take_reply"], id_hash, now_ms)
    return None if row is None else Reply(**row)
