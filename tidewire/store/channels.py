"""Rows of channels. Memberships are in store.members."""

from typing import NamedTuple

from asyncpg import UniqueViolationError

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.models import Channel

Source = Database | Transaction
_Q = sql.load("channels")


class Stats(NamedTuple):
    """Counts of a channel; members are the active accounts."""

    member_count: int
    guest_count: int
    pinnedpost_count: int


def _channels(rows: list[Record]) -> list[Channel]:
    return sql.structs(Channel, rows)


async def by_ids(source: Source, ids: list[str]) -> list[Channel]:
    """Return the channels of these ids that exist, archived ones too, in no order."""
    return _channels(await source.fetch(_Q["channels_by_ids"], ids))


async def by_name(source: Source, team_id: str, name: str, *, archived: bool) -> Channel | None:
    """Return a channel of a team ("" for D and G), or None. archived: find archived ones too."""
    row = await source.fetchrow(_Q["channel_by_name"], team_id, name, archived)
    return None if row is None else Channel(**row)


async def public_by_names(
    source: Source, names: list[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Return (team id, name) → (display name, the team's name) of the live public channels among these."""
    rows = await source.fetch(_Q["public_by_names"], [name[0] for name in names], [name[1] for name in names])
    return {(row["team_id"], row["name"]): (row["display_name"], row["team_name"]) for row in rows}


async def lock(tx: Transaction, channel_id: str) -> Channel | None:
    """Return the channel, locked against changes and posts until the transaction ends, or None."""
    row = await tx.fetchrow(_Q["lock_channel"], channel_id)
    return None if row is None else Channel(**row)


async def defaults(source: Source, team_id: str, names: list[str]) -> list[Channel]:
    """Return the team's live public channels of these names."""
    return _channels(await source.fetch(_Q["default_channels"], team_id, names))


async def of_user(
    source: Source, user_id: str, team_id: str = "", *, archived_since: int = -1
) -> list[Channel]:
    """Return a user's channels by display name, of one team (and D and G) or of all.

    archived_since: -1 for live ones only, else also those archived at or after that time (ms; 0: all).
    """
    rows = await source.fetch(
        _Q["channels_of"], user_id, team_id, archived_since >= 0, max(archived_since, 0)
    )
    return _channels(rows)


async def count_locked(tx: Transaction, team_id: str) -> int:
    """Return the number of live O and P channels of a team; nobody else counts until the transaction ends."""
    await tx.execute(_Q["lock_team_channels"], team_id)
    number: int = await tx.fetchval(_Q["count_channels"], team_id)
    return number


async def insert(tx: Transaction, channel: Channel) -> bool:
    """Store a new channel; False where its name is taken in the team."""
    taken = await tx.fetchval(
        _Q["insert_channel"], channel.id, channel.create_at, channel.team_id, channel.type, channel.name,
        channel.display_name, channel.header, channel.purpose, channel.creator_id,
    )  # fmt: skip
    return taken is not None


async def update(tx: Transaction, channel: Channel) -> None:
    """Store everything of a locked channel that may change. Raises: AppError 400 when the name is taken."""
    try:
        await tx.execute(
            _Q["update_channel"], channel.id, channel.update_at, channel.name, channel.display_name, channel.header,
            channel.purpose, channel.delete_at, channel.type, channel.team_id,
        )  # fmt: skip
    except UniqueViolationError as error:
        raise name_taken() from error


def name_taken() -> AppError:
    """Return the 400 for a name that another channel of the team has, or had."""
    text = "A channel with that name already exists on the same team."
    return AppError("store.sql_channel.save_channel.exists.app_error", 400, text)


def too_many() -> AppError:
    """Return the 400 for one channel more than a team may have."""
    return AppError("store.sql_channel.save_channel.limit.app_error", 400, "The team has too many channels.")


async def stats(source: Source, channel_id: str) -> Stats:
    """Return the counts of a channel."""
    row = await source.fetchrow(_Q["channel_stats"], channel_id)
    assert row is not None, "an aggregate has one row"
    return Stats(*row)
