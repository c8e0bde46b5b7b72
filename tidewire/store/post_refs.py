"""What posts refer to, with how one user stands to it. Whether he may know of it is not decided here."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.store.posts import decode_post
from tidewire.wire.models import Post

Source = Database | Transaction
_Q = sql.load("post_refs")


class Place(NamedTuple):
    """A channel and its team, team_id and team_name "" in D and G.

    roles, team_roles: of the user who asks, space separated, "" for no member. n, team_n: of the last events of both.
    """

    id: str
    team_id: str
    type: str
    name: str
    display_name: str
    team_name: str
    n: int
    team_n: int
    roles: str
    team_roles: str


def _place(row: Record) -> Place:
    return Place(
        row["channel_id"],
        row["team_id"],
        row["channel_type"],
        row["name"],
        row["display_name"],
        row["team_name"],
        row["event_n"],
        row["team_event_n"],
        row["roles"],
        row["team_roles"],
    )


async def by_names(source: Source, names: list[str], user_id: str, team_id: str) -> list[Place]:
    """Return the live public and private channels of a team that have these names."""
    return [_place(row) for row in await source.fetch(_Q["channels_by_names"], names, user_id, team_id)]


async def by_ids(source: Source, channel_ids: list[str], user_id: str) -> list[Place]:
    """Return these channels, archived ones too."""
    return [_place(row) for row in await source.fetch(_Q["channels_by_ids"], channel_ids, user_id)]


async def by_full_names(source: Source, names: list[tuple[str, str]], user_id: str) -> list[Place]:
    """Return the channels of these (team name, name), archived ones too."""
    teams, channels = [team for team, _ in names], [name for _, name in names]
    return [_place(row) for row in await source.fetch(_Q["channels_by_full_names"], channels, user_id, teams)]


async def linked_posts(
    source: Source, post_ids: list[str], user_id: str, *, props_max: int
) -> list[tuple[Post, Place]]:
    """Return live posts and where they stand, but for those whose props are longer than props_max characters."""
    rows = await source.fetch(_Q["linked_posts"], post_ids, user_id, props_max)
    return [(decode_post(row), _place(row)) for row in rows]
