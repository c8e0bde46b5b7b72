"""Rows of tokens that work once: verification, password reset, invitation. Only a token's SHA-256 is stored."""

from typing import Any, NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction

Source = Database | Transaction
_Q = sql.load("one_time_tokens")


class OneTime(NamedTuple):
    """What a token stands for. expires_at: ms."""

    kind: str
    user_id: str
    email: str
    expires_at: int
    extra: dict[str, Any]


async def insert(tx: Transaction, hashed: bytes, row: OneTime, *, now: int) -> None:
    """Store a token; some that expired go on the way."""
    await tx.execute(_Q["delete_expired_tokens"], now)
    await tx.execute(
        _Q["insert_one_time_token"], hashed, row.kind, row.user_id, row.email, row.expires_at, row.extra
    )


async def insert_for_emails(
    tx: Transaction,
    kind: str,
    rows: list[tuple[bytes, str]],
    *,
    expires_at: int,
    extra: dict[str, Any],
    now: int,
) -> None:
    """Store tokens (hash, address) of nobody yet; some that expired go on the way."""
    await tx.execute(_Q["delete_expired_tokens"], now)
    hashes, emails = [row[0] for row in rows], [row[1] for row in rows]
    await tx.execute(_Q["insert_tokens_for_emails"], hashes, emails, kind, expires_at, extra)


async def peek(source: Source, hashed: bytes, kind: str) -> OneTime | None:
    """Return what a token stands for and leave it, or None."""
    row = await source.fetchrow(_Q["peek_one_time_token"], hashed, kind)
    return None if row is None else OneTime(*row)


async def take(tx: Transaction, hashed: bytes, kind: str) -> OneTime | None:
    """Return what a token stands for and delete it, or None if there is none (any more)."""
    row = await tx.fetchrow(_Q["take_one_time_token"], hashed, kind)
    return None if row is None else OneTime(*row)


async def delete_of_user(tx: Transaction, user_id: str, kind: str = "") -> None:
    """Delete a user's tokens, of one kind or all."""
    await tx.execute(_Q["delete_tokens_of_user"], user_id, kind)
