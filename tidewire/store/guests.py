"""Rows that change when a user becomes a guest or a guest becomes a user, and when guests are switched off."""

from typing import NamedTuple

import asyncpg

from tidewire.store import sql
from tidewire.store.db import Transaction
from tidewire.wire.models import ChannelMember, TeamMember

_Q = sql.load("guests")


class CameMeanwhile(Exception):
    """Somebody added the user to a team or channel just now, with his old roles."""


# What `turn` and the rest of its transaction raise where it must be tried again.
GAVE_WAY = CameMeanwhile, asyncpg.LockNotAvailableError


class Turned(NamedTuple):
    """A user's memberships as they are now."""

    teams: list[TeamMember]
    channels: list[ChannelMember]


async def turn(tx: Transaction, user_id: str, *, guest: bool, at: int) -> Turned:
    """Make all memberships of a user those of a guest, or of none, and lock his row; a guest administrates nothing.

    Raises: GAVE_WAY.
    """
    await tx.execute(_Q["give_way"])
    teams = await tx.fetch(_Q["turn_team_members"], user_id, guest)
    channels = await tx.fetch(_Q["turn_channel_members"], user_id, guest, at)
    await tx.execute(_Q["lock_user_out"], user_id)
    if await tx.fetchval(_Q["came_meanwhile"], user_id, guest):
        raise CameMeanwhile
    await tx.execute(_Q["turn_sessions"], user_id, guest)
    return Turned(
        sorted((TeamMember(**row) for row in teams if not row["delete_at"]), key=lambda member: member.team_id),
        sorted((ChannelMember(**row) for row in channels), key=lambda member: member.channel_id),
    )


async def join_defaults(
    tx: Transaction, user_id: str, names: list[str], *, at: int, notify_props: dict[str, str]
) -> list[str]:
    """Make a user a member of the live public channels of these names in his teams; return where he was none, by id."""
    rows = await tx.fetch(_Q["join_defaults"], user_id, names, at, notify_props)
    return sorted(row["channel_id"] for row in rows)


async def deactivate_all(tx: Transaction, *, at: int) -> list[str]:
    """Deactivate all active guests; return their ids."""
    return [row["id"] for row in await tx.fetch(_Q["deactivate_guests"], at)]


async def channels_of(tx: Transaction, user_ids: list[str]) -> list[str]:
    """Return the ids of the channels that at least one of these users is in."""
    return [row["channel_id"] for row in await tx.fetch(_Q["channels_of"], user_ids)]
