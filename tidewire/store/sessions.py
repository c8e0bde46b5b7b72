"""Rows of sessions. A token is never stored, only its SHA-256."""

from hashlib import sha256
from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.models import Session

Source = Database | Transaction
_Q = sql.load("sessions")


class Ended(NamedTuple):
    """A session that was deleted."""

    session_id: str
    token_hash: bytes


def token_hash(token: str) -> bytes:
    """Return what is stored of a token. 130 random bits need no salt and no slow hash."""
    # A forged token may hold anything; it shall be unknown, not an encoding error.
    return sha256(token.encode("utf-8", "backslashreplace")).digest()


def _session(row: Record) -> Session:
    return Session(**row)


async def insert(tx: Transaction, session: Session, *, hashed: bytes) -> None:
    """Store a new session; drops the user's expired ones on the way."""
    await tx.execute(_Q["delete_expired"], session.user_id, session.create_at)
    await tx.execute(
        _Q["insert_session"], session.id, hashed, session.user_id, session.create_at, session.expires_at,
        session.device_id, session.roles, session.props,
    )  # fmt: skip


async def by_hash(source: Source, hashed: bytes) -> Session | None:
    """Return the session of a token hash with the user's present roles, or None; also None for a deactivated user.

    Expiry is the caller's test.
    """
    row = await source.fetchrow(_Q["session_by_hash"], hashed)
    return None if row is None else _session(row)


async def of_user(source: Source, user_id: str, *, now: int) -> list[Session]:
    """Return the user's live sessions, the last used first."""
    return [_session(row) for row in await source.fetch(_Q["sessions_of"], user_id, now)]


async def delete(tx: Transaction, user_id: str, session_id: str) -> list[Ended]:
    """Delete one session of a user; empty if he has no such session."""
    return [Ended(*row) for row in await tx.fetch(_Q["delete_session"], user_id, session_id)]


async def delete_all(tx: Transaction, user_id: str) -> list[Ended]:
    """Delete all sessions of a user."""
    return [Ended(*row) for row in await tx.fetch(_Q["delete_sessions"], user_id)]
