"""Rows of audits: who did what, when and from where. Never changed; old ones are deleted."""

from tidewire.store import sql
from tidewire.store.db import Database
from tidewire.wire.models import Audit

_Q = sql.load("audits")


async def insert(db: Database, row: Audit) -> None:
    """Store an audit."""
    await db.execute(
        _Q["insert_audit"], row.id, row.create_at, row.user_id, row.action, row.extra_info, row.ip_address,
        row.session_id,
    )  # fmt: skip


async def page(db: Database, *, user_id: str = "", limit: int, offset: int) -> list[Audit]:
    """Return a page of audits, the newest first, of one user or all."""
    if user_id:
        rows = await db.fetch(_Q["page_of_audits_of"], user_id, limit, offset)
    else:
        rows = await db.fetch(_Q["page_of_audits"], limit, offset)
    return [Audit(**row) for row in rows]


async def delete_old(db: Database, *, before: int, limit: int) -> int:
    """Delete at most `limit` audits from before a time (ms); return how many there were."""
    tag = await db.execute(_Q["delete_old_audits"], before, limit)
    return int(tag.rpartition(" ")[2])
