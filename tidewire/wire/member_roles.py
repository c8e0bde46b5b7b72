"""Roles of a membership: what one may ask for, and the flags that hold it. Pure functions.

Source: Mattermost API v4, "roles" and "schemeRoles" of team and channel members. The contract names the ids of channels
for teams' errors too.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from tidewire.wire.errors import AppError, body_param
from tidewire.wire.roles import ROLES

ROLES_MAX = 1000  # characters of a roles text


class MemberRoles(NamedTuple):
    """What a membership's row holds of roles. explicit: space separated, "" for none."""

    explicit: str
    guest: bool
    user: bool
    admin: bool


class SchemeRoles(NamedTuple):
    """The three flags that schemeRoles sets."""

    scheme_guest: bool
    scheme_user: bool
    scheme_admin: bool


class Membership(Protocol):
    """What a change of roles asks of the membership as it was."""

    scheme_guest: bool
    explicit_roles: str


Change = Callable[[Membership], MemberRoles]


def by_names(kind: str, text: str) -> Change:
    """Return the change to the roles that a text names; it raises as parse_roles."""
    return lambda before: parse_roles(kind, text, was_guest=before.scheme_guest)


def by_flags(kind: str, wanted: SchemeRoles) -> Change:
    """Return the change to these flags; it raises as check_scheme_roles."""
    return lambda before: check_scheme_roles(
        kind, wanted, explicit=before.explicit_roles, was_guest=before.scheme_guest
    )


def _refused(kind: str, why: str, text: str) -> AppError:
    return AppError(f"api.channel.update_{kind}_member_roles.{why}.app_error", 400, text)


def parse_roles(kind: str, text: str, *, was_guest: bool) -> MemberRoles:
    """Return the roles that a text names. kind: "team" or "channel"; system roles are never a membership's.

    Raises: 400 for an unknown role, one of another kind, guest beside user, or another kind of member than before.
    """
    names = list(dict.fromkeys(text.split()))
    if len(text) > ROLES_MAX:
        raise body_param("roles")
    explicit = []
    for name in names:
        role = ROLES.get(name)
        if role is None:
            raise body_param("roles")
        if not name.startswith(kind + "_"):
            raise _refused(kind, "scheme_role", "This role is not one of such a membership.")
        if not role.scheme_managed:
            explicit.append(name)
    guest, user, admin = (f"{kind}_{flag}" in names for flag in ("guest", "user", "admin"))
    if guest and user:
        raise _refused(kind, "guest_and_user", "A member is a guest or a user.")
    if guest != was_guest:
        raise _refused(kind, "changing_guest_role", "Guests are made and unmade for the whole account.")
    if not guest and not user:
        raise _refused(kind, "unset_user_scheme", "A member is a guest or a user.")
    if guest and admin:
        raise _refused(kind, "guest_and_user", "A guest runs nothing.")
    return MemberRoles(" ".join(explicit), guest, user, admin)


def check_scheme_roles(kind: str, wanted: SchemeRoles, *, explicit: str, was_guest: bool) -> MemberRoles:
    """Return the roles of the flags beside the explicit ones. Raises: 400, as the contract's servers do."""
    place = f"api.{kind}.update_{kind}_member_roles"
    if was_guest:
        raise AppError(f"{place}.guest.app_error", 400, "Guests are made and unmade for the whole account.")
    if wanted.scheme_guest:
        raise AppError(f"{place}.user_and_guest.app_error", 400, "A member is a guest or a user.")
    if not wanted.scheme_user:
        raise AppError(f"{place}.unset_user_scheme.app_error", 400, "A member is a guest or a user.")
    return MemberRoles(explicit, False, True, wanted.scheme_admin)
