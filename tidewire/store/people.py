"""Finding users: lists and searches, none of which reads the whole table. A user's own row is tidewire.store.users'."""

from collections.abc import Sequence
from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.models import User

_Q = sql.load("people")
# Members that are looked at one by one: 20 ms. Where there are more, an index of names has enough of them soon.
FEW_MAX = 5000


class Filter(NamedTuple):
    """Which users; "", () and False filter nothing. viewer: who asks, if he sees only whom he shares a channel with."""

    in_team: str = ""
    not_in_team: str = ""
    in_channel: str = ""
    not_in_channel: str = ""
    without_team: bool = False
    active: bool = False
    inactive: bool = False
    role: str = ""
    roles: Sequence[str] = ()
    team_roles: Sequence[str] = ()
    channel_roles: Sequence[str] = ()
    viewer: str = ""


class Words(NamedTuple):
    """What to search: each word must begin one of the names; full names and addresses only where they are shown."""

    words: Sequence[str]
    full_names: bool
    emails: bool


def _users(rows: list[Record]) -> list[User]:
    return [User(**row) for row in rows]


async def _are_few(db: Database, wanted: Filter) -> bool:
    scopes = wanted.viewer, wanted.in_channel, wanted.in_team
    return any(scopes) and not await db.fetchval(_Q["has_more_members"], *scopes, FEW_MAX)


async def page(db: Database, wanted: Filter, *, sort: str, limit: int, offset: int) -> list[User]:
    """Return users in the order asked for, then by username.

    sort: "", or with a team or channel create_at, last_activity_at, status, admin (of the channel), display_name.
    """
    if sort or await _are_few(db, wanted):
        return _users(await db.fetch(_Q["few_people"], *wanted, limit, offset, sort))
    return _users(await db.fetch(_Q[_walk(wanted)], *wanted, limit, offset))


def _walk(wanted: Filter) -> str:
    """Return the query that passes over the fewest."""
    if wanted.inactive:
        return "walk_inactive"
    asked = {*wanted.roles, wanted.role} - {""}
    others = wanted.team_roles or wanted.channel_roles  # any of the three lists will do
    return "walk_other_roles" if asked and "system_user" not in asked and not others else "walk_people"


async def search(db: Database, wanted: Filter, words: Words, *, limit: int) -> list[User]:
    """Return users whom all the words fit, by username; no words: the first ones."""
    if await _are_few(db, wanted):
        return _users(await db.fetch(_Q["search_few"], *wanted, *words, limit))
    longest = max(words.words, key=len, default="")  # fits the fewest
    return _users(await db.fetch(_Q["search_all"], *wanted, *words, limit, longest))


async def known(db: Database, user_id: str, limit: int) -> list[str]:
    """Return ids of the others who are in a channel with the user, in no order."""
    return [row["user_id"] for row in await db.fetch(_Q["known_people"], user_id, limit)]


async def count(db: Database, viewer: str) -> int:
    """Return the number of active accounts; viewer as in Filter."""
    number: int = await db.fetchval(_Q["count_people"], viewer)
    return number


async def guests_who_see(tx: Transaction, user_ids: list[str]) -> dict[str, list[str]]:
    """Return user id → the guests who share a channel with him, in no order; users without such guests are left out."""
    found: dict[str, list[str]] = {}
    for row in await tx.fetch(_Q["guests_who_see"], user_ids):
        found.setdefault(row["user_id"], []).append(row["id"])
    return found
