"""Rows of webhooks. Deleted ones stay, unseen."""

from msgspec import structs

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.integrations import IncomingWebhook, OutgoingWebhook

Source = Database | Transaction
_Q = sql.load("webhooks")


async def insert_incoming(tx: Transaction, hook: IncomingWebhook) -> None:
    """Store an incoming webhook."""
    await tx.execute(_Q["insert_incoming"], *structs.astuple(hook))


async def incoming(source: Source, hook_id: str) -> IncomingWebhook | None:
    """Return a live incoming webhook, or None."""
    row = await source.fetchrow(_Q["incoming_by_id"], hook_id)
    return None if row is None else IncomingWebhook(**row)


async def lock_incoming(tx: Transaction, hook_id: str) -> IncomingWebhook | None:
    """Hold a live incoming webhook and return it, or None."""
    row = await tx.fetchrow(_Q["lock_incoming"], hook_id)
    return None if row is None else IncomingWebhook(**row)


async def page_of_incoming(
    db: Database, *, team_id: str, user_id: str, limit: int, offset: int
) -> list[IncomingWebhook]:
    """Return a page of incoming webhooks, the oldest first. team_id, user_id: "" for all."""
    rows = await db.fetch(_Q["page_of_incoming"], team_id, user_id, limit, offset)
    return [IncomingWebhook(**row) for row in rows]


async def count_incoming(db: Database, *, team_id: str, user_id: str) -> int:
    """Return how many page_of_incoming has."""
    found: int = await db.fetchval(_Q["count_incoming"], team_id, user_id)
    return found


async def update_incoming(tx: Transaction, hook: IncomingWebhook) -> None:
    """Write what may change of an incoming webhook."""
    await tx.execute(
        _Q["update_incoming"], hook.id, hook.update_at, hook.delete_at, hook.channel_id, hook.display_name,
        hook.description, hook.username, hook.icon_url, hook.channel_locked,
    )  # fmt: skip


async def insert_outgoing(tx: Transaction, hook: OutgoingWebhook) -> None:
    """Store an outgoing webhook."""
    await tx.execute(_Q["insert_outgoing"], *structs.astuple(hook))


async def outgoing(source: Source, hook_id: str) -> OutgoingWebhook | None:
    """Return a live outgoing webhook, or None."""
    row = await source.fetchrow(_Q["outgoing_by_id"], hook_id)
    return None if row is None else OutgoingWebhook(**row)


async def lock_outgoing(tx: Transaction, hook_id: str) -> OutgoingWebhook | None:
    """Hold a live outgoing webhook and return it, or None."""
    row = await tx.fetchrow(_Q["lock_outgoing"], hook_id)
    return None if row is None else OutgoingWebhook(**row)


async def page_of_outgoing(
    source: Source, *, team_id: str, channel_id: str, creator_id: str, limit: int, offset: int
) -> list[OutgoingWebhook]:
    """Return a page of outgoing webhooks, the oldest first. "" for all."""
    rows = await source.fetch(_Q["page_of_outgoing"], team_id, channel_id, creator_id, limit, offset)
    return [OutgoingWebhook(**row) for row in rows]


async def update_outgoing(tx: Transaction, hook: OutgoingWebhook) -> None:
    """Write what may change of an outgoing webhook."""
    await tx.execute(
        _Q["update_outgoing"], hook.id, hook.update_at, hook.delete_at, hook.token, hook.channel_id,
        hook.trigger_words, hook.trigger_when, hook.callback_urls, hook.display_name, hook.description,
        hook.content_type, hook.username, hook.icon_url,
    )  # fmt: skip
