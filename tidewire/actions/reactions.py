"""Reactions: add, remove, list. Each change bumps its post's update_at and is told to the channel.

Source: Mattermost API v4, reactions; `reaction_added` and `reaction_removed` of its WebSocket events.
"""

from collections.abc import Sequence

from tidewire.actions import emojis, post_events, post_rules
from tidewire.actions.permissions import has_channel
from tidewire.actions.posts import access_post, post_missing, readable_channel
from tidewire.actions.services import Services
from tidewire.bus.envelope import channel_key
from tidewire.store import posts
from tidewire.store import reactions as store
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Reaction, Session


async def do_add_reaction(services: Services, session: Session, post_id: str, emoji_name: str) -> Reaction:
    """Store the caller's reaction and tell the channel; one that is there already is returned and not told again.

    Raises: 400 for a bad emoji name or one emoji too many; 403, also in an archived channel; 404, also for an emoji
    that is neither a client's own nor a custom one.
    """
    post_rules.check_emoji_name(emoji_name)
    _, channel = await access_post(services, session, post_id)
    if not await has_channel(services, session, channel.id, "add_reaction"):
        raise forbidden()
    if channel.delete_at:
        raise AppError("api.reaction.save.archived_channel.app_error", 403, "The channel is archived.")
    await emojis.check_known(services, emoji_name)
    limit = services.config.number("ServiceSettings.UniqueEmojiReactionLimitPerPost")
    async with services.db.transaction() as tx:
        if not await posts.hold(tx, post_id):
            raise post_missing()
        names = await store.emoji_names(tx, post_id)
        if emoji_name not in names and len(names) >= limit:
            raise AppError("app.reaction.save.save.too_many_reactions", 400, "Too many different reactions.")
        now = now_ms()
        reaction = Reaction(session.user_id, post_id, emoji_name, now, now, channel_id=channel.id)
        if await store.add(tx, reaction):
            await store.touch_post(tx, post_id, now)
            tx.announce(channel_key(channel.id), post_events.reaction("reaction_added", reaction))
        elif not reaction.create_at:
            raise forbidden()
    return reaction


async def do_remove_reaction(
    services: Services, session: Session, user_id: str, post_id: str, emoji_name: str
) -> None:
    """Delete a reaction and tell the channel; nothing is told if there is none. Raises: 400; 403; 404."""
    post_rules.check_emoji_name(emoji_name)
    _, channel = await access_post(services, session, post_id)
    permission = "remove_reaction" if user_id == session.user_id else "remove_others_reactions"
    if not await has_channel(services, session, channel.id, permission):
        raise forbidden()
    if channel.delete_at:
        raise AppError("api.reaction.delete.archived_channel.app_error", 403, "The channel is archived.")
    async with services.db.transaction() as tx:
        if not await posts.hold(tx, post_id):
            raise post_missing()
        if await store.remove(tx, post_id, user_id, emoji_name):
            now = now_ms()
            await store.touch_post(tx, post_id, now)
            reaction = Reaction(user_id, post_id, emoji_name, now, now, channel_id=channel.id)
            tx.announce(channel_key(channel.id), post_events.reaction("reaction_removed", reaction))


async def get_reactions(services: Services, session: Session, post_id: str) -> list[Reaction]:
    """Return a post's reactions, oldest first. Raises: 404."""
    await access_post(services, session, post_id)
    return (await store.of_posts(services.db, [post_id])).get(post_id, [])


async def get_reactions_of_posts(
    services: Services, session: Session, post_ids: Sequence[str]
) -> dict[str, list[Reaction]]:
    """Return post id → reactions for those posts that the caller may read."""
    found = await posts.load(services.db, post_ids)
    channel_ids = {post.channel_id for post in found}
    readable = {key for key in channel_ids if await readable_channel(services, session, key) is not None}
    ids = [post.id for post in found if post.channel_id in readable]
    reactions = await store.of_posts(services.db, ids)
    return {post_id: reactions.get(post_id, []) for post_id in ids}
