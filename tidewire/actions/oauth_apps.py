"""OAuth apps: who may have which. What users grant them: tidewire.actions.oauth_requests and .oauth_tokens.

A secret is sealed in the database. A public app has none, and is told by PKCE. Source: Mattermost API v4, OAuthApp.
"""

from msgspec import structs

from tidewire.actions import permissions
from tidewire.actions.preferences import announce_changed
from tidewire.actions.services import Services
from tidewire.actions.sessions import OAUTH, announce_end
from tidewire.outbound import FetchError
from tidewire.outbound.client import parse
from tidewire.store import oauth_apps as store
from tidewire.store import oauth_grants, users
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import new_id, new_token, now_ms
from tidewire.wire.models import Preference, Session
from tidewire.wire.oauth import NewOAuthApp, OAuthApp

OWN, ANY = "manage_oauth", "manage_system_wide_oauth"
PREFERENCE = "oauth_app"  # category: name is the app's id, value the scope
NAME_MAX, DESCRIPTION_MAX, ICON_MAX, HOMEPAGE_MAX = 64, 512, 512, 256  # characters; Mattermost API v4
CALLBACKS_MAX, CALLBACKS_CHARACTERS = 20, 1024
APPS_MAX = 200  # of one creator
USERS_AT_ONCE = 200


def check_on(services: Services) -> None:
    """Raise 501 where the provider is switched off."""
    if not services.config.flag(OAUTH):
        raise AppError("api.oauth.allow_oauth.turn_off.app_error", 501, "The OAuth provider is switched off.")


def missing() -> AppError:
    """Return the 404 for an app that is not there."""
    return AppError("app.oauth.get_app.find.app_error", 404, "There is no such app.")


async def do_create(services: Services, session: Session, new: NewOAuthApp) -> OAuthApp:
    """Store an app of the caller, with a secret unless it is public. Raises: 400, 403, 501."""
    permissions.check_not_oauth(session)
    permissions.check_system(session, OWN)
    if not services.config.flag(OAUTH):
        error_id = "api.oauth.register_oauth_app.turn_off.app_error"
        raise AppError(error_id, 501, "The OAuth provider is switched off.")
    now = now_ms()
    app = OAuthApp(
        id=new_id(now), creator_id=session.user_id, create_at=now, update_at=now,
        client_secret="" if new.is_public else new_token(),
        name=new.name, description=new.description, icon_url=new.icon_url, callback_urls=new.callback_urls,
        homepage=new.homepage, is_trusted=new.is_trusted and permissions.has_system(session, "manage_system"),
    )  # fmt: skip
    check_app(app)
    async with services.db.transaction() as tx:
        await users.lock_all(tx, [session.user_id])  # two at once are counted one after the other
        if await store.count_of(tx, session.user_id) >= APPS_MAX:
            raise AppError("api.oauth.register_oauth_app.too_many.app_error", 400, "You have too many apps.")
        await store.insert(tx, sealed(services, app))
    return app


async def access(services: Services, session: Session, app_id: str) -> OAuthApp:
    """Return an app that the caller may manage, with its secret. Raises: 403, 404, 501."""
    permissions.check_not_oauth(session)
    permissions.check_system(session, OWN)
    check_on(services)
    app = await store.get(services.db, app_id)
    if app is None:
        raise missing()
    if app.creator_id != session.user_id and not permissions.has_system(session, ANY):
        raise forbidden()
    return _opened(services, app)


async def page(services: Services, session: Session, *, limit: int, offset: int) -> list[OAuthApp]:
    """Return a page of apps with their secrets: all of them, or the caller's. Raises: 403, 501."""
    permissions.check_not_oauth(session)
    if not permissions.has_system(session, OWN):
        raise AppError("api.command.admin_only.app_error", 403, "Integrations are for administrators only.")
    check_on(services)
    if permissions.has_system(session, ANY):
        found = await store.page(services.db, limit=limit, offset=offset)
    else:
        found = await store.page_of(services.db, session.user_id, limit=limit, offset=offset)
    return [_opened(services, app) for app in found]


async def get_info(services: Services, app_id: str) -> OAuthApp:
    """Return what anybody may know of an app. Raises: 404, 501."""
    check_on(services)
    app = await store.get(services.db, app_id)
    if app is None:
        raise missing()
    return structs.replace(app, client_secret="")


async def list_authorized(
    services: Services, session: Session, user_id: str, *, limit: int, offset: int
) -> list[OAuthApp]:
    """Return a page of the apps that a user has authorised, without secrets. Raises: 403, 501."""
    permissions.check_self(session, user_id)
    check_on(services)
    return await store.authorized_by(services.db, user_id, limit=limit, offset=offset)


async def do_update(services: Services, session: Session, app_id: str, new: OAuthApp) -> OAuthApp:
    """Change an app; its id, creator and secret stay. Raises: 400, 403, 404, 501."""
    if new.id != app_id:
        raise body_param("app_id")
    await access(services, session, app_id)
    async with services.db.transaction() as tx:
        app = await _lock(services, tx, app_id)
        app.name, app.description, app.icon_url = new.name, new.description, new.icon_url
        app.callback_urls, app.homepage = new.callback_urls, new.homepage
        if permissions.has_system(session, "manage_system"):
            app.is_trusted = new.is_trusted
        await _update(services, tx, app)
    return app


async def do_renew_secret(services: Services, session: Session, app_id: str) -> OAuthApp:
    """Give an app a new secret; what it was granted stays. Raises: 403, 404, 501; 400 for a public one."""
    await access(services, session, app_id)
    async with services.db.transaction() as tx:
        app = await _lock(services, tx, app_id)
        if not app.client_secret:
            error_id = "api.oauth.regenerate_secret.public_client.app_error"
            raise AppError(error_id, 400, "A public app has no secret.")
        app.client_secret = new_token()
        await _update(services, tx, app)
    return app


async def do_delete(services: Services, session: Session, app_id: str) -> None:
    """Delete an app; every session that it has ends, wherever it is. Raises: 403, 404, 501.

    In portions of users, each of which is over when it commits: a failure in between leaves the rest to another call.
    """
    await access(services, session, app_id)
    more = True
    while more:
        async with services.db.transaction() as tx:
            if await store.lock(tx, app_id) is None:
                return  # by another call at once
            user_ids = await oauth_grants.lock_users(tx, app_id, limit=USERS_AT_ONCE)
            await do_revoke(tx, app_id, user_ids)
            more = len(user_ids) == USERS_AT_ONCE
            if not more:
                await store.delete(tx, app_id)


async def do_revoke(tx: Transaction, app_id: str, user_ids: list[str]) -> None:
    """End what users, whose rows are locked, have granted an app, and tell their devices."""
    ended = await oauth_grants.revoke(tx, app_id, user_ids, PREFERENCE)
    for user_id in user_ids:
        announce_end(tx, user_id, ended.get(user_id, []))
        announce_changed(
            tx, user_id, [Preference(user_id, PREFERENCE, app_id, "")], event="preferences_deleted"
        )


async def _lock(services: Services, tx: Transaction, app_id: str) -> OAuthApp:
    app = await store.lock(tx, app_id)
    if app is None:
        raise missing()
    return _opened(services, app)


async def _update(services: Services, tx: Transaction, app: OAuthApp) -> None:
    check_app(app)
    app.update_at = max(now_ms(), app.update_at + 1)
    await store.update(tx, sealed(services, app))


def sealed(services: Services, app: OAuthApp) -> OAuthApp:
    """Return an app as it is stored."""
    return structs.replace(
        app, client_secret=services.vault.seal_text("oauth_app:" + app.id, app.client_secret)
    )


def _opened(services: Services, app: OAuthApp) -> OAuthApp:
    return structs.replace(app, client_secret=secret_of(services, app))


def secret_of(services: Services, app: OAuthApp) -> str:
    """Return the secret of an app as it is stored; "" of a public one."""
    return services.vault.unseal_text("oauth_app:" + app.id, app.client_secret)


def check_app(app: OAuthApp) -> None:
    """Raise 400 for what an app may not be."""
    callbacks = app.callback_urls
    fits = 1 <= len(callbacks) <= CALLBACKS_MAX and sum(map(len, callbacks)) <= CALLBACKS_CHARACTERS
    homeless = app.is_dynamically_registered is True and not app.homepage
    rules = (
        ("name", len(app.name.strip()) >= 1 and len(app.name) <= NAME_MAX),
        ("description", len(app.description) <= DESCRIPTION_MAX),
        ("callback", fits and all(map(_is_callback, callbacks))),
        ("homepage", homeless or (len(app.homepage) <= HOMEPAGE_MAX and _is_url(app.homepage))),
        ("icon_url", not app.icon_url or (len(app.icon_url) <= ICON_MAX and _is_url(app.icon_url))),
    )
    for name, right in rules:
        if not right:
            raise AppError(f"model.oauth.is_valid.{name}.app_error", 400, f"Invalid {name}.")


def _is_callback(text: str) -> bool:
    """Tell whether a code may be sent there (RFC 6749 3.1.2: absolute, and without a fragment)."""
    return "#" not in text and _is_url(text)


def _is_url(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:  # it stands in a Location header as it is
        return False
    try:
        parse(text)
    except FetchError:
        return False
    return True
