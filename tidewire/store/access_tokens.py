"""Rows of personal access tokens. Only a token's SHA-256 is stored; finding one by it is sessions' and connections'."""

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.store.sessions import Ended
from tidewire.wire.models import UserAccessToken

Source = Database | Transaction
_Q = sql.load("access_tokens")


def _tokens(rows: list[Record]) -> list[UserAccessToken]:
    return [UserAccessToken(**row) for row in rows]


async def insert(tx: Transaction, token: UserAccessToken, *, hashed: bytes, csrf: str, at: int) -> None:
    """Store a new token. csrf: what a browser must show that uses it as a cookie."""
    await tx.execute(_Q["insert_access_token"], token.id, hashed, token.user_id, token.description, at, csrf)


async def by_id(source: Source, token_id: str) -> UserAccessToken | None:
    """Return a token, or None."""
    row = await source.fetchrow(_Q["access_token"], token_id)
    return None if row is None else UserAccessToken(**row)


async def of_user(source: Source, user_id: str, *, limit: int, offset: int) -> list[UserAccessToken]:
    """Return a page of a user's tokens, the newest first."""
    return _tokens(await source.fetch(_Q["access_tokens_of"], user_id, limit, offset))


async def page(source: Source, *, limit: int, offset: int) -> list[UserAccessToken]:
    """Return a page of all tokens."""
    return _tokens(await source.fetch(_Q["page_of_access_tokens"], limit, offset))


async def search(source: Source, term: str, *, limit: int) -> list[UserAccessToken]:
    """Return tokens whose id, user id or username begins with the term."""
    escaped = term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return _tokens(await source.fetch(_Q["search_access_tokens"], escaped + "%", limit))


async def set_active(tx: Transaction, token_id: str, *, active: bool) -> list[Ended]:
    """Switch a token on or off; return it as an ended session if that changed something."""
    return [Ended(*row) for row in await tx.fetch(_Q["set_access_token_active"], token_id, active)]


async def delete(tx: Transaction, token_id: str) -> list[Ended]:
    """Delete a token; return it as an ended session, empty if there was none."""
    return [Ended(*row) for row in await tx.fetch(_Q["delete_access_token"], token_id)]
