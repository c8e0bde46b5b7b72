"""Who sees what of a row: views of users, teams and memberships. Pure functions; each returns a new struct.

Source: Mattermost API v4, the table of user variants. Whether the viewer is an admin is the caller's knowledge.
"""

from operator import attrgetter
from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs

from tidewire.wire.models import ChannelMember, Team, User

HIDDEN = -1  # the contract's value for times of other people's memberships


class UserView(Struct, omit_defaults=True):
    """A user as clients get it: as `User`, but what the contract omits when empty is omitted.

    Members that are always sent have no default, the others stand at their zero.
    """

    id: str
    delete_at: int
    username: str
    auth_data: str
    auth_service: str
    email: str
    nickname: str
    first_name: str
    last_name: str
    position: str
    roles: str
    locale: str
    timezone: dict[str, str]
    disable_welcome_email: bool
    notify_props: dict[str, str] | UnsetType = UNSET
    props: dict[str, str] | UnsetType = UNSET
    create_at: int = 0
    update_at: int = 0
    email_verified: bool = False
    last_password_update: int = 0
    last_picture_update: int = 0
    failed_attempts: int = 0
    mfa_active: bool = False
    is_bot: bool = False
    bot_description: str = ""
    bot_last_icon_update: int = 0
    terms_of_service_id: str = ""
    terms_of_service_create_at: int = 0


_values = attrgetter(*UserView.__struct_fields__)


def own_view(user: User) -> UserView:
    """Return what a user sees of himself."""
    return UserView(*_values(user))


def admin_view(user: User) -> UserView:
    """Return what a system admin sees of another."""
    view = own_view(user)
    view.email_verified = False
    view.last_password_update = 0
    view.auth_data = ""
    return view


def profile_view(user: User, *, show_email: bool, show_full_name: bool) -> UserView:
    """Return what everybody sees of another."""
    view = admin_view(user)
    view.notify_props = UNSET
    view.failed_attempts = 0
    view.auth_service = ""
    if not show_email:
        view.email = ""
    if not show_full_name:
        view.first_name = view.last_name = ""
    return view


def team_view(team: Team, *, manages: bool, invites: bool) -> Team:
    """Return the team without what only those see who manage it (e-mail) or may invite (invite id)."""
    hidden: dict[str, Any] = {}
    if not manages:
        hidden["email"] = ""
    if not invites:
        hidden["invite_id"] = ""
    return structs.replace(team, **hidden) if hidden else team


def member_view(member: ChannelMember, viewer_id: str) -> ChannelMember:
    """Return a membership with its times hidden from others."""
    if member.user_id == viewer_id:
        return member
    return structs.replace(member, last_viewed_at=HIDDEN, last_update_at=HIDDEN)
