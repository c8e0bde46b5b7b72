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
        session.device_id, session.roles, session.props, session.is_oauth,
    )  # fmt: skip


async def by_hash(source: Source, hashed: bytes) -> Session | None:
    """Return the session of a token hash with the user's present roles, or None; also None for a deactivated user.

    Expiry is the caller's test.
    """
    row = await source.fetchrow(_Q["session_by_hash"], hashed)
    return None if row is None else _session(row)


async def by_id(source: Source, session_id: str) -> Session | None:
    """Return a session as it was made, or None. Expiry is the caller's test."""
    row = await source.fetchrow(_Q["session_by_id"], session_id)
    return None if row is None else _session(row)


async def of_user(source: Source, user_id: str, *, now: int) -> list[Session]:
    """Return the user's live sessions, the last used first."""
    return [_session(row) for row in await source.fetch(_Q["sessions_of"], user_id, now)]


async def delete(tx: Transaction, user_id: str, session_id: str) -> list[Ended]:
    """Delete one session of a user; empty if he has no such session."""
    return [Ended(*row) for row in await tx.fetch(_Q["delete_session"], user_id, session_id)]


async def delete_all(tx: Transaction, user_id: str, *, but: str = "") -> list[Ended]:
    """Delete all sessions of a user, but one if its id is given."""
    return [Ended(*row) for row in await tx.fetch(_Q["delete_sessions"], user_id, but)]


async def delete_of_users(tx: Transaction, user_ids: list[str]) -> list[bytes]:
    """Delete all sessions of users; return the hashes of these and of the users' access tokens, which stay."""
    return [row["token_hash"] for row in await tx.fetch(_Q["delete_sessions_of_users"], user_ids)]


async def delete_of_device(tx: Transaction, user_id: str, device_id: str, *, but: str) -> list[Ended]:
    """Delete the user's sessions on a device, but one."""
    return [Ended(*row) for row in await tx.fetch(_Q["delete_device_sessions"], user_id, device_id, but)]


async def set_device(
    tx: Transaction, session: Session, *, device_id: str | None, expires_at: int | None, props: dict[str, str]
) -> list[Ended]:
    """Store what a session's client says about its device; None leaves a value. Return the session's hash."""
    rows = await tx.fetch(_Q["set_device"], session.user_id, device_id, expires_at, props, session.id)
    return [Ended(*row) for row in rows]


async def extend(
    tx: Transaction, session_id: str, *, expires_at: int, not_after: int, now: int
) -> list[Ended]:
    """Let a session that ends no later than not_after end at expires_at; empty if it ends later already."""
    rows = await tx.fetch(_Q["extend_session"], session_id, expires_at, not_after, now)
    return [Ended(*row) for row in rows]


async def users_after(source: Source, user_id: str, *, limit: int) -> list[str]:
    """Return the ids of the next users that have sessions, in order; "" begins."""
    return [row["user_id"] for row in await source.fetch(_Q["users_with_sessions"], user_id, limit)]


async def hashes_of_user(tx: Transaction, user_id: str) -> list[bytes]:
    """Return the token hashes of all that a user is logged in by, access tokens too."""
    return [row["token_hash"] for row in await tx.fetch(_Q["hashes_of_user"], user_id)]
