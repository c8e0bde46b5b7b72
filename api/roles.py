"""Roles and what they permit."""

from api.call import Call
from api.routing import route
from tidewire.actions import permissions, roles
from tidewire.actions.roles import RolePatch
from tidewire.wire.models import Role

NAMES_MAX = 100


@route("GET", "/roles")
async def all_roles(call: Call) -> list[Role]:
    """Every role."""
    permissions.check_system(call.login, "manage_system")
    return list(call.services.roles.by_name.values())


@route("POST", "/roles/names", csrf=False)
async def roles_by_names(call: Call) -> list[Role]:
    """What roles permit; unknown ones are left out."""
    known = call.services.roles.by_name
    return [known[name] for name in await call.id_list(NAMES_MAX) if name in known]


@route("GET", "/roles/name/{role_name}", csrf=False)
async def role_by_name(call: Call) -> Role:
    """What a role permits."""
    role = call.services.roles.by_name.get(call.param("role_name"))
    if role is None:
        raise roles.missing()
    return role


@route("GET", "/roles/{role_id}", csrf=False)
async def role_by_id(call: Call) -> Role:
    """What a role permits."""
    return call.services.roles.by_id(call.path_id("role_id"))


@route("PUT", "/roles/{role_id}/patch")
async def patch_role(call: Call) -> Role:
    """Change what a role permits."""
    role_id, patch = call.path_id("role_id"), await call.body(RolePatch, "role")
    return await roles.do_patch_role(call.services, call.login, role_id, patch)
