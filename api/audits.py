"""The audit log. Rules are in tidewire.actions.audits; api.app writes what routes with `audit=True` did."""

from api.call import Call
from api.routing import route
from tidewire.actions import audits
from tidewire.wire.models import Audit


@route("GET", "/audits")
async def list_audits(call: Call) -> list[Audit]:
    """A page of everybody's audits."""
    return await audits.list_audits(call.services, call.login, **call.window())


@route("GET", "/users/{user_id}/audits")
async def list_audits_of_user(call: Call) -> list[Audit]:
    """A page of a user's audits."""
    user_id, window = call.path_id("user_id"), call.window()
    return await audits.list_audits_of(call.services, call.login, user_id, **window)
