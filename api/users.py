"""Accounts. Rules are in tidewire.actions.users and tidewire.actions.signup."""

from api.call import Call
from api.routing import Created, Raw, route
from tidewire.actions import signup, users
from tidewire.actions.signup import Invitation, NewUser
from tidewire.actions.users import UserPatch
from tidewire.store import users as store
from tidewire.store.members import others_in_groups
from tidewire.store.users import Filter
from tidewire.wire.errors import forbidden, url_param
from tidewire.wire.ids import is_id
from tidewire.wire.models import User
from tidewire.wire.views import UserView, own_view

_SORTS = {
    "": (),
    "create_at": ("in_team",),
    "admin": ("in_channel",),
    "display_name": ("in_team", "in_channel", ""),
}


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
    return _view(call, await users.get_user(call.services, call.path_id("user_id")))


@route("GET", "/users/username/{username}")
async def get_user_by_username(call: Call) -> UserView | Raw:
    """One account, by name."""
    found = await store.by_usernames(call.services.db, [call.param("username").lower()])
    if not found:
        raise users.missing()
    return _view(call, found[0])


@route("GET", "/users/email/{email}")
async def get_user_by_email(call: Call) -> UserView | Raw:
    """One account, by address, where addresses are shown."""
    if not call.services.config.flag("PrivacySettings.ShowEmailAddress"):
        raise forbidden()
    user = await store.by_email(call.services.db, call.param("email").lower())
    if user is None:
        raise users.missing()
    return _view(call, user)


@route("POST", "/users/ids")
async def get_users_by_ids(call: Call) -> list[UserView]:
    """Accounts by id; since: only those changed after that time."""
    ids, since = await call.id_list(), call.number("since", 0)
    if since:
        return _views(call, await store.by_ids(call.services.db, ids, since=since))
    return _views(call, await users.get_users(call.services, ids))


@route("POST", "/users/usernames")
async def get_users_by_usernames(call: Call) -> list[UserView]:
    """Accounts by name."""
    names = [name.lower() for name in await call.id_list()]
    return _views(call, await store.by_usernames(call.services.db, names))


@route("POST", "/users/group_channels")
async def get_users_of_group_channels(call: Call) -> dict[str, list[UserView]]:
    """The other members of group channels that the caller is in."""
    members = await others_in_groups(call.services.db, call.user_id, await call.id_list())
    ids = list({user_id for user_ids in members.values() for user_id in user_ids})
    views = {view.id: view for view in _views(call, await users.get_users(call.services, ids))}
    return {
        channel_id: [views[one] for one in found if one in views] for channel_id, found in members.items()
    }


@route("GET", "/users/stats")
async def get_stats(call: Call) -> dict[str, int]:
    """How many active accounts there are."""
    return {"total_users_count": await store.count(call.services.db)}


@route("GET", "/users")
async def list_users(call: Call) -> list[UserView]:
    """A page of accounts: all, or by team, channel, role."""
    page, per_page = call.paging()
    ids = {
        name: _id_or_blank(call, name) for name in ("in_team", "not_in_team", "in_channel", "not_in_channel")
    }
    if ids["not_in_channel"] and not ids["in_team"]:
        raise url_param("in_team")
    active, inactive, sort = call.flag("active"), call.flag("inactive"), call.query("sort")
    if active and inactive:
        raise url_param("inactive")
    if sort not in _SORTS or (sort and not any(ids.get(name, "-") for name in _SORTS[sort])):
        raise url_param("sort")
    wanted = Filter(**ids, active=active, inactive=inactive, role=call.query("role"), sort=sort)
    return await users.list_users(call.services, call.login, wanted, limit=per_page, offset=page * per_page)


def _id_or_blank(call: Call, name: str) -> str:
    value = call.query(name)
    if value and not is_id(value):
        raise url_param(name)
    return value


@route("PUT", "/users/{user_id}/patch")
async def patch_user(call: Call) -> UserView:
    """Change one's own account, or as an admin another's."""
    return await _patch(call, await call.body(UserPatch))


@route("PUT", "/users/{user_id}")
async def update_user(call: Call) -> UserView:
    """The same with a whole user, which is what the web app sends; his own time zone and locale come this way."""
    return await _patch(call, await call.body(UserPatch))


async def _patch(call: Call, patch: UserPatch) -> UserView:
    user = await users.do_patch_user(call.services, call.login, call.path_id("user_id"), patch)
    return users.view_for(call.services, call.login, user)
