"""Accounts. Rules are in tidewire.actions.users and tidewire.actions.signup."""

from msgspec import Struct

from api.call import Call
from api.routing import OK, Created, Raw, route
from tidewire.actions import change_user, permissions, signup, users, visibility
from tidewire.actions.change_user import UserPatch, WholeUser
from tidewire.actions.signup import Invitation, NewUser
from tidewire.store import users as store
from tidewire.store.members import others_in_groups
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.models import User
from tidewire.wire.views import UserView, own_view


def _views(call: Call, found: list[User]) -> list[UserView]:
    return [users.view_for(call.services, call.login, user) for user in found]


@route("POST", "/users", session=False, audit=True)
async def create_user(call: Call) -> Created:
    """Make an account; open to strangers where the configuration says so, and to those who were invited."""
    invitation = Invitation(call.query("t"), call.query("iid"))
    user = await signup.do_create_user(
        call.services, call.session, await call.body(NewUser, "user"), invitation
    )
    call.audit_user_id = user.id
    return Created(own_view(user))


def _view(call: Call, user: User) -> UserView | Raw:
    view = users.view_for(call.services, call.login, user)
    if call.not_modified(users.etag(call.services, view)):
        return Raw(b"", "application/json", 304)
    return view


@route("GET", "/users/{user_id}")
async def get_user(call: Call) -> UserView | Raw:
    """One account."""
    return _view(call, await visibility.access_user(call.services, call.login, call.path_id("user_id")))


async def _found(call: Call, user: User | None) -> UserView | Raw:
    """Show one who was looked up by a name: to a guest, one who is not there looks like one he may not see."""
    if user is None:
        raise forbidden() if visibility.sees_only_shared(call.login) else users.missing()
    await visibility.check_visible(call.services, call.login, [user.id])
    return _view(call, user)


@route("GET", "/users/username/{username}")
async def get_user_by_username(call: Call) -> UserView | Raw:
    """One account, by name."""
    found = await store.by_usernames(call.services.db, [call.param("username").lower()])
    return await _found(call, found[0] if found else None)


@route("GET", "/users/email/{email}")
async def get_user_by_email(call: Call) -> UserView | Raw:
    """One account, by address, where addresses are shown."""
    shown = call.services.config.flag("PrivacySettings.ShowEmailAddress")
    if not shown and not permissions.is_admin(call.login):
        raise AppError("api.user.get_user_by_email.permissions.app_error", 403, "Addresses are not shown.")
    return await _found(call, await store.by_email(call.services.db, call.param("email").lower()))


async def _visible_views(call: Call, found: list[User]) -> list[UserView]:
    visible = await visibility.visible(call.services, call.login, [user.id for user in found])
    return _views(call, [user for user in found if user.id in visible])


@route("POST", "/users/ids")
async def get_users_by_ids(call: Call) -> list[UserView]:
    """Accounts by id; since: only those changed after that time."""
    ids, since = await call.id_list(), call.number("since", 0)
    if since:
        return await _visible_views(call, await store.by_ids(call.services.db, ids, since=since))
    return await _visible_views(call, await users.get_users(call.services, ids))


@route("POST", "/users/usernames")
async def get_users_by_usernames(call: Call) -> list[UserView]:
    """Accounts by name."""
    names = [name.lower() for name in await call.id_list()]
    return await _visible_views(call, await store.by_usernames(call.services.db, names))


@route("POST", "/users/group_channels")
async def get_users_of_group_channels(call: Call) -> dict[str, list[UserView]]:
    """The other members of group channels that the caller is in."""
    members = await others_in_groups(call.services.db, call.user_id, await call.id_list())
    ids = list({user_id for user_ids in members.values() for user_id in user_ids})
    views = {view.id: view for view in _views(call, await users.get_users(call.services, ids))}
    return {
        channel_id: [views[one] for one in found if one in views] for channel_id, found in members.items()
    }


@route("PUT", "/users/{user_id}/patch", audit=True)
async def patch_user(call: Call) -> UserView:
    """Change one's own account, or as an admin another's."""
    return await _patch(call, call.path_id("user_id"), await call.body(UserPatch))


@route("PUT", "/users/{user_id}", audit=True)
async def update_user(call: Call) -> UserView:
    """The same with a whole user, which is what the web app sends; his own time zone and locale come this way."""
    user_id, whole = call.path_id("user_id"), await call.body(WholeUser)
    return await _patch(call, user_id, whole.as_patch(user_id))


async def _patch(call: Call, user_id: str, patch: UserPatch) -> UserView:
    user = await change_user.do_patch_user(call.services, call.login, user_id, patch)
    return users.view_for(call.services, call.login, user)


class _Roles(Struct):
    roles: str


class _Active(Struct):
    active: bool


@route("PUT", "/users/{user_id}/roles", audit=True)
async def set_roles(call: Call) -> bytes:
    """Give a user other system roles."""
    user_id, body = call.path_id("user_id"), await call.body(_Roles, "roles")
    await change_user.do_set_roles(call.services, call.login, user_id, body.roles)
    return OK


@route("PUT", "/users/{user_id}/active", audit=True)
async def set_active(call: Call) -> bytes:
    """Activate or deactivate an account."""
    user_id, body = call.path_id("user_id"), await call.body(_Active, "active")
    await change_user.do_set_active(call.services, call.login, user_id, active=body.active)
    return OK


@route("DELETE", "/users/{user_id}", audit=True)
async def delete_user(call: Call) -> bytes:
    """Deactivate an account; permanent: remove it, where the configuration allows that."""
    user_id, permanent = call.path_id("user_id"), call.flag("permanent")
    await change_user.do_delete_user(call.services, call.login, user_id, permanent=permanent)
    return OK
