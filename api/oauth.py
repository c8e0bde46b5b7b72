"""OAuth apps: their management. What they are for: api.oauth_provider. Rules are in tidewire.actions.oauth_apps."""

from api.call import Call
from api.routing import OK, Created, route
from tidewire.actions import oauth_apps, oauth_registration
from tidewire.actions.oauth_registration import Registration
from tidewire.wire.oauth import NewOAuthApp, OAuthApp


@route("POST", "/oauth/apps", audit=True)
async def create_app(call: Call) -> Created:
    """Register an app; with `is_public` it gets no secret and must use PKCE."""
    new: NewOAuthApp = await call.body(NewOAuthApp, "oauth_app")
    return Created(await oauth_apps.do_create(call.services, call.login, new))


@route("GET", "/oauth/apps")
async def list_apps(call: Call) -> list[OAuthApp]:
    """A page of apps: all of them for who may manage others', else one's own."""
    return await oauth_apps.page(call.services, call.login, **call.window())


@route("GET", "/oauth/apps/{app_id}")
async def get_app(call: Call) -> OAuthApp:
    """An app with its secret."""
    return await oauth_apps.access(call.services, call.login, call.path_id("app_id"))


@route("PUT", "/oauth/apps/{app_id}", audit=True)
async def update_app(call: Call) -> OAuthApp:
    """Change an app."""
    app_id = call.path_id("app_id")
    new: OAuthApp = await call.body(OAuthApp, "oauth_app")
    return await oauth_apps.do_update(call.services, call.login, app_id, new)


@route("DELETE", "/oauth/apps/{app_id}", audit=True)
async def delete_app(call: Call) -> bytes:
    """Delete an app; its sessions end."""
    await oauth_apps.do_delete(call.services, call.login, call.path_id("app_id"))
    return OK


@route("POST", "/oauth/apps/{app_id}/regen_secret", audit=True)
async def renew_secret(call: Call) -> OAuthApp:
    """Give an app a new secret."""
    return await oauth_apps.do_renew_secret(call.services, call.login, call.path_id("app_id"))


@route("GET", "/oauth/apps/{app_id}/info")
async def get_app_info(call: Call) -> OAuthApp:
    """An app without its secret, for everybody who is to decide on it."""
    return await oauth_apps.get_info(call.services, call.path_id("app_id"))


@route("POST", "/oauth/apps/register", session=False, csrf=False, audit=True)
async def register_client(call: Call) -> Created:
    """Register an app by itself (RFC 7591), where the configuration allows it."""
    asked: Registration = await call.body(Registration, "client_registration_request")
    return Created(await oauth_registration.do_register(call.services, asked, call.address))


@route("GET", "/users/{user_id}/oauth/apps/authorized")
async def list_authorized_apps(call: Call) -> list[OAuthApp]:
    """A page of the apps that a user has authorised, without secrets."""
    user_id, window = call.path_id("user_id"), call.window()
    return await oauth_apps.list_authorized(call.services, call.login, user_id, **window)
