"""Whom a new post mentions and, with a reply, who follows its thread. Who is told and counted follows from it.

Source: Mattermost API v4, "who is mentioned", thread followers. Edits mention nobody anew.
"""

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from tidewire.actions import mention_map, mention_text, permissions, push_targets, status
from tidewire.actions.mention_map import DESKTOP, DESKTOP_MENTIONED, MentionMap
from tidewire.actions.services import Services
from tidewire.bus.cache import added
from tidewire.bus.envelope import PostPush
from tidewire.store import posts, threads
from tidewire.wire.errors import Unavailable
from tidewire.wire.models import Channel, Post, Session

GROUP_MEMBERS = 8  # Mattermost API v4: the most a group message has
# Followers that one `posted` names, some 27 bytes each: beyond, the last ones learn of a reply by thread_updated only.
FOLLOWERS_TOLD = 1000
# Users who want every post pushed that are named to the push worker; it asks for more itself.
EVERY_PUSH_TOLD = 50
_UNFOLLOWED = -1
ADDED = "system_add_to_channel"


class Root(Struct):
    """What a reply wants to know of its root. named: whom it mentions; None: too many to keep, read the text again."""

    channel_id: str
    user_id: str
    named: tuple[str, ...] | None = ()


class Audience(Struct):
    """Who is concerned by a new post.

    mentions: members whose counts grow. followers: who follows its thread from now on unless he chose otherwise.
    told: followers whom `posted` names. every_post: who is notified of every post. invalidates: cache keys.
    push: what the push worker is to decide on.
    """

    mentions: list[str] = []
    followers: list[str] = []
    told: list[str] = []
    every_post: list[str] = []
    invalidates: list[str] = []
    push: PostPush | None = None


def is_from_webhook(post: Post) -> bool:
    """Tell whether a webhook speaks: its owner did not, so he may be mentioned and has read nothing."""
    return bool(post.props) and post.props.get("from_webhook") == "true"


def speaks_for_itself(post: Post) -> bool:
    """Tell whether a person wrote the post, who thereby has read what he answers to."""
    props = post.props
    return not props or (props.get("from_webhook") != "true" and props.get("from_bot") != "true")


def followers_key(root_id: str) -> str:
    """Return the cache key of who follows a thread."""
    return "followers:" + root_id


def note_new_root(services: Services, root_id: str) -> None:
    """Remember that nobody follows a thread that is about to begin. Call before its root is written."""
    services.cache.put(followers_key(root_id), {})


async def audience_of(
    services: Services, session: Session, channel: Channel, post: Post, root: Root | None
) -> Audience:
    """Return who is concerned by a new post of the session's user. root: of a reply.

    Cost: on cache hits no query, unless it names members of a large channel or mentions a whole channel.
    """
    known = None if channel.type == "D" else await mention_map.get_map(services, channel.id)
    named = await mentioned(services, session, channel, post, known)
    audience = Audience(mentions=named, every_post=known.every_post if known else [])
    if root is not None:
        await _add_followers(services, session, channel, post, root, known, audience)
    audience.push = await _push_of(services, post, known, audience)
    return audience


async def _push_of(
    services: Services, post: Post, known: MentionMap | None, audience: Audience
) -> PostPush | None:
    """Return what the push worker is to decide on, or None if nobody whom the post may reach has a device."""
    targets = await push_targets.get_targets(services)
    if targets.users is not None and not targets.users:
        return None
    every: list[str] | None = []
    if known is not None:
        every = (
            known.every_push if known.names is not None and len(known.every_push) <= EVERY_PUSH_TOLD else None
        )
    found = (
        every is None
        or push_targets.may_reach_any(targets, audience.mentions)
        or push_targets.may_reach_any(targets, every)
        or bool(known and post.root_id and push_targets.may_reach_any(targets, known.wants))
    )
    return PostPush(post.id, every_push=every) if found else None


async def mentioned(
    services: Services, session: Session, channel: Channel, post: Post, known: MentionMap | None
) -> list[str]:
    """Return whom a post mentions: in D and G all others, elsewhere whom its words name."""
    if post.type.startswith("system_"):
        return mentioned_by_system(post)
    if channel.type in "DG":
        everybody = await _everybody(services, channel)
        return [user_id for user_id in everybody if user_id != post.user_id or is_from_webhook(post)]
    assert known is not None
    return await _named(services, session, channel, post, known)


def mentioned_by_system(post: Post) -> list[str]:
    """Return whom a post of the server mentions: who was added to the channel. Its words name nobody."""
    added = post.props.get("addedUserId") if post.type == ADDED else None
    return [added] if isinstance(added, str) and added != post.user_id else []


async def _everybody(services: Services, channel: Channel) -> Sequence[str]:
    """Return the members of a direct or group channel, which never change."""
    if channel.type == "D":
        return list(dict.fromkeys(channel.name.split("__")))
    key = "group:" + channel.id

    async def load() -> list[str]:
        return await posts.channel_users(services.db, channel.id, GROUP_MEMBERS)

    found: list[str] = services.cache.peek(key) or await services.cache.get(key, load) or []
    return found


async def _named(
    services: Services, session: Session, channel: Channel, post: Post, known: MentionMap
) -> list[str]:
    """Return whom the words of a post name. Who may not, or in a channel that is too large, names nobody by @all."""
    by_word = bool(known.keywords or known.first_names)
    if not (by_word or "@" in post.message or post.props):
        return []
    said = mention_text.read(mention_text.texts_of(post.message, post.props), every_word=by_word)
    found = mention_map.find_at_once(services, known, said)
    if found is None:
        names = await mention_map.names_of(services, channel.id, known, mention_text.names_in(said))
        found = mention_text.find(said, names, known.keywords, known.first_names)
    if found.everybody or found.here:
        for user_id in await _channel_wide(services, session, channel, known, here=not found.everybody):
            found.user_ids[user_id] = None
    if not is_from_webhook(post):
        found.user_ids.pop(post.user_id, None)
    return list(found.user_ids)


async def _channel_wide(
    services: Services, session: Session, channel: Channel, known: MentionMap, *, here: bool
) -> list[str]:
    """Return whom @channel, or @here, mentions if the caller may say so. Without Redis nobody counts as here."""
    if not await permissions.has_channel(services, session, channel.id, "use_channel_mentions"):
        return []
    limit = services.config.number("TeamSettings.MaxNotificationsPerChannel")
    members = await mention_map.channel_wide_members(services, channel.id, known, limit)
    if not members or not here:
        return members or []
    heartbeat_s = services.settings.presence.heartbeat_s
    try:
        seen = await status.load_statuses(services.redis, services.db, members, heartbeat_s=heartbeat_s)
    except Unavailable as error:
        if error.service != "redis":
            raise
        return []
    return [user_id for user_id in members if seen[user_id].status == "online"]


async def _add_followers(
    services: Services,
    session: Session,
    channel: Channel,
    post: Post,
    root: Root,
    known: MentionMap | None,
    audience: Audience,
) -> None:
    """Say who follows a reply's thread: who did, its author, whom it mentions, the root's author, whom that names.

    Where replies make nobody follow, who did. Where threads are not collapsed for anybody, `posted` names none of them.
    """
    if not services.config.flag("ServiceSettings.ThreadAutoFollow"):
        audience.told = _told(post, audience, await _followers(services, post.root_id))
        return
    wants = await _followers(services, post.root_id)
    root_named = root.named
    if root_named is None:
        rows = await posts.load(services.db, [post.root_id])
        root_named = tuple(await named_by_root(services, session, channel, rows[0]) if rows else ())
    automatic = [root.user_id, *root_named, *(known.follows_all if known else ())]
    unknown = [user_id for user_id in automatic if user_id not in wants]
    audience.followers = [root.user_id, *unknown] if root.user_id in wants else unknown
    chosen = audience.mentions
    if speaks_for_itself(post):
        chosen = [*chosen, post.user_id]
    new = dict.fromkeys(unknown + [user_id for user_id in chosen if wants.get(user_id, _UNFOLLOWED) < 0])
    if new:
        if known is None:
            known = await mention_map.get_map(services, channel.id)
        fresh = await mention_map.wants_in(services, channel.id, known, new)
        key = followers_key(post.root_id)
        if not new.keys().isdisjoint(wants):  # he chose not to follow, and does now
            audience.invalidates = [key]
        elif fresh:  # the others are no members, and follow nothing
            audience.invalidates = [added(key, fresh)]
        fresh.pop(post.user_id, None)
        wants = wants | fresh
    if services.config.text("ServiceSettings.CollapsedThreads") != "disabled":
        audience.told = _told(post, audience, wants)


def _told(post: Post, audience: Audience, wants: dict[str, int]) -> list[str]:
    named = set(audience.mentions)
    spoken = speaks_for_itself(post)
    return [
        user_id
        for user_id, flags in wants.items()
        if flags >= 0
        and flags & (DESKTOP_MENTIONED if user_id in named else DESKTOP)
        and not (spoken and user_id == post.user_id)
    ][:FOLLOWERS_TOLD]


async def named_by_root(services: Services, session: Session, channel: Channel, post: Post) -> list[str]:
    """Return whom a root names, who follow its thread from the first reply on; in a direct channel nobody."""
    if channel.type == "D":
        return []
    if post.type.startswith("system_"):
        return mentioned_by_system(post)
    return await _named(services, session, channel, post, await mention_map.get_map(services, channel.id))


async def _followers(services: Services, root_id: str) -> dict[str, int]:
    """Return what the followers of a thread want to hear of; -1 for who chose not to follow."""
    key = followers_key(root_id)
    found: dict[str, int] | None = services.cache.peek(key)
    if found is None:
        found = await services.cache.get(key, partial(_load_followers, services, root_id), _weigh)
    assert found is not None, "every thread has followers, be it none"
    return found


async def _load_followers(services: Services, root_id: str) -> dict[str, int]:
    rows = await threads.followers(services.db, root_id, FOLLOWERS_TOLD)
    return {row.user_id: mention_map.wants_of(row) if follows else _UNFOLLOWED for follows, row in rows}


def _weigh(wants: dict[str, int]) -> int:
    return 1 + len(wants) // mention_map.WEIGHT_MEMBERS
