"""The roles of this process: the built-in ones, with the permissions that administrators gave them instead.

All nodes share them; kept at the newest revision by tidewire.actions.revisions.
"""

from typing import Any

from msgspec import Struct, structs

from tidewire.actions import permissions
from tidewire.actions.copies import announce, to_all
from tidewire.actions.revisions import revision_key
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.store import config as store
from tidewire.store.db import Database
from tidewire.wire.errors import AppError
from tidewire.wire.events import as_text
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Role, Session
from tidewire.wire.roles import PERMISSIONS, ROLES

EVERY = frozenset(PERMISSIONS["system_admin"])
GUESTS = frozenset({"system_guest", "team_guest", "channel_guest"})
# Only those who may do everything change what these permit.
PROTECTED = frozenset({"system_admin", "system_manager", "system_user_manager", "system_read_only_admin"})
# Nobody gets or loses these by a patch.
UNTOUCHABLE = frozenset(
    {
        "manage_system",
        "manage_roles",
        "sysconsole_read_user_management_system_roles",
        "sysconsole_write_user_management_system_roles",
    }
)


class RolePatch(Struct):
    """What one may change about a role."""

    permissions: list[str] | None = None


class Roles:
    """by_name: every role. Look-ups cost one dict access."""

    name = "roles"

    def __init__(self, db: Database) -> None:
        self._db = db
        self.n = -1
        self.apply(0, {})

    async def reload(self) -> None:
        """Take the newest revision from the database. Raises: Unavailable."""
        n, changed = await store.load_roles(self._db)
        self.apply(n, changed)

    def apply(self, n: int, changed: dict[str, tuple[list[str], int]]) -> None:
        """Put a revision in force in this process, unless a newer one is."""
        if n < self.n:
            return
        self.n = n
        self.by_name: dict[str, Role] = dict(ROLES)
        for name, (allowed, at) in changed.items():
            if name in ROLES:
                self.by_name[name] = structs.replace(ROLES[name], permissions=allowed, update_at=at)
        self._grants: dict[str, frozenset[str]] = {}

    def grants(self, roles: str) -> frozenset[str]:
        """Return what some roles (space separated) permit together; unknown ones nothing."""
        known = self._grants.get(roles)
        if known is None:
            if len(self._grants) >= 1024:  # there are few combinations; a bound in case somebody invents many
                self._grants.clear()
            named = (self.by_name[role].permissions for role in roles.split() if role in self.by_name)
            known = self._grants[roles] = frozenset().union(*named)
        return known

    def by_id(self, role_id: str) -> Role:
        """Return a role. Raises: 404."""
        for role in self.by_name.values():
            if role.id == role_id:
                return role
        raise missing()


def missing() -> AppError:
    """Return the 404 for a role that is not there."""
    return AppError("app.role.get_by_name.app_error", 404, "No such role.")


async def do_patch_role(services: Services, session: Session, role_id: str, patch: RolePatch) -> Role:
    """Store what a role permits from now on, on all nodes, and tell everybody.

    Raises: 403; 404; 400 for a permission that does not exist; 501 for guests, whose roles want a licence, and for
    permissions that cannot be given or taken.
    """
    protected = any(services.roles.by_name[name].id == role_id for name in PROTECTED)
    permissions.check_system(  # before the look-up: to one without rights unknown and known roles look the same
        session, "manage_system" if protected else "sysconsole_write_user_management_permissions"
    )
    role = services.roles.by_id(role_id)
    if patch.permissions is None:
        return role
    wanted = list(dict.fromkeys(patch.permissions))
    if role.name in GUESTS:
        raise AppError(
            "api.roles.patch_roles.license.error", 501, "Guests' permissions are fixed without a licence."
        )
    if set(wanted) - EVERY:
        raise AppError("app.role.save.invalid_role.app_error", 400, "There is no such permission.")
    async with services.db.transaction() as tx:
        n = await store.bump_revision(tx, "roles")
        _, changed = await store.load_roles(tx)
        before = set(changed[role.name][0] if role.name in changed else ROLES[role.name].permissions)
        if before.symmetric_difference(wanted) & UNTOUCHABLE:
            error_id = "api.roles.patch_roles.not_allowed_permission.error"
            raise AppError(error_id, 501, "This permission cannot be given or taken.")
        at = max(now_ms(), role.update_at + 1)
        changed[role.name] = wanted, at
        await store.store_role(tx, role.name, wanted, at)
        role = structs.replace(role, permissions=wanted, update_at=at)
        data: dict[str, Any] = {"role": as_text(role)}
        announce(
            tx, user_key(session.user_id), [to_all("role_updated", data)], invalidates=[revision_key("roles")]
        )
    services.roles.apply(n, changed)
    return role
