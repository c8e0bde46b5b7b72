"""Rows of OAuth apps. `client_secret` is sealed here; reading it is the caller's."""

from msgspec import UNSET

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.oauth import OAuthApp

Source = Database | Transaction
_Q = sql.load("oauth_apps")


def _app(row: Record) -> OAuthApp:
    app = OAuthApp(**row)
    app.is_dynamically_registered = app.is_dynamically_registered or UNSET
    return app


async def insert(tx: Transaction, app: OAuthApp) -> None:
    """Store a new app."""
    await tx.execute(
        _Q["insert_oauth_app"], app.id, app.creator_id, app.create_at, app.update_at, app.client_secret, app.name,
        app.description, app.icon_url, app.callback_urls, app.homepage, app.is_trusted, app.mattermost_app_id,
        app.is_dynamically_registered is True,
    )  # fmt: skip


async def count_of(source: Source, creator_id: str) -> int:
    """Return how many apps a user has made."""
    row = await source.fetchrow(_Q["count_oauth_apps"], creator_id)
    return 0 if row is None else int(row[0])


async def get(source: Source, app_id: str) -> OAuthApp | None:
    """Return an app, or None."""
    row = await source.fetchrow(_Q["oauth_app"], app_id)
    return None if row is None else _app(row)


async def lock(tx: Transaction, app_id: str) -> OAuthApp | None:
    """Return an app, locked against changes and new grants until the transaction ends, or None."""
    row = await tx.fetchrow(_Q["lock_oauth_app"], app_id)
    return None if row is None else _app(row)


async def hold(tx: Transaction, app_id: str) -> OAuthApp | None:
    """Return an app that stays as it is until the transaction ends, or None."""
    row = await tx.fetchrow(_Q["hold_oauth_app"], app_id)
    return None if row is None else _app(row)


async def page(source: Source, *, limit: int, offset: int) -> list[OAuthApp]:
    """Return a page of all apps, the oldest first."""
    return [_app(row) for row in await source.fetch(_Q["page_of_oauth_apps"], limit, offset)]


async def page_of(source: Source, creator_id: str, *, limit: int, offset: int) -> list[OAuthApp]:
    """Return a page of the apps that a user has made."""
    return [_app(row) for row in await source.fetch(_Q["page_of_own_oauth_apps"], creator_id, limit, offset)]


async def authorized_by(source: Source, user_id: str, *, limit: int, offset: int) -> list[OAuthApp]:
    """Return a page of the apps that a user has authorised, without their secrets."""
    return [_app(row) for row in await source.fetch(_Q["authorized_oauth_apps"], user_id, limit, offset)]


async def update(tx: Transaction, app: OAuthApp) -> None:
    """Store what of an app may change."""
    await tx.execute(
        _Q["update_oauth_app"], app.id, app.update_at, app.client_secret, app.name, app.description, app.icon_url,
        app.callback_urls, app.homepage, app.is_trusted,
    )  # fmt: skip


async def forget_unused(tx: Transaction, before_ms: int, limit: int) -> int:
    """Delete the oldest apps that registered themselves before a time and that nobody uses; return how many."""
    rows = await tx.fetch(_Q["lock_unused_oauth_apps"], before_ms, limit)
    return len(await tx.fetch(_Q["delete_unused_oauth_apps"], [row["id"] for row in rows])) if rows else 0


async def delete(tx: Transaction, app_id: str) -> None:
    """Delete an app that nobody has authorised any more."""
    await tx.execute(_Q["delete_oauth_app"], app_id)
