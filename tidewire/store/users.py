"""Rows of users, and their password hashes, which go nowhere else."""

from typing import NamedTuple

from asyncpg import UniqueViolationError

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.models import User

Source = Database | Transaction
_Q = sql.load("users")


class Credentials(NamedTuple):
    """What a login is checked against."""

    user_id: str
    password_hash: str
    failed_attempts: int
    delete_at: int
    is_bot: bool
    auth_service: str
    email_verified: bool
    mfa_active: bool
    last_password_update: int


class Mfa(NamedTuple):
    """A user's second factor, its secret sealed. last_step: the 30 s step of the last accepted code."""

    active: bool
    secret: str
    last_step: int


def _users(rows: list[Record]) -> list[User]:
    return [User(**row) for row in rows]


def taken(error: UniqueViolationError) -> AppError:
    """Return the 400 for a username or an e-mail that another account has."""
    what = "email" if error.constraint_name == "users_email_key" else "username"
    return AppError(
        f"app.user.save.{what}_exists.app_error", 400, f"An account with that {what} already exists."
    )


async def by_ids(source: Source, ids: list[str], *, since: int = -1) -> list[User]:
    """Return the users of these ids that exist and changed after since (ms), in no order."""
    return _users(await source.fetch(_Q["users_by_ids"], ids, since))


async def by_usernames(source: Source, names: list[str]) -> list[User]:
    """Return the users of these names that exist, in no order."""
    return _users(await source.fetch(_Q["users_by_usernames"], names))


async def by_email(source: Source, email: str) -> User | None:
    """Return the user of an address, or None."""
    row = await source.fetchrow(_Q["user_by_email"], email)
    return None if row is None else User(**row)


async def credentials(
    source: Source, login: str, *, by_username: bool = True, by_email: bool = True
) -> Credentials | None:
    """Return what a login by id, username or e-mail is checked against, or None."""
    row = await source.fetchrow(_Q["credentials"], login, by_username, by_email)
    return None if row is None else Credentials(*row)


async def lock(tx: Transaction, user_id: str) -> User | None:
    """Return the user, locked against changes until the transaction ends, or None."""
    row = await tx.fetchrow(_Q["lock_user"], user_id)
    return None if row is None else User(**row)


async def lock_all(tx: Transaction, user_ids: list[str]) -> None:
    """Lock users against changes until the transaction ends."""
    await tx.execute(_Q["lock_users"], user_ids)


async def becomes_first(tx: Transaction) -> bool:
    """Tell whether a user inserted now is the first; if so nobody else gets that answer until the transaction ends."""
    if await tx.fetchval(_Q["any_user"]):
        return False
    await tx.execute(_Q["lock_first_user"])
    return not await tx.fetchval(_Q["any_user"])


async def any_user(source: Source) -> bool:
    """Tell whether an account exists."""
    exists: bool = await source.fetchval(_Q["any_user"])
    return exists


async def insert(tx: Transaction, user: User, password_hash: str) -> None:
    """Store a new user. Raises: AppError 400 when the username or the e-mail is taken."""
    try:
        await tx.execute(
            _Q["insert_user"], user.id, user.create_at, user.username, user.email, password_hash, user.nickname,
            user.first_name, user.last_name, user.position, user.roles, user.props, user.notify_props, user.locale,
            user.timezone, user.email_verified, user.is_bot, user.bot_description,
        )  # fmt: skip
    except UniqueViolationError as error:
        raise taken(error) from error


async def update(tx: Transaction, user: User) -> None:
    """Store what a patch may change. Raises: AppError 400 when the username or the e-mail is taken."""
    try:
        await tx.execute(
            _Q["update_user"], user.id, user.update_at, user.username, user.email, user.nickname, user.first_name,
            user.last_name, user.position, user.props, user.notify_props, user.locale, user.timezone,
            user.email_verified,
        )  # fmt: skip
    except UniqueViolationError as error:
        raise taken(error) from error


async def note_attempt(source: Source, user_id: str, *, failed: bool) -> None:
    """Count a failed login, or forget the failed ones after a good one."""
    await source.execute(_Q["set_failed_attempts"], user_id, failed)


async def set_password_hash(source: Source, user_id: str, password_hash: str) -> None:
    """Replace the hash of an unchanged password."""
    await source.execute(_Q["set_password_hash"], user_id, password_hash)


async def change_password(tx: Transaction, user_id: str, password_hash: str, *, at: int) -> None:
    """Give a user another password, and all of his attempts back."""
    await tx.execute(_Q["change_password"], user_id, password_hash, at)


async def set_mfa(tx: Transaction, user_id: str, secret: str, *, active: bool, at: int) -> None:
    """Store a second factor, sealed; "" is none."""
    await tx.execute(_Q["set_mfa"], user_id, secret, active, at)


async def mfa_of(source: Source, user_id: str) -> Mfa | None:
    """Return a user's second factor; None for nobody."""
    row = await source.fetchrow(_Q["mfa_of"], user_id)
    return None if row is None else Mfa(*row)


async def open_mfa_secrets(db: Database, limit: int) -> dict[str, str]:
    """Return user id → secret of some second factors that are not sealed."""
    return {row["id"]: row["mfa_secret"] for row in await db.fetch(_Q["open_mfa_secrets"], limit)}


async def seal_mfa_secrets(db: Database, before: dict[str, str], after: dict[str, str]) -> None:
    """Replace secrets, user id → secret, where they are still what they were."""
    ids = list(before)
    await db.execute(_Q["seal_mfa_secrets"], ids, [before[one] for one in ids], [after[one] for one in ids])


async def take_mfa_step(source: Source, user_id: str, step: int) -> bool:
    """Use up a code's step and all before it. False if somebody has used it."""
    return await source.fetchrow(_Q["take_mfa_step"], user_id, step) is not None


async def verify_email(tx: Transaction, user_id: str, *, at: int) -> None:
    """Store that the user has shown the address to be his."""
    await tx.execute(_Q["verify_email"], user_id, at)


async def set_terms(tx: Transaction, user_id: str, terms_id: str, *, accepted_at: int, at: int) -> None:
    """Store which terms of service a user has accepted; "" and 0: none."""
    await tx.execute(_Q["set_terms"], user_id, terms_id, accepted_at, at)


async def count(source: Source) -> int:
    """Return the number of active accounts."""
    number: int = await source.fetchval(_Q["count_users"])
    return number


async def set_roles(tx: Transaction, user_id: str, roles: str, *, at: int) -> None:
    """Store a user's system roles."""
    await tx.execute(_Q["set_roles"], user_id, roles, at)


async def set_active(tx: Transaction, user_id: str, *, delete_at: int, at: int) -> None:
    """Store whether a user is deactivated, and since when (ms; 0: he is active)."""
    await tx.execute(_Q["set_active"], user_id, delete_at, at)
