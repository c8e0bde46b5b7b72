"""Files of imports and exports. Rules are in tidewire.actions.transfers.

Source: Mattermost API v4, imports, exports.
"""

from api.call import Call
from api.downloads import send
from api.routing import OK, Raw, Stream, route
from tidewire.actions import transfers


@route("GET", "/imports")
async def list_imports(call: Call) -> list[str]:
    """Name what was uploaded for an import."""
    return await transfers.list_names(call.services, call.login, "import")


@route("DELETE", "/imports/{import_name}", audit=True)
async def delete_import(call: Call) -> bytes:
    """Delete a file that was uploaded for an import."""
    await transfers.do_delete(call.services, call.login, "import", call.param("import_name"))
    return OK


@route("GET", "/exports")
async def list_exports(call: Call) -> list[str]:
    """Name the exports that can be fetched."""
    return await transfers.list_names(call.services, call.login, "export")


@route("GET", "/exports/{export_name}", audit=True)
async def get_export(call: Call) -> Raw | Stream:
    """Fetch an export, or a part of it."""
    shown = await transfers.access_export(call.services, call.login, call.param("export_name"))
    answer = await send(call, shown, download=True)
    call.set_header("Cache-Control", "no-store")  # all that was ever written is not to lie in a browser's cache
    return answer


@route("DELETE", "/exports/{export_name}", audit=True)
async def delete_export(call: Call) -> bytes:
    """Delete an export."""
    await transfers.do_delete(call.services, call.login, "export", call.param("export_name"))
    return OK
