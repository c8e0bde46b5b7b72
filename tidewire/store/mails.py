"""Rows of e-mail that waits. What is in it is sealed: this module does not read it."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction

_Q = sql.load("mails")


class Waiting(NamedTuple):
    """A message that was claimed. attempts: this one included. created_at: ms."""

    id: int
    kind: str
    created_at: int
    attempts: int
    sealed: bytes


async def queue(tx: Transaction | Database, kind: str, sealed: list[bytes], *, now: int, most: int) -> bool:
    """Store messages, to be sent at once; False, and none is stored, while `most` wait."""
    return bool(await tx.fetch(_Q["queue_mails"], kind, now, sealed, most))


async def claim(db: Database, *, now: int, until: int, limit: int) -> list[Waiting]:
    """Return messages that are due, the longest due first; nobody else gets them before `until` (ms).

    Raises: Unavailable.
    """
    return [Waiting(*row) for row in await db.fetch(_Q["claim_mails"], now, until, limit)]


async def put_off(db: Database, mail_id: int, *, until: int) -> None:
    """Let a message be tried again then (ms)."""
    await db.execute(_Q["put_off_mail"], mail_id, until)


async def delete(db: Database, mail_id: int) -> None:
    """Forget a message."""
    await db.execute(_Q["delete_mail"], mail_id)
