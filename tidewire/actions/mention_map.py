"""What a worker keeps of a channel to tell whom its posts mention: names, keywords, and who wants what.

A small channel is kept whole, a large one without its names: they are looked up when a post has an @, and kept then.
Dropped when a member comes, goes or changes his settings (`key`, `stale_keys`); at most MEMBERS names and the
members with keywords.
Source: Mattermost API v4, "who is mentioned" and notify_props of users and memberships.
"""

import itertools
from collections.abc import Iterable, Sequence
from functools import partial

from msgspec import Struct, field

from tidewire.actions.mention_text import NAMES_MAX, Found, Said, find
from tidewire.actions.services import Services
from tidewire.store import mentions as store
from tidewire.store.db import Transaction
from tidewire.store.mentions import MemberSettings
from tidewire.wire.models import User

MEMBERS = 200  # some 30 KB; beyond, names are asked for by the first post that has them
WEIGHT_MEMBERS = 5  # so many members take the room of one ordinary row
KEYWORDS_PER_USER = 50  # 8,000 bytes of notify_props could hold 4,000

# What a member wants to hear of.
CHANNEL_WIDE = 1  # @channel, @all and @here mention him
DESKTOP = 2  # every reply in threads that he follows
DESKTOP_MENTIONED = 4  # replies that mention him
FOLLOWS_ALL = 8  # every thread of the channel
EVERY_POST = 16  # his notification level is "all"
EVERY_PUSH = 32  # and that of his phone
NOBODY = -1


class MentionMap(Struct):
    """names: username → user id, None in a large channel, where `wants` has only those with keywords.

    keywords: lower-case word → user ids; first_names: as they are written. wants: user id → flags above.
    follows_all, every_post, every_push: who has these flags; the latter two are left empty in a large channel.
    number: names what a large channel was asked for in the cache: nobody finds it any more when the map is dropped.
    """

    names: dict[str, str] | None
    wants: dict[str, int]
    keywords: dict[str, list[str]] = field(default_factory=dict)
    first_names: dict[str, list[str]] = field(default_factory=dict)
    follows_all: list[str] = field(default_factory=list)
    every_post: list[str] = field(default_factory=list)
    every_push: list[str] = field(default_factory=list)
    number: int = field(default_factory=itertools.count().__next__)


def key(channel_id: str) -> str:
    """Return the cache key of a channel's map."""
    return "mentions:" + channel_id


async def stale_keys(tx: Transaction, before: User, after: User) -> list[str]:
    """Return the keys of the maps that a change of an account makes wrong."""
    if all(
        getattr(before, name) == getattr(after, name)
        for name in ("username", "first_name", "notify_props", "delete_at")
    ):
        return []
    return [key(channel_id) for channel_id in await store.channels_of_user(tx, after.id)]


def wants_of(member: MemberSettings) -> int:
    """Return what a member wants to hear of."""
    flags = 0
    level = member.ignore_channel_wide or "default"
    ignores = level == "on" or (level == "default" and member.mark_unread == "mention")
    if member.channel_wide == "true" and not ignores:
        flags |= CHANNEL_WIDE
    # A level of the channel beats that of the user unless it is "default".
    desktop, threads = member.channel_desktop or "default", member.channel_desktop_threads or ""
    if desktop == "default":
        desktop, threads = member.desktop or "mention", member.desktop_threads or "all"
    if desktop != "none":
        flags |= DESKTOP_MENTIONED
        if desktop == "all" or threads == "all":
            flags |= DESKTOP
    if desktop == "all":
        flags |= EVERY_POST
    push = member.channel_push or "default"
    if (member.push if push == "default" else push) == "all":
        flags |= EVERY_PUSH
    if member.follows_all == "on":
        flags |= FOLLOWS_ALL
    return flags


def make_map(members: Iterable[MemberSettings], *, whole: bool) -> MentionMap:
    """Return the map of these members. whole: they are all that the channel has."""
    made = MentionMap({} if whole else None, {})
    for member in members:
        user_id = member.user_id
        flags = made.wants[user_id] = wants_of(member)
        if made.names is not None:
            made.names[member.username] = user_id
            if flags & EVERY_POST:
                made.every_post.append(user_id)
            if flags & EVERY_PUSH:
                made.every_push.append(user_id)
        if flags & FOLLOWS_ALL:
            made.follows_all.append(user_id)
        words = [word.strip().lower() for word in (member.keywords or "").split(",", KEYWORDS_PER_USER)]
        for word in dict.fromkeys(filter(None, words[:KEYWORDS_PER_USER])):
            made.keywords.setdefault(word, []).append(user_id)
        if member.by_first_name == "true" and member.first_name:
            made.first_names.setdefault(member.first_name, []).append(user_id)
    return made


async def get_map(services: Services, channel_id: str) -> MentionMap:
    """Return the map of a channel, loaded by one query, of a large one by two."""
    cache_key = key(channel_id)
    found: MentionMap | None = services.cache.peek(cache_key)
    if found is None:
        found = await services.cache.get(cache_key, partial(_load, services, channel_id), _weigh)
    assert found is not None, "every channel has a map"
    return found


async def _load(services: Services, channel_id: str) -> MentionMap:
    few = await store.member_settings(services.db, channel_id, MEMBERS + 1)
    if len(few) <= MEMBERS:
        return make_map(few, whole=True)
    return make_map(await store.keyword_settings(services.db, channel_id), whole=False)


def _weigh(made: MentionMap) -> int:
    return 1 + len(made.wants) // WEIGHT_MEMBERS


def find_at_once(services: Services, known: MentionMap, said: Said) -> Found | None:
    """Return whom texts name in a channel; None if names have to be asked for (`names_of`), or are rather many."""
    if known.names is not None:
        return find(said, known.names, known.keywords, known.first_names)
    if sum(map(len, said.texts)) > NAMES_MAX:  # shorter ones hold no more names than that
        return None
    names = _Asked(services, known)
    found = find(said, names, known.keywords, known.first_names)
    return None if names.missed else found


class _Asked:
    """The names in a large channel that were asked for before. missed: another one was wanted."""

    __slots__ = ("_peek", "_prefix", "missed")

    def __init__(self, services: Services, known: MentionMap) -> None:
        self._peek = services.cache.peek
        self._prefix = f"named:{known.number}:"
        self.missed = False

    def get(self, name: str) -> str | None:
        """Return the id of the member with this username."""
        user_id: str | None = self._peek(self._prefix + name)
        if user_id is None:
            self.missed = True
        return user_id or None


async def names_of(
    services: Services, channel_id: str, known: MentionMap, names: Sequence[str]
) -> dict[str, str]:
    """Return username → user id of the members of a large channel with these names."""
    peek, number = services.cache.peek, known.number
    found, unknown = {}, []
    for name in names:
        user_id = peek(f"named:{number}:{name}")
        if user_id is None:
            unknown.append(name)
        elif user_id:
            found[name] = user_id
    if unknown:
        rows = await store.named_members(services.db, channel_id, unknown)
        for name in unknown:
            services.cache.put(f"named:{known.number}:{name}", rows.get(name, ""))
        found |= rows
    return found


async def wants_in(
    services: Services, channel_id: str, known: MentionMap, user_ids: Iterable[str]
) -> dict[str, int]:
    """Return what these users want to hear of, for those who are members."""
    if known.names is not None:
        return {user_id: known.wants[user_id] for user_id in user_ids if user_id in known.wants}
    peek, number = services.cache.peek, known.number
    wants, unknown = {}, []
    for user_id in user_ids:
        flags = peek(f"wants:{number}:{user_id}")
        if flags is None:
            unknown.append(user_id)
        elif flags != NOBODY:
            wants[user_id] = flags
    if unknown:
        rows = {row.user_id: wants_of(row) for row in await store.settings_of(services.db, channel_id, unknown)}
        for user_id in unknown:
            services.cache.put(f"wants:{known.number}:{user_id}", rows.get(user_id, NOBODY))
        wants |= rows
    return wants


async def channel_wide_members(
    services: Services, channel_id: str, known: MentionMap, limit: int
) -> list[str] | None:
    """Return whom @channel mentions, or None if the channel has more members than `limit`."""
    if known.names is not None:
        wants = known.wants
        if len(wants) > limit:
            return None
    else:
        rows = await store.member_settings(services.db, channel_id, limit + 1)
        if len(rows) > limit:
            return None
        wants = {row.user_id: wants_of(row) for row in rows}
    return [user_id for user_id, flags in wants.items() if flags & CHANNEL_WIDE]
