"""Rows of statuses: what users chose, and what their sockets showed last. Who has one now: actions/status.py."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.ids import now_ms

_Q = sql.load("statuses")


class Noted(NamedTuple):
    """A row. manual: chosen by hand and in force. Times in ms, but dnd_end_time in seconds.

    online_until: −1 if the account is deactivated, so that he is offline although sockets may still say otherwise.
    """

    user_id: str
    status: str
    manual: bool
    last_activity_at: int
    dnd_end_time: int
    online_until: int


async def of_users(db: Database, user_ids: Sequence[str]) -> list[Noted]:
    """Return the rows that these users have, unordered. Raises: Unavailable."""
    return [Noted(*row) for row in await db.fetch(_Q["statuses_of"], user_ids, now_ms() // 1000)]


async def choose(db: Database, user_id: str, status: str, dnd_end_time: int = 0) -> None:
    """Let the user's status be this one until he chooses another, or dnd_end_time (s). Raises: Unavailable."""
    await db.execute(_Q["choose_status"], user_id, status, now_ms(), dnd_end_time)


async def choose_online(db: Database, user_id: str, *, until: int = 0) -> None:
    """Let sockets decide the user's status again; until (ms): online up to then without one. Raises: Unavailable."""
    await db.execute(_Q["choose_online"], user_id, now_ms(), until)


async def note(tx: Transaction, seen: Mapping[str, tuple[str, int]]) -> None:
    """Write down user → (status, last activity in ms), which sockets showed, of those who have an account."""
    statuses = [status for status, _ in seen.values()]
    await tx.execute(_Q["hold_accounts"])
    await tx.execute(_Q["note_presence"], list(seen), statuses, [at for _, at in seen.values()])


async def await_noted(tx: Transaction) -> None:
    """Let nobody's presence be written until the transaction ends, and wait for what is just written."""
    await tx.execute(_Q["await_presence"])


async def forget(tx: Transaction, user_ids: list[str]) -> None:
    """Take users offline, whatever they chose and whatever sockets show, until they may be online again."""
    await tx.execute(_Q["forget_status"], user_ids)


async def let_online(tx: Transaction, user_id: str) -> None:
    """Let sockets decide the status of a user who was taken offline."""
    await tx.execute(_Q["let_online_again"], user_id)


async def end_dnd(db: Database, limit: int) -> list[str]:
    """End do-not-disturbs that have run out, the oldest first; return whose. Empty while another process does it.

    Raises: Unavailable.
    """
    async with db.transaction() as tx:
        if not await tx.fetchval(_Q["lead_sweep"]):
            return []
        return [row["user_id"] for row in await tx.fetch(_Q["end_dnd"], now_ms() // 1000, limit)]
