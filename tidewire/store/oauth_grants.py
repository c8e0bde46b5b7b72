"""Rows of what users have granted to OAuth apps: codes, and what renews sessions. Only SHA-256 of either is stored.

Who writes here holds the user's row, as does who ends his sessions: what is read in the transaction stays true in it.
"""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.store.sessions import Ended

Source = Database | Transaction
_Q = sql.load("oauth_grants")


class Code(NamedTuple):
    """What a code stands for. expires_at: ms; session_id: what it was redeemed for, "" if it was not."""

    app_id: str
    user_id: str
    redirect_uri: str
    challenge: str
    expires_at: int
    session_id: str = ""


class Grant(NamedTuple):
    """What renews a session. refresh_hash: b"" for nothing; old_hashes: what it replaced; refresh_until: ms."""

    app_id: str
    user_id: str
    refresh_hash: bytes
    old_hashes: list[bytes]
    refresh_until: int


async def put_authorized(tx: Transaction, app_id: str, user_id: str) -> None:
    """Note that a user has authorised an app."""
    await tx.execute(_Q["put_authorized"], app_id, user_id)


async def lock_users(tx: Transaction, app_id: str, *, limit: int) -> list[str]:
    """Return the ids of some users who have authorised an app, locked."""
    return [row["id"] for row in await tx.fetch(_Q["users_of_app"], app_id, limit)]


async def revoke(tx: Transaction, app_id: str, user_ids: list[str], category: str) -> dict[str, list[Ended]]:
    """Delete what users have granted an app, with their preferences of a category that name it.

    Return user id → his sessions that are over by that.
    """
    ended: dict[str, list[Ended]] = {}
    for user_id, session_id, hashed in await tx.fetch(_Q["delete_sessions_of_app"], app_id, user_ids):
        ended.setdefault(user_id, []).append(Ended(session_id, hashed))
    await tx.execute(_Q["delete_authorized"], app_id, user_ids, category)
    return ended


async def end_oldest(tx: Transaction, app_id: str, user_id: str, *, keep: int) -> list[Ended]:
    """Delete a user's sessions of an app beyond the newest ones."""
    return [Ended(*row) for row in await tx.fetch(_Q["delete_oldest_of_app"], app_id, user_id, keep)]


async def insert_code(
    tx: Transaction, hashed: bytes, code: Code, *, login_id: str | None, keep: int, forget_before: int
) -> None:
    """Store a code, which goes with the session that agreed (login_id). keep: so many of the user's for the app."""
    await tx.execute(_Q["delete_old_codes"], forget_before)
    await tx.execute(
        _Q["insert_code"], hashed, code.app_id, code.user_id, code.redirect_uri, code.challenge, code.expires_at,
        login_id,
    )  # fmt: skip
    await tx.execute(_Q["delete_spare_codes"], code.app_id, code.user_id, keep)


async def code_of(source: Source, hashed: bytes) -> Code | None:
    """Return what a code stands for, or None."""
    row = await source.fetchrow(_Q["code"], hashed)
    return None if row is None else Code(*row)


async def use_code(tx: Transaction, hashed: bytes, session_id: str) -> None:
    """Note what a code was redeemed for."""
    await tx.execute(_Q["use_code"], hashed, session_id)


async def insert_grant(tx: Transaction, session_id: str, grant: Grant) -> None:
    """Store what renews a session."""
    await tx.execute(
        _Q["insert_grant"], session_id, grant.app_id, grant.user_id, grant.refresh_hash, grant.refresh_until
    )


async def grant_of(source: Source, session_id: str) -> Grant | None:
    """Return what renews a session, or None."""
    row = await source.fetchrow(_Q["grant_of_session"], session_id)
    return None if row is None else Grant(*row)


async def renew(
    tx: Transaction,
    session_id: str,
    *,
    token_hash: bytes,
    refresh_hash: bytes,
    expires_at: int,
    refresh_until: int,
    now: int,
    keep: int,
) -> list[Ended]:
    """Give a session another access token and refresh token; return it with the hash of the former access token.

    keep: how many replaced refresh tokens are still known for what they are.
    """
    await tx.execute(_Q["renew_grant"], session_id, refresh_hash, refresh_until, keep)
    rows = await tx.fetch(_Q["renew_session"], session_id, token_hash, expires_at, now)
    return [Ended(*row) for row in rows]
