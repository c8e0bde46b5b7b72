"""Rows of pictures: PNGs of users and teams, and the times at which they changed."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.models import Team

_Q = sql.load("pictures")


class Stored(NamedTuple):
    """A picture and when it was set, ms."""

    at: int
    png: bytes


async def of_owner(db: Database, owner_id: str) -> Stored | None:
    """Return the picture of a user or a team, or None."""
    row = await db.fetchrow(_Q["picture_of"], owner_id)
    return None if row is None else Stored(*row)


async def put(tx: Transaction, owner_id: str, at: int, png: bytes | None) -> None:
    """Store a picture, or with None remove it."""
    if png is None:
        await tx.execute(_Q["delete_picture"], owner_id)
    else:
        await tx.execute(_Q["put_picture"], owner_id, at, png)


async def set_user_time(tx: Transaction, user_id: str, picture_at: int, update_at: int) -> None:
    """Note when a user's picture changed."""
    await tx.execute(_Q["set_user_picture_time"], user_id, picture_at, update_at)


async def set_team_time(tx: Transaction, team_id: str, icon_at: int, at: int) -> Team | None:
    """Note when a team's icon changed; return the team as it is now, or None if there is none."""
    row = await tx.fetchrow(_Q["set_team_icon_time"], team_id, icon_at, at)
    return None if row is None else Team(**row)
