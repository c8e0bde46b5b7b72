"""Lists and searches of channels. Single rows are in store.channels.

Terms find the beginnings of words by an index; what belongs to one user is found by his memberships.
"""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record
from tidewire.store.text import contains_pattern, like
from tidewire.wire.models import Channel, ChannelWithTeam

_Q = sql.load("channel_search")


class Wanted(NamedTuple):
    """Which channels of a team: public ones, those the user is in, or all; live and archived ones."""

    user_id: str = ""
    public: bool = False
    own: bool = False
    everything: bool = False
    live: bool = True
    archived: bool = False


class Anywhere(NamedTuple):
    """Which channels of all teams; seen_by: "" or a user who must be able to find them."""

    team_ids: list[str]
    public: bool = True
    private: bool = True
    live: bool = True
    archived: bool = False
    no_defaults: bool = False
    seen_by: str = ""


def _channels(rows: list[Record]) -> list[Channel]:
    return [Channel(**row) for row in rows]


async def in_team(
    db: Database, team_id: str, term: str, wanted: Wanted, *, limit: int, offset: int = 0
) -> list[Channel]:
    """Return channels of a team by display name; term: "" or words that they must have."""
    if term:
        return _channels(await db.fetch(_Q["found_in_team"], team_id, term, *wanted, limit, offset))
    return _channels(await db.fetch(_Q["listed_in_team"], team_id, *wanted, limit, offset))


async def archived_in_team(
    db: Database, team_id: str, user_id: str, *, everything: bool, limit: int, offset: int
) -> list[Channel]:
    """Return archived channels of a team by display name: public ones and the user's, or all."""
    return _channels(await db.fetch(_Q["archived_in_team"], team_id, user_id, everything, limit, offset))


async def public_by_ids(db: Database, team_id: str, ids: list[str], *, only_of: str = "") -> list[Channel]:
    """Return the live public channels of a team among these ids. only_of: "" or a user who must be in them."""
    return _channels(await db.fetch(_Q["public_by_ids"], team_id, ids, only_of))


async def own_matching(db: Database, user_id: str, team_id: str, term: str, limit: int) -> list[Channel]:
    """Return the user's channels of a team and his D and G whose name holds the term; a D has the other user's."""
    return _channels(await db.fetch(_Q["own_matching"], user_id, team_id, contains_pattern(term), limit))


async def own_groups_matching(db: Database, user_id: str, term: str, limit: int) -> list[Channel]:
    """Return the user's group channels in which each word of the term begins a member's username."""
    patterns = [like(word) + "%" for word in term.split()[:10]]
    return _channels(await db.fetch(_Q["own_groups_matching"], user_id, patterns, limit))


async def anywhere(
    db: Database, term: str, by_id: str, wanted: Anywhere, *, limit: int, offset: int
) -> tuple[list[ChannelWithTeam], int]:
    """Return (a page of channels of all teams by display name, how many there are). by_id: an id that counts too."""
    if term:
        team_ids, public, private, live, archived, no_defaults, seen_by = wanted
        rows = await db.fetch(
            _Q["found_anywhere"], term, team_ids, public, private, live, archived, no_defaults, by_id, seen_by,
            limit, offset,
        )  # fmt: skip
        total = rows[0]["total"] if rows else 0
        if not rows and offset:  # beyond the last page: the number stands in the rows
            total = (await anywhere(db, term, by_id, wanted, limit=1, offset=0))[1]
        values = [{name: value for name, value in row.items() if name != "total"} for row in rows]
        return [ChannelWithTeam(**value) for value in values], total
    rows = await db.fetch(_Q["listed_anywhere"], *wanted, limit, offset)
    total = await db.fetchval(_Q["count_anywhere"], *wanted)
    return [ChannelWithTeam(**row) for row in rows], total


async def member_counts(db: Database, channel_ids: list[str], *, seen_by: str = "") -> dict[str, int]:
    """Return channel id → active members. seen_by: "" or a user; what he may not know of is missing."""
    rows = await db.fetch(_Q["member_counts"], channel_ids, seen_by)
    return {row["id"]: row["members"] for row in rows}


async def timezones(db: Database, channel_id: str) -> list[str]:
    """Return the distinct time zones of a channel's active members, sorted."""
    return [row["zone"] for row in await db.fetch(_Q["timezones"], channel_id)]
