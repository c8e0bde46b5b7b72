"""The configuration: what clients are told of it, and reading and changing it for administrators."""

from typing import Any

from api.call import Call
from api.routing import OK, route
from tidewire.actions import config_edit, permissions
from tidewire.store import users as user_store
from tidewire.wire.config import Nested, flatten
from tidewire.wire.errors import AppError, body_param

_UNCACHED = "no-cache, no-store, must-revalidate"


@route("GET", "/config/client", session=False)
async def client_config(call: Call) -> dict[str, str]:
    """What clients need to know; strangers get the login page's part, and hear whether there is any account yet."""
    config = call.services.config
    if call.session is not None:
        return config.client
    if await user_store.any_user(call.services.db):
        return config.limited
    return config.limited | {"NoAccounts": "true"}


@route("GET", "/license/client", session=False)
async def client_license(call: Call) -> dict[str, str]:
    """There is no licence."""
    if call.query("format") != "old":
        raise AppError("api.license.client.old_format.app_error", 400, "Only the old format is served.")
    return {"IsLicensed": "false"}


@route("GET", "/trial-license/prev")
async def previous_trial(call: Call) -> dict[str, str]:
    """There never was a licence."""
    return {"IsLicensed": "false"}


@route("GET", "/config")
async def get_config(call: Call) -> Nested:
    """The configuration, as far as the caller may see it, secrets masked."""
    call.set_header("Cache-Control", _UNCACHED)
    return config_edit.get_config(
        call.services,
        call.login,
        remove_masked=call.flag("remove_masked"),
        remove_defaults=call.flag("remove_defaults"),
    )


@route("PUT", "/config")
async def put_config(call: Call) -> Nested:
    """Change the whole configuration; keys that are left out go back to their defaults."""
    return await _change(call, replace=True)


@route("PUT", "/config/patch")
async def patch_config(call: Call) -> Nested:
    """Change the keys that are given."""
    return await _change(call, replace=False)


async def _change(call: Call, *, replace: bool) -> Nested:
    body: Any = await call.body(dict[str, Any], "config")
    try:
        given = flatten(body)
    except ValueError as error:
        raise body_param("config") from error
    call.set_header("Cache-Control", _UNCACHED)
    return await config_edit.do_change_config(call.services, call.login, given, replace=replace)


@route("POST", "/config/reload")
async def reload_config(call: Call) -> bytes:
    """Read the stored configuration again; nodes do so by themselves too."""
    permissions.check_system(call.login, "reload_config")
    await call.services.config.reload()
    return OK


@route("GET", "/config/environment")
async def environment(call: Call) -> Nested:
    """Which keys the environment or the settings file decides, as far as the caller may see them."""
    return config_edit.get_environment(call.services, call.login)
