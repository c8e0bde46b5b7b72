"""How many posts mention one user: what "mark as unread" counts again. Posts are read in pages, never all at once."""

import asyncio

from tidewire.actions import mention_map, mention_text
from tidewire.actions.mention_map import CHANNEL_WIDE, MentionMap
from tidewire.actions.mentions import mentioned_by_system
from tidewire.store import mentions as settings
from tidewire.store import unread
from tidewire.store.db import Transaction
from tidewire.wire.models import Channel, Post

PAGE = 200
# Most that is read for one count, some 0.3 s of a core in pieces of 5 ms. Who marks years of a channel as unread sees
# fewer mentions than there are.
POSTS_MAX, TEXT_MAX = 20_000, 4 << 20


async def count_from(tx: Transaction, channel: Channel, user_id: str, at: int) -> tuple[int, int, int]:
    """Return how many posts as old as `at` (ms) or younger mention a member of an O or P channel.

    Result: (all, roots, urgent roots).
    """
    return await _count(tx, channel, user_id, channel.id, at - 1, replies=False)


async def count_in_thread(
    tx: Transaction, channel: Channel, user_id: str, root_id: str, viewed_at: int
) -> int:
    """Return how many replies younger than viewed_at mention a member; in D and G all of the others' do."""
    if channel.type in "DG":
        return await unread.count_replies_by_others(tx, root_id, viewed_at, user_id)
    return (await _count(tx, channel, user_id, root_id, viewed_at, replies=True))[0]


async def _count(
    tx: Transaction, channel: Channel, user_id: str, place_id: str, viewed_at: int, *, replies: bool
) -> tuple[int, int, int]:
    # Whether its author might use @channel, and whether the reader was online for @here, is not known any more.
    known = mention_map.make_map(await settings.settings_of(tx, channel.id, [user_id]), whole=True)
    any_text = bool(known.keywords or known.first_names)
    position = viewed_at, "~"  # behind every post of that moment
    posts = size = count = roots = urgent = 0
    while posts < POSTS_MAX and size < TEXT_MAX:
        page = await unread.naming_posts(
            tx, place_id, position, user_id, replies=replies, any_text=any_text, limit=PAGE
        )
        for post in page:
            if _mentions(known, post, user_id):
                count += 1
                roots += not post.root_id
                urgent += not post.root_id and post.is_urgent
            size += len(post.message)
        if len(page) < PAGE:
            break
        posts += len(page)
        position = page[-1].create_at, page[-1].id
        await asyncio.sleep(0)
    return count, roots, urgent


def _mentions(known: MentionMap, post: Post, user_id: str) -> bool:
    if post.type.startswith("system_"):
        return user_id in mentioned_by_system(post)
    said = mention_text.read(
        mention_text.texts_of(post.message, post.props), every_word=bool(known.keywords or known.first_names)
    )
    found = mention_text.find(said, known.names or {}, known.keywords, known.first_names)
    if found.everybody or found.here:
        return user_id in found.user_ids or bool(known.wants.get(user_id, 0) & CHANNEL_WIDE)
    return user_id in found.user_ids
