"""Rows of bots: who owns which. A bot is a user too, whose name, description and deactivation are in its user row."""

from asyncpg import UniqueViolationError

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.store.users import taken
from tidewire.wire.models import Bot

Source = Database | Transaction
_Q = sql.load("bots")


async def insert(tx: Transaction, bot: Bot) -> None:
    """Store that a user is a bot, and whose."""
    await tx.execute(_Q["insert_bot"], bot.user_id, bot.owner_id, bot.create_at)


async def by_id(source: Source, bot_user_id: str, *, deleted: bool) -> Bot | None:
    """Return a bot, or None. deleted: a disabled one too."""
    row = await source.fetchrow(_Q["bot"], bot_user_id, deleted)
    return None if row is None else Bot(**row)


async def page(
    source: Source, *, owner_id: str, deleted: bool, orphaned: bool, limit: int, offset: int
) -> list[Bot]:
    """Return a page of bots, the oldest first. owner_id: "" for all; orphaned: of deactivated owners only."""
    rows = await source.fetch(_Q["page_of_bots"], owner_id, deleted, orphaned, limit, offset)
    return [Bot(**row) for row in rows]


async def update(tx: Transaction, bot: Bot, *, email: str, user_update_at: int) -> None:
    """Store everything that may change of a bot, in both of its rows. Raises: AppError 400 when the name is taken."""
    try:
        await tx.execute(
            _Q["update_bot_user"], bot.user_id, bot.username, email, bot.display_name, bot.description, bot.delete_at,
            user_update_at,
        )  # fmt: skip
    except UniqueViolationError as error:
        raise taken(error) from error
    await tx.execute(_Q["touch_bot"], bot.user_id, bot.owner_id, bot.update_at, bot.delete_at)


async def lock_live_of(tx: Transaction, owner_id: str) -> list[str]:
    """Return the ids of an owner's live bots, their user rows locked."""
    return [row["id"] for row in await tx.fetch(_Q["lock_live_bots_of"], owner_id)]


async def disable(tx: Transaction, bot_user_ids: list[str], *, at: int) -> None:
    """Deactivate bots."""
    await tx.execute(_Q["disable_bots"], bot_user_ids, at)
