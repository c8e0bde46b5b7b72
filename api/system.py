"""Health, and short true answers."""

from typing import Any

from api.call import Call
from api.routing import route
from tidewire.actions import permissions, push_acks
from tidewire.store import system
from tidewire.store import users as user_store
from tidewire.wire.errors import Unavailable


@route("GET", "/system/ping", session=False)
async def ping(call: Call) -> Any:
    """Whether the server works. get_server_status asks what it needs; 500 if that is gone, unless REST is wanted."""
    answer = {
        "status": "OK",
        "AndroidLatestVersion": "",
        "AndroidMinVersion": "",
        "IosLatestVersion": "",
        "IosMinVersion": "",
        "ActiveSearchBackend": "database",
    }
    if device_id := call.query("device_id"):
        answer["CanReceiveNotifications"] = await push_acks.can_receive(call.services, call.address, device_id)
    if not call.flag("get_server_status"):
        return answer
    for name, check in (
        ("database_status", system.ping(call.services.db)),
        ("filestore_status", call.services.files.check()),
    ):
        try:
            await check
            answer[name] = "OK"
        except Unavailable:
            answer[name] = answer["status"] = "UNHEALTHY"
    for name in ("status", "database_status", "filestore_status"):
        call.set_header(name, answer[name])
    if answer["status"] != "OK" and not call.flag("use_rest_semantics"):
        call.resp.status = 500
    return answer


@route("GET", "/limits/server")
async def server_limits(call: Call) -> dict[str, int]:
    """There are no limits on users; admins see how many there are."""
    admin = permissions.has_system(call.login, "sysconsole_read_user_management_users")
    return {
        "maxUsersLimit": 0,
        "maxUsersHardLimit": 0,
        "activeUserCount": await user_store.count(call.services.db) if admin else 0,
        "singleChannelGuestCount": 0,
        "singleChannelGuestLimit": 0,
        "postHistoryLimit": 0,
        "lastAccessiblePostTime": 0,
    }


@route("GET", "/plugins/webapp", session=False)
async def webapp_plugins(call: Call) -> list[str]:
    """There are no plugins."""
    return []


@route("GET", "/system/notices/{team_id}")
async def notices(call: Call) -> list[str]:
    """There are no notices."""
    call.path_id("team_id")
    return []


@route("GET", "/agents")
async def agents(call: Call) -> list[str]:
    """There are no agents."""
    return []


@route("GET", "/agents/status")
async def agents_status(call: Call) -> dict[str, bool | str]:
    """There are no agents."""
    return {"available": False, "reason": "not offered"}
