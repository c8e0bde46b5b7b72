"""Which custom emojis stand in posts and among their reactions, so that clients need not ask for each name.

Source: Mattermost API v4, `metadata.emojis` of posts.
"""

import re
from collections.abc import Collection

from tidewire.actions.mention_text import texts_of
from tidewire.actions.services import Services
from tidewire.store import emojis as store
from tidewire.store.emojis import Source
from tidewire.wire.emoji_names import is_system_emoji
from tidewire.wire.models import Post

_NAMED = re.compile(r":([a-zA-Z0-9_+-]{1,64}):")
VERSION_KEY = "emojis"  # what makes and deletes emojis invalidates it
NAMES_MAX = 64  # different ones looked up for one post


def may_name(post: Post) -> bool:
    """Tell, at next to no cost, whether names_in may find something: as a rule nothing."""
    return ":" in post.message or "attachments" in post.props or bool(post.metadata.reactions)


def names_in(post: Post) -> list[str]:
    """Return names that may be custom emojis', in the order in which they come."""
    if not may_name(post):
        return []
    texts = texts_of(post.message, post.props)
    named = [name.lower() for text in texts for name in _NAMED.findall(text)]
    named += [reaction.emoji_name for reaction in post.metadata.reactions]
    return [name for name in dict.fromkeys(named) if not is_system_emoji(name)][:NAMES_MAX]


async def version(services: Services) -> int:
    """Return a number that changes when an emoji is made or deleted. Cost: from memory; a query after each change."""

    async def load() -> int:
        return await store.count_changes(services.db)

    known: int | None = services.cache.peek(VERSION_KEY)
    if known is None:
        known = await services.cache.get(VERSION_KEY, load)
    return known or 0


async def add_to_posts(services: Services, source: Source, posts: Collection[Post]) -> None:
    """Fill in the custom emojis of posts that have their reactions. Cost: a query where a name may be an emoji's."""
    if not services.config.flag("ServiceSettings.EnableCustomEmoji"):
        return
    wanted = [(post, names) for post in posts if not post.delete_at and (names := names_in(post))]
    if not wanted:
        return
    rows = await store.by_names(source, list({name for _, names in wanted for name in names}))
    found = {emoji.name: emoji for emoji in rows}
    for post, names in wanted:
        post.metadata.emojis = [found[name] for name in names if name in found]
