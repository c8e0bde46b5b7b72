"""The lines of Mattermost's bulk format as structs. Shapes only: no I/O, no database, no rules.

A line is `{"type": T, T: {…}}`; the version's is `{"type": "version", "version": 1}`. A member that is missing or null
says nothing. Times are ms since 1970. People, teams and channels are named, never given by id. Source: Mattermost's
documentation, "Bulk loading data", data format, and what its servers export.

Ours alone, read where given: `password_hash` of a user (bcrypt, PBKDF2 or argon2id, see docs/migration.md);
`email_verified` and `timezone` of a user; `teams` of a bot; `priority` of a post; `name` of an attachment.
"""

from typing import Any

from msgspec import Struct

VERSION = 1
JSONL_NAME = "import.jsonl"  # in a zip, at its root
DATA_FOLDER = "data"  # in a zip, what paths are relative to


class Shape(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A line's object or a part of one. What is unknown is found by the decoder, and then named and left out."""


class VersionInfo(Shape):
    """Who wrote the file."""

    generator: str | None = None
    version: str | None = None
    created: str | None = None
    additional: Any = None


class RoleLine(Shape):
    """A role of the source. What a role permits here is not changed by an import."""

    name: str
    display_name: str | None = None
    description: str | None = None
    permissions: list[str] | None = None
    scheme_managed: bool | None = None


class SchemeLine(Shape):
    """A permission scheme; there are none here."""

    name: str
    display_name: str | None = None
    description: str | None = None
    scope: str | None = None
    default_team_admin_role: RoleLine | None = None
    default_team_user_role: RoleLine | None = None
    default_channel_admin_role: RoleLine | None = None
    default_channel_user_role: RoleLine | None = None
    default_team_guest_role: RoleLine | None = None
    default_channel_guest_role: RoleLine | None = None


class EmojiLine(Shape):
    """A custom emoji. image: path of its picture."""

    name: str
    image: str


class TeamLine(Shape):
    """A team. type: O or I."""

    name: str
    display_name: str
    type: str
    description: str | None = None
    allow_open_invite: bool | None = None
    scheme: str | None = None


class ChannelLine(Shape):
    """A public or private channel (type O or P). deleted_at: when it was archived."""

    team: str
    name: str
    display_name: str
    type: str
    header: str | None = None
    purpose: str | None = None
    scheme: str | None = None
    deleted_at: int | None = None


class ChannelNotifyProps(Shape):
    """What a member wants to hear of a channel. `mobile` is `push` in a row's notify_props."""

    desktop: str | None = None
    mobile: str | None = None
    mark_unread: str | None = None
    email: str | None = None
    ignore_channel_mentions: str | None = None
    channel_auto_follow_threads: str | None = None


class UserChannel(Shape):
    """A membership of a channel. With last_viewed_at, what came later is unread; without, nothing is.

    urgend_mention_count is spelt as Mattermost's servers do.
    """

    name: str
    roles: str | None = None
    notify_props: ChannelNotifyProps | None = None
    favorite: bool | None = None
    mention_count: int | None = None
    mention_count_root: int | None = None
    urgend_mention_count: int | None = None
    msg_count: int | None = None
    msg_count_root: int | None = None
    last_viewed_at: int | None = None


class UserTeam(Shape):
    """A membership of a team, with those of its channels."""

    name: str
    roles: str | None = None
    theme: str | None = None
    channels: list[UserChannel] | None = None


class UserNotifyProps(Shape):
    """What a user wants to hear of; USER_NOTIFY says under which names a row's notify_props have it."""

    desktop: str | None = None
    desktop_sound: str | None = None
    email: str | None = None
    mobile: str | None = None
    mobile_push_status: str | None = None
    channel: str | None = None
    comments: str | None = None
    mention_keys: str | None = None


class CustomStatusPart(Shape):
    """What a user says he is doing. expires_at: RFC 3339, year 1 for never."""

    emoji: str | None = None
    text: str | None = None
    duration: str | None = None
    expires_at: str | None = None


class UserLine(Shape):
    """An account with its memberships. The preferences among these members are named by PREFERENCES."""

    username: str
    email: str
    profile_image: str | None = None
    auth_service: str | None = None
    auth_data: str | None = None
    password: str | None = None
    nickname: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    position: str | None = None
    roles: str | None = None
    locale: str | None = None
    delete_at: int | None = None
    teams: list[UserTeam] | None = None
    notify_props: UserNotifyProps | None = None
    custom_status: CustomStatusPart | None = None
    theme: str | None = None
    feature_enabled_markdown_preview: str | None = None
    formatting: str | None = None
    show_unread_section: str | None = None
    send_on_ctrl_enter: str | None = None
    code_block_ctrl_enter: str | None = None
    show_join_leave: str | None = None
    show_unread_scroll_position: str | None = None
    sync_drafts: str | None = None
    limit_visible_dms_gms: str | None = None
    name_format: str | None = None
    military_time: str | None = None
    link_previews: str | None = None
    message_display: str | None = None
    collapse_consecutive_messages: str | None = None
    colorize_usernames: str | None = None
    channel_display_mode: str | None = None
    tutorial_step: str | None = None
    email_interval: str | None = None
    # Ours.
    password_hash: str | None = None
    email_verified: bool | None = None
    timezone: dict[str, str] | None = None


class BotLine(Shape):
    """A bot. owner: a username."""

    username: str
    owner: str | None = None
    display_name: str | None = None
    description: str | None = None
    delete_at: int | None = None
    profile_image: str | None = None
    teams: list[UserTeam] | None = None  # ours


class Attachment(Shape):
    """A file: its path in the data folder. name: what it is called, if not as the path ends."""

    path: str
    name: str | None = None


class ReactionPart(Shape):
    """One user's emoji on a post."""

    user: str
    emoji_name: str
    create_at: int = 0  # without one: when the post was written


class Follower(Shape):
    """One who follows a thread. last_viewed: ms."""

    user: str
    last_viewed: int | None = None
    unread_mentions: int | None = None


class Priority(Shape):
    """How urgent a root post is, and whether its readers are asked to acknowledge it."""

    priority: str | None = None
    requested_ack: bool | None = None


class Reply(Shape):
    """A reply, inside of its root's line."""

    user: str
    message: str
    create_at: int
    type: str | None = None
    props: dict[str, Any] | None = None
    edit_at: int | None = None
    flagged_by: list[str] | None = None
    reactions: list[ReactionPart] | None = None
    attachments: list[Attachment] | None = None
    is_pinned: bool | None = None


class PostBody(Shape):
    """What root posts of all channels have."""

    user: str
    message: str
    create_at: int
    type: str | None = None
    props: dict[str, Any] | None = None
    edit_at: int | None = None
    flagged_by: list[str] | None = None
    reactions: list[ReactionPart] | None = None
    replies: list[Reply] | None = None
    attachments: list[Attachment] | None = None
    is_pinned: bool | None = None
    thread_followers: list[Follower] | None = None
    priority: Priority | None = None


class PostLine(PostBody, kw_only=True):
    """A root post of a public or private channel, with its replies."""

    team: str
    channel: str


class DirectPostLine(PostBody, kw_only=True):
    """A root post of a direct or group channel, with its replies."""

    channel_members: list[str]


class Participant(Shape):
    """A member of a direct or group channel, with his read state as in UserChannel."""

    username: str
    notify_props: ChannelNotifyProps | None = None
    scheme_user: bool | None = None
    scheme_admin: bool | None = None
    scheme_guest: bool | None = None
    mention_count: int | None = None
    mention_count_root: int | None = None
    urgend_mention_count: int | None = None
    msg_count: int | None = None
    msg_count_root: int | None = None
    last_viewed_at: int | None = None


class DirectChannelLine(Shape):
    """A direct or group channel: of `participants`, or of `members` where there are none.

    shown_by: in whose sidebar it is.
    """

    members: list[str] | None = None
    participants: list[Participant] | None = None
    favorited_by: list[str] | None = None
    shown_by: list[str] | None = None
    header: str | None = None


class Line(Shape):
    """A whole line; the member of its type's name is there."""

    type: str
    version: int | None = None
    info: VersionInfo | None = None
    role: RoleLine | None = None
    scheme: SchemeLine | None = None
    emoji: EmojiLine | None = None
    team: TeamLine | None = None
    channel: ChannelLine | None = None
    user: UserLine | None = None
    bot: BotLine | None = None
    post: PostLine | None = None
    direct_channel: DirectChannelLine | None = None
    direct_post: DirectPostLine | None = None


TYPES: tuple[str, ...] = tuple(name for name in Line.__struct_fields__ if name not in ("type", "info"))

# Member of UserLine → (category, name) of the preference. The name of the tutorial's is the user's id.
PREFERENCES: dict[str, tuple[str, str]] = {
    "theme": ("theme", ""),
    "feature_enabled_markdown_preview": ("advanced_settings", "feature_enabled_markdown_preview"),
    "formatting": ("advanced_settings", "formatting"),
    "send_on_ctrl_enter": ("advanced_settings", "send_on_ctrl_enter"),
    "code_block_ctrl_enter": ("advanced_settings", "code_block_ctrl_enter"),
    "show_join_leave": ("advanced_settings", "join_leave"),
    "show_unread_scroll_position": ("advanced_settings", "unread_scroll_position"),
    "sync_drafts": ("advanced_settings", "sync_drafts"),
    "show_unread_section": ("sidebar_settings", "show_unread_section"),
    "limit_visible_dms_gms": ("sidebar_settings", "limit_visible_dms_gms"),
    "military_time": ("display_settings", "use_military_time"),
    "link_previews": ("display_settings", "collapse_previews"),
    "message_display": ("display_settings", "message_display"),
    "channel_display_mode": ("display_settings", "channel_display_mode"),
    "collapse_consecutive_messages": ("display_settings", "collapse_consecutive_messages"),
    "colorize_usernames": ("display_settings", "colorize_usernames"),
    "name_format": ("display_settings", "name_format"),
    "tutorial_step": ("tutorial_step", "<user id>"),
    "email_interval": ("notifications", "email_interval"),
}
TUTORIAL = "tutorial_step"
# A line says `email_interval` in words, the preference in seconds. What is neither stays as it is.
EMAIL_INTERVALS: dict[str, str] = {"immediately": "30", "fifteen": "900", "hour": "3600"}

# Member of UserNotifyProps / ChannelNotifyProps → key in a row's notify_props, where they differ.
USER_NOTIFY: dict[str, str] = {"mobile": "push", "mobile_push_status": "push_status"}
CHANNEL_NOTIFY: dict[str, str] = {"mobile": "push"}
