"""Accounts for the reports of administrators. Each call reads all accounts: ask rarely."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database

_Q = sql.load("reports")


class Reported(NamedTuple):
    """Which accounts; "" and False filter nothing. begins: of a name or an address, lower case."""

    role: str = ""
    team_id: str = ""
    no_team: bool = False
    active: bool = False
    inactive: bool = False
    begins: str = ""


async def page(
    db: Database, wanted: Reported, *, column: str, after: tuple[str, str], down: bool, limit: int
) -> list[tuple[str, int]]:
    """Return (user id, when he was last seen, 0 for never), by the column and the id.

    column: as the contract names it. after: the column's value and the id to begin behind; ("", ""): the start.
    """
    if column == "CreateAt" and after[1]:
        after = after[0].rjust(20, "0"), after[1]
    rows = await db.fetch(_Q["page"], *wanted, column, *after, down, limit)
    return [(row["id"], row["last_status_at"]) for row in rows]


async def count(db: Database, wanted: Reported) -> int:
    """Return how many accounts there are."""
    number: int = await db.fetchval(_Q["count"], *wanted)
    return number
