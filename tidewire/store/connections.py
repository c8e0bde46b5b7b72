"""What a gateway reads to let sockets in: sessions and memberships, many at a time. Writes nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database

_Q = sql.load("connections")


class Login(NamedTuple):
    """A session, or a personal access token, that may be used. expires_at: Unix ms, 0 = never."""

    session_id: str
    user_id: str
    expires_at: int
    is_oauth: bool
    by_access_token: bool = False
    is_bot: bool = False
    mfa_active: bool = False


class Memberships(NamedTuple):
    """What a user hears. keys: ordering key ("u:…", "c:…", "t:…") → number of its last announcement.

    archived: those of them that are of archived channels.
    """

    roles: str
    keys: dict[str, int]
    archived: Sequence[str] = ()


async def load_logins(db: Database, token_hashes: Sequence[bytes], now_ms: int) -> dict[bytes, Login]:
    """Return the live sessions of live users by token hash (sha256); what is missing may not log in.

    Raises: Unavailable.
    """
    rows = await db.fetch(_Q["sessions_by_hash"], token_hashes, now_ms)
    return {hashed: Login(*login) for hashed, *login in rows}


async def load_session_ends(db: Database, session_ids: Sequence[str]) -> dict[str, int]:
    """Return when sessions end (ms), by id. Raises: Unavailable."""
    return {row["id"]: row["expires_at"] for row in await db.fetch(_Q["session_ends"], session_ids)}


async def load_memberships(db: Database, user_ids: Sequence[str]) -> dict[str, Memberships]:
    """Return roles, keys and their numbers by user id, all of one moment; deleted users are missing.

    Raises: Unavailable. Cost: one statement, about 10 index look-ups a user and one per membership.
    """
    found = {}
    for user_id, roles, number, names, numbers, archived in await db.fetch(_Q["memberships"], user_ids):
        keys = dict(zip(names.split(" "), numbers, strict=True)) if names else {}
        keys["u:" + user_id] = number
        found[user_id] = Memberships(roles, keys, archived.split(" ") if archived else ())
    return found


async def load_numbers(db: Database, keys: Sequence[str]) -> dict[str, int]:
    """Return the number of the last announcement of each ordering key that exists. Raises: Unavailable."""
    ids = {letter: [key[2:] for key in keys if key[0] == letter] for letter in "ctu"}
    rows = await db.fetch(_Q["numbers"], ids["c"], ids["t"], ids["u"])
    return {row["key"]: row["event_n"] for row in rows}
