"""Entity shapes of Mattermost API v4, 11.6: every member is always sent unless its comment says otherwise.

Structs are what the store reads, what the API encodes and what events carry. Times are ms since 1970; `delete_at` 0 =
alive.
"""

from typing import Any, ClassVar

from msgspec import UNSET, Struct, UnsetType, field

from tidewire.wire.files import FileInfo


class User(Struct, omit_defaults=False):
    """The account as its owner sees it; `wire.views` makes the other views. No password hash in here."""

    id: str
    username: str
    email: str
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    auth_data: str = ""
    auth_service: str = ""
    email_verified: bool = False
    nickname: str = ""
    first_name: str = ""
    last_name: str = ""
    position: str = ""
    roles: str = ""
    props: dict[str, str] = field(default_factory=dict)
    notify_props: dict[str, str] = field(default_factory=dict)
    last_password_update: int = 0
    last_picture_update: int = 0
    failed_attempts: int = 0
    locale: str = "en"
    timezone: dict[str, str] = field(default_factory=dict)
    mfa_active: bool = False
    is_bot: bool = False
    bot_description: str = ""
    bot_last_icon_update: int = 0
    terms_of_service_id: str = ""
    terms_of_service_create_at: int = 0
    disable_welcome_email: bool = False


class Session(Struct, dict=True):
    """A login. `token` is sent once, at login, and blank ever after (only its hash is stored).

    What permissions note on it (`dict=True`) is not encoded.
    """

    id: str
    user_id: str
    create_at: int
    expires_at: int
    token: str = ""
    last_activity_at: int = 0
    device_id: str = ""
    roles: str = ""
    is_oauth: bool = False
    expired_notify: bool = False
    props: dict[str, str] = field(default_factory=dict)
    team_members: list[Any] = field(default_factory=list)
    local: bool = False


class UserAccessToken(Struct, omit_defaults=True):
    """A key of a program. `token` is sent once, when it is made; the others are always sent."""

    id: str
    user_id: str
    description: str
    is_active: bool
    token: str = ""


class Bot(Struct, omit_defaults=True):
    """An account for a program; empty `display_name`, `description` and `last_icon_update` are not sent."""

    user_id: str
    username: str
    owner_id: str
    create_at: int
    update_at: int
    delete_at: int
    display_name: str = ""
    description: str = ""
    last_icon_update: int = 0


class Audit(Struct):
    """Who did what, from where."""

    id: str
    create_at: int
    user_id: str
    action: str
    extra_info: str = ""
    ip_address: str = ""
    session_id: str = ""


class TermsOfService(Struct):
    """The terms that users accept; the newest ones hold."""

    id: str
    create_at: int
    user_id: str
    text: str


class Team(Struct):
    """A team; `email` and `invite_id` are blanked for those who may not invite."""

    id: str
    name: str
    display_name: str
    type: str = "O"
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    description: str = ""
    email: str = ""
    company_name: str = ""
    allowed_domains: str = ""
    invite_id: str = ""
    allow_open_invite: bool = False
    last_team_icon_update: int = 0
    scheme_id: str | None = None
    group_constrained: bool | None = None
    policy_id: str | None = None
    cloud_limits_archived: bool = False


class TeamMember(Struct):
    """A user in a team; `roles` = explicit roles and those that the scheme flags give."""

    team_id: str
    user_id: str
    roles: str = ""
    delete_at: int = 0
    scheme_guest: bool = False
    scheme_user: bool = True
    scheme_admin: bool = False
    explicit_roles: str = ""


class Channel(Struct):
    """A channel: type O public, P private, D direct, G group; D and G have team_id ""."""

    id: str
    team_id: str
    type: str
    name: str
    display_name: str = ""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    header: str = ""
    purpose: str = ""
    last_post_at: int = 0
    total_msg_count: int = 0
    creator_id: str = ""
    props: dict[str, Any] = field(default_factory=dict)
    total_msg_count_root: int = 0
    last_root_post_at: int = 0
    # What no row has stands last: rows become structs by place (`sql.structs`).
    extra_update_at: int = 0
    scheme_id: str | None = None
    group_constrained: bool | None = None
    autotranslation: bool = False
    shared: bool | None = None
    policy_id: str | None = None
    banner_info: Any = None
    policy_enforced: bool = False
    policy_is_active: bool = False
    default_category_name: str = ""


class ChannelWithTeam(Channel):
    """A channel as searches over all teams show it. Source: Mattermost API v4, ChannelWithTeamData."""

    team_display_name: str = ""
    team_name: str = ""
    team_update_at: int = 0


class ChannelMember(Struct):
    """A user in a channel, with his read state."""

    channel_id: str
    user_id: str
    roles: str = ""
    last_viewed_at: int = 0
    msg_count: int = 0
    mention_count: int = 0
    mention_count_root: int = 0
    urgent_mention_count: int = 0
    msg_count_root: int = 0
    notify_props: dict[str, str] = field(default_factory=dict)
    last_update_at: int = 0
    scheme_guest: bool = False
    scheme_user: bool = True
    scheme_admin: bool = False
    explicit_roles: str = ""
    autotranslation_disabled: bool = False


class ChannelMemberWithTeam(ChannelMember):
    """A membership as the list of all teams' memberships has it; team members are empty for D and G."""

    team_display_name: str = ""
    team_name: str = ""
    team_update_at: int = 0


class SidebarCategory(Struct):
    """A section of a user's sidebar in a team. Source: Mattermost API v4, SidebarCategoryWithChannels."""

    id: str
    user_id: str
    team_id: str
    sort_order: int
    sorting: str
    type: str
    display_name: str
    muted: bool = False
    collapsed: bool = False
    channel_ids: list[str] = field(default_factory=list)


class ParticipantId(Struct):
    """A thread's participant with only the id filled. Source: Mattermost API v4, "thread participant, non-extended"."""

    id: str
    delete_at: int = 0
    username: str = ""
    auth_data: str = ""
    auth_service: str = ""
    email: str = ""
    nickname: str = ""
    first_name: str = ""
    last_name: str = ""
    position: str = ""
    roles: str = ""
    locale: str = ""
    timezone: dict[str, str] | None = None
    disable_welcome_email: bool = False


class Reaction(Struct):
    """One user's emoji on a post."""

    user_id: str
    post_id: str
    emoji_name: str
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    remote_id: str | None = ""
    channel_id: str = ""


class Emoji(Struct):
    """A custom emoji."""

    id: str
    create_at: int
    update_at: int
    delete_at: int
    creator_id: str
    name: str


class PostPriority(Struct):
    """How urgent a root post is: "", important or urgent; whether readers are asked to acknowledge it."""

    priority: str | None = None
    requested_ack: bool | None = None
    persistent_notifications: bool | None = None


class PostAcknowledgement(Struct):
    """That a user has acknowledged a post."""

    user_id: str
    post_id: str
    acknowledged_at: int
    channel_id: str


class PostMetadata(Struct, omit_defaults=True):
    """What a client needs to draw a post; always an object."""

    embeds: list[Any] = field(default_factory=list)
    emojis: list[Emoji] = field(default_factory=list)
    files: list[FileInfo] = field(default_factory=list)
    images: dict[str, Any] = field(default_factory=dict)
    reactions: list[Reaction] = field(default_factory=list)
    priority: PostPriority | None = None
    acknowledgements: list[PostAcknowledgement] = field(default_factory=list)


class PostEmbed(Struct, omit_defaults=True):
    """What is shown below a post's words. type: permalink (data is a PreviewPost), opengraph, image, link, …."""

    type: str
    url: str = ""
    data: Any = None


class PreviewPost(Struct):
    """A post that another one links to, and where it stands; team_name is "" in D and G."""

    post_id: str
    post: "Post"
    team_name: str
    channel_display_name: str
    channel_type: str
    channel_id: str


class PostRefs(Struct):
    """What a post refers to; who may know of it differs by reader. Stored in its props, never sent as it is.

    previewed: id of the post that it links to, "" for none. channels: name → id, display_name and team_name; imported
    ones have no id, or that of another server.
    """

    previewed: str = ""
    channels: dict[str, dict[str, str]] = field(default_factory=dict)


class Post(Struct, dict=True):
    """A post. `pending_post_id` is echoed to its author and in `posted`, never stored.

    `refs` (`dict=True`) is not encoded: each reader gets of it what he may know (tidewire.actions.post_refs).
    """

    refs: ClassVar[PostRefs | None] = None

    id: str
    channel_id: str
    user_id: str
    create_at: int = 0
    update_at: int = 0
    edit_at: int = 0
    delete_at: int = 0
    is_pinned: bool = False
    root_id: str = ""
    original_id: str = ""
    message: str = ""
    type: str = ""
    props: dict[str, Any] = field(default_factory=dict)
    hashtags: str = ""
    file_ids: list[str] = field(default_factory=list)
    pending_post_id: str = ""
    has_reactions: bool = False
    remote_id: str | None = ""
    reply_count: int = 0
    last_reply_at: int = 0
    participants: list[Any] | None = None  # ParticipantId, or users where the list is "extended"
    is_following: bool | UnsetType = UNSET  # of roots, where threads are shown collapsed
    metadata: PostMetadata = field(default_factory=PostMetadata)

    def refer(self, refs: PostRefs | None) -> None:
        """Set what it refers to."""
        vars(self)["refs"] = refs

    @property
    def stored_props(self) -> dict[str, Any]:
        """Its props as its row holds them."""
        refs = self.refs
        if refs is None:
            return self.props
        more: dict[str, Any] = {"previewed_post": refs.previewed} if refs.previewed else {}
        return self.props | more | ({"channel_mentions": refs.channels} if refs.channels else {})

    @property
    def is_urgent(self) -> bool:
        """Whether its priority is the highest."""
        priority = self.metadata.priority
        return priority is not None and priority.priority == "urgent"

    @property
    def asks_acknowledgement(self) -> bool:
        """Whether its readers are asked to acknowledge it."""
        priority = self.metadata.priority
        return priority is not None and bool(priority.requested_ack)


class Draft(Struct):
    """What a user has begun to write; its key is (user, channel, root). File ids are those of uploads."""

    user_id: str = ""
    channel_id: str = ""
    root_id: str = ""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    message: str = ""
    type: str = ""
    props: dict[str, Any] = field(default_factory=dict)
    file_ids: list[str] | None = None
    priority: dict[str, Any] | None = None


class DraftView(Draft):
    """A draft as clients get it: with its files."""

    metadata: PostMetadata = field(default_factory=PostMetadata)


class PostList(Struct, omit_defaults=False):
    """Posts newest first; `posts` also holds roots that are not in `order`. "" in next/prev = that end is reached."""

    order: list[str]
    posts: dict[str, Post]
    next_post_id: str = ""
    prev_post_id: str = ""
    has_next: bool | UnsetType = UNSET  # of threads
    first_inaccessible_post_time: int = 0


class Preference(Struct):
    """One remembered choice of a user; value is at most 20,000 characters."""

    user_id: str
    category: str
    name: str
    value: str = ""


class Status(Struct):
    """Presence. `dnd_end_time` is in seconds, unlike all else."""

    user_id: str
    status: str = "offline"
    manual: bool = False
    last_activity_at: int = 0
    dnd_end_time: int = 0


class Role(Struct):
    """A role and what it permits."""

    id: str
    name: str
    display_name: str
    permissions: list[str]
    description: str = ""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    scheme_managed: bool = True
    built_in: bool = True
    scheme_id: str | None = None
