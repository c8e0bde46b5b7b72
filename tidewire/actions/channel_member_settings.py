"""What a channel membership holds beside read state: roles and notify_props. Each change is told to the member."""


from tidewire.actions import permissions
from tidewire.actions.channel_members import member_missing
from tidewire.actions.membership import announce_member_updated
from tidewire.actions.services import Services
from tidewire.store import members
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.ids import now_ms
from tidewire.wire.member_roles import Change, SchemeRoles, by_flags, by_names
from tidewire.wire.models import Session

_LEVELS = frozenset({"default", "all", "mention", "none"})
# What each prop may say, and how the contract names the error.
_NOTIFY: dict[str, tuple[frozenset[str], str]] = {
    "desktop": (_LEVELS, "notify_level"),
    "push": (_LEVELS, "push_level"),
    "desktop_threads": (_LEVELS, "notify_level"),
    "push_threads": (_LEVELS, "push_level"),
    "email": (frozenset({"default", "true", "false"}), "email_value"),
    "mark_unread": (frozenset({"all", "mention"}), "unread_level"),
    "ignore_channel_mentions": (frozenset({"default", "off", "on"}), "ignore_channel_mentions_value"),
    "channel_auto_follow_threads": (frozenset({"off", "on"}), "channel_auto_follow_threads_value"),
    "desktop_sound": (frozenset({"default", "off", "on"}), "notify_level"),
}
_SOUND = "desktop_notification_sound"
SOUND_MAX = 64  # characters of a sound's name


def check_notify_props(props: dict[str, str]) -> dict[str, str]:
    """Return the known props among these. Raises: 400 for a value that is none."""
    known = {}
    for name, value in props.items():
        if name == _SOUND and len(value) <= SOUND_MAX:
            known[name] = value
        if name not in _NOTIFY:
            continue
        allowed, error = _NOTIFY[name]
        if value not in allowed:
            raise AppError(f"model.channel_member.is_valid.{error}.app_error", 400, f"Invalid {name}.")
        known[name] = value
    return known


async def do_set_notify_props(
    services: Services, session: Session, channel_id: str, user_id: str, props: dict[str, str]
) -> None:
    """Change some of a member's notify_props and tell him. Raises: 403, 404, 400."""
    permissions.check_self(session, user_id)
    await permissions.access_channel(services, session, channel_id, "read_channel")
    known = check_notify_props(props)
    if not known:
        raise body_param("notify_props")
    async with services.db.transaction() as tx:
        changed = await members.set_notify_props(tx, user_id, [channel_id], known, at=now_ms())
        if not changed:
            raise member_missing()
        announce_member_updated(tx, changed[0])


async def do_set_roles(
    services: Services, session: Session, channel_id: str, user_id: str, roles: str
) -> None:
    """Give a member these roles (space separated) and tell him. Raises: 403, 404; 400 as parse_roles."""

    await _set_roles(services, session, channel_id, user_id, by_names("channel", roles))


async def do_set_scheme_roles(
    services: Services, session: Session, channel_id: str, user_id: str, wanted: SchemeRoles
) -> None:
    """Set a member's three flags and tell him. Raises: 403, 404; 400 as check_scheme_roles."""

    await _set_roles(services, session, channel_id, user_id, by_flags("channel", wanted))


async def _set_roles(
    services: Services, session: Session, channel_id: str, user_id: str, change: Change
) -> None:
    await permissions.access_channel(services, session, channel_id, "manage_channel_roles")
    async with services.db.transaction() as tx:
        before = await members.lock(tx, channel_id, user_id)
        if before is None:
            raise member_missing()
        after = await members.set_roles(tx, channel_id, user_id, change(before), at=now_ms())
        announce_member_updated(tx, after)
