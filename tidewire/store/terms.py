"""Rows of terms of service. Which ones a user has accepted is in his own row."""

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.models import TermsOfService

Source = Database | Transaction
_Q = sql.load("terms")


async def insert(source: Source, terms: TermsOfService) -> None:
    """Store new terms."""
    await source.execute(_Q["insert_terms"], terms.id, terms.create_at, terms.user_id, terms.text)


async def latest(source: Source) -> TermsOfService | None:
    """Return the terms that hold, or None."""
    row = await source.fetchrow(_Q["latest_terms"])
    return None if row is None else TermsOfService(**row)


async def exist(source: Source, terms_id: str) -> bool:
    """Tell whether there are terms of this id."""
    found: bool = await source.fetchval(_Q["terms_exist"], terms_id)
    return found
