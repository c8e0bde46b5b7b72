"""What pushes say, whole: the contract's PushNotification but for what differs between devices. Pure.

Source: Mattermost API v4, PushNotification and "message types".
"""

from typing import NamedTuple

from msgspec import structs

from tidewire.actions import push_text
from tidewire.actions.config import Config
from tidewire.actions.push_text import Named
from tidewire.store.push import PushedPost, Recipient
from tidewire.wire.push import Notification

# Mattermost's own proxies, which serve servers with its licence only.
_HOSTED = (".push.mattermost.com", "push.mattermost.com", "hpns-us.mattermost.com", "hpns-de.mattermost.com")




class Style(NamedTuple):
    """How this installation's pushes look, of the run-time configuration.

    contents: PushNotificationContents. name_format: TeammateNameDisplay; locked: users may not choose.
    override_names, override_icons: webhooks speak under names and pictures of their own. by_proxy: phones get theirs
    from another push proxy.
    """

    server_id: str
    contents: str = "full"
    name_format: str = "username"
    locked: bool = False
    override_names: bool = False
    override_icons: bool = False
    by_proxy: bool = False


def style_of(config: Config) -> Style:
    """Return how pushes look now."""
    return Style(
        server_id=config.server_id,
        contents=config.text("EmailSettings.PushNotificationContents"),
        name_format=config.text("TeamSettings.TeammateNameDisplay"),
        locked=config.flag("TeamSettings.LockTeammateNameDisplay"),
        override_names=config.flag("ServiceSettings.EnablePostUsernameOverride"),
        override_icons=config.flag("ServiceSettings.EnablePostIconOverride"),
        by_proxy=bool(config.text("EmailSettings.PushNotificationServer")),
    )


def is_on(config: Config) -> bool:
    """Tell whether anything is pushed: switched on, and not by a proxy that wants a licence."""
    host = config.text("EmailSettings.PushNotificationServer").partition("://")[2].partition("/")[0].lower()
    hosted = any(host == name.lstrip(".") or (name[0] == "." and host.endswith(name)) for name in _HOSTED)
    return config.flag("EmailSettings.SendPushNotifications") and not hosted


def name_format_of(style: Style, recipient: Recipient) -> str:
    """Return how a recipient wants people to be called."""
    return style.name_format if style.locked or not recipient.name_format else recipient.name_format


def said_in(style: Style, post: PushedPost) -> str:
    """Return a post's text as pushes have it; of other contents only whether there is one counts."""
    return push_text.full_text(post.message, post.props) if style.contents == "full" else post.message


def message(
    style: Style,
    post: PushedPost,
    recipient: Recipient,
    *,
    kind: str,
    as_crt: bool,
    crt: bool,
    badge: int,
    people: dict[str, Named],
    said: str,
) -> Notification:
    """Return the push for a post, but for what differs between devices.

    kind: of push_text.PHRASES. as_crt: for a follower of the thread. people: id → member of a group channel. said: what
    `said_in` gives for the post: it costs up to 25 ms, so who tells many asks once.
    """
    name_format = name_format_of(style, recipient)
    author = Named(post.username, post.first_name, post.last_name, post.nickname)
    sender = push_text.display_name(author, name_format)
    hook = post.props.get("from_webhook") == "true"
    overridden = post.props.get("override_username") if hook and style.override_names else None
    if isinstance(overridden, str) and overridden:
        sender = overridden
    icon = post.props.get("override_icon_url") if style.override_icons else None
    direct = post.channel_type == "D"
    by_id = style.contents == "id_loaded"
    body = push_text.text(
        contents=style.contents,
        direct=direct,
        sender=sender,
        message=said,
        has_files=post.has_files,
        kind=kind,
        reply=as_crt,
    )
    common = Notification(
        type="message",
        version="v2",
        category="CAN_REPLY",
        server_id=style.server_id,
        post_id=post.id,
        channel_id=post.channel_id,
        root_id=post.root_id,
        team_id=post.team_id,
        message=push_text.LOADED_BY_ID if by_id else body,
        badge=badge,
        is_crt_enabled=crt,
        is_id_loaded=by_id,
    )
    if by_id:  # nothing of the post leaves the server but its ids
        return structs.replace(common, sender_id=recipient.user_id)
    others = [
        push_text.display_name(person, name_format)
        for user_id, person in people.items()
        if user_id != recipient.user_id
    ]
    return structs.replace(
        common,
        channel_name=push_text.title(
            post.channel_type,
            post.display_name,
            sender,
            others,
            reply=as_crt,
            named=style.contents != "generic_no_channel",
        ),
        sender_id=post.user_id,
        sender_name=sender,
        override_username=overridden if isinstance(overridden, str) else "",
        override_icon_url=icon if isinstance(icon, str) else "",
        from_webhook="true" if hook else "",
    )


def clear(style: Style, channel_id: str, root_id: str, *, badge: int, crt: bool) -> Notification:
    """Return the push that takes away what a phone shows of a channel, or of a thread."""
    return Notification(
        type="clear",
        version="v2",
        server_id=style.server_id,
        channel_id=channel_id,
        root_id=root_id,
        cont_ava=1,
        badge=badge,
        is_crt_enabled=crt,
    )


def update_badge(style: Style, *, badge: int, crt: bool) -> Notification:
    """Return the push that sets the number on the app."""
    return Notification(
        type="update_badge",
        version="v2",
        server_id=style.server_id,
        sound="none",
        cont_ava=1,
        badge=badge,
        is_crt_enabled=crt,
    )


def session_expired(style: Style, site_name: str, hours: int) -> Notification:
    """Return the push that tells a phone that its login has ended."""
    text = (
        "Session expired: please log in to continue receiving notifications. "
        f"Sessions for {site_name} end after {hours} hours."
    )
    return Notification(type="session", version="v2", server_id=style.server_id, message=text)
