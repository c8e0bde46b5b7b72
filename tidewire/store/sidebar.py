"""Rows of sidebar categories and of channels' places in them.

Who writes them has the user's row locked (store.users.lock), or the membership that ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.models import SidebarCategory

Source = Database | Transaction
_Q = sql.load("sidebar")


class Placed(NamedTuple):
    """A channel of a user and the place that he gave it, if he did."""

    channel_id: str
    team_id: str
    category_id: str | None
    sort_order: int | None
    favorite: bool


class Place(NamedTuple):
    """Where a channel goes."""

    channel_id: str
    category_id: str
    sort_order: int


async def categories(source: Source, user_id: str, team_id: str) -> list[SidebarCategory]:
    """Return a user's stored categories in their order, without channels; none before the first change."""
    rows = await source.fetch(_Q["categories_of"], user_id, team_id)
    return [SidebarCategory(**row) for row in rows]


async def placed(source: Source, user_id: str, team_id: str) -> list[Placed]:
    """Return the user's live channels of a team and his D and G, those with a place first, then by display name."""
    return [Placed(*row) for row in await source.fetch(_Q["placed_channels"], user_id, team_id)]


async def put(tx: Transaction, user_id: str, team_id: str, rows: Sequence[SidebarCategory]) -> None:
    """Store categories, new or known."""
    names = ("id", "sort_order", "sorting", "type", "display_name", "muted", "collapsed")
    columns = [[getattr(row, name) for row in rows] for name in names]
    await tx.execute(_Q["put_categories"], user_id, team_id, *columns)


async def delete(tx: Transaction, user_id: str, team_id: str, category_id: str) -> None:
    """Forget a category; its channels have no place then."""
    await tx.execute(_Q["empty_categories"], user_id, team_id, [category_id], [])
    await tx.execute(_Q["delete_category"], category_id, user_id)


async def place(
    tx: Transaction, user_id: str, team_id: str, category_ids: list[str], places: Sequence[Place]
) -> None:
    """Empty these categories, then put channels into them."""
    channel_ids = [place.channel_id for place in places]
    await tx.execute(_Q["empty_categories"], user_id, team_id, category_ids, channel_ids)
    if places:
        ids = [place.category_id for place in places]
        await tx.execute(
            _Q["place_channels"], user_id, team_id, channel_ids, ids, [place.sort_order for place in places]
        )


async def forget(tx: Transaction, user_id: str, channel_ids: list[str]) -> None:
    """Take channels out of all of a user's categories."""
    await tx.execute(_Q["forget_channels_of"], user_id, channel_ids)


async def forget_channel(tx: Transaction, channel_id: str) -> None:
    """Take a channel out of everybody's categories."""
    await tx.execute(_Q["forget_channel"], channel_id)


async def forget_team(tx: Transaction, user_id: str, team_id: str) -> None:
    """Forget a user's sidebar in a team."""
    await tx.execute(_Q["forget_team_channels"], user_id, team_id)
    await tx.execute(_Q["forget_team_categories"], user_id, team_id)
